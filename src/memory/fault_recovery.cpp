#include "memory/fault_recovery.h"

#include <ucontext.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "memory/address_space.h"
#include "memory/memory_counters.h"
#include "memory/page_tracking.h"
#include "memory/window_pool.h"

// Labels of guarded_access.S.
extern "C" {
extern const char caisson_copy_fast_begin[], caisson_copy_fast_end[], caisson_copy_bytewise[];
extern const char caisson_copy_string_begin[], caisson_copy_string_end[];
extern const char caisson_guarded_load32_begin[], caisson_guarded_load32_end[];
extern const char caisson_guarded_load64_begin[], caisson_guarded_load64_end[];
extern const char caisson_guarded_compare_exchange32_begin[], caisson_guarded_compare_exchange32_end[];
extern const char caisson_guarded_compare_exchange64_begin[], caisson_guarded_compare_exchange64_end[];
extern const char caisson_guarded_access_failed[];
}

namespace caisson::memory {

constinit thread_local GuestScope* current_guest_scope __attribute__((tls_model("initial-exec"))) = nullptr;

constinit thread_local bool guarded_fault_is_bus_error __attribute__((tls_model("initial-exec"))) = false;

namespace {

// Where the guest operand of a guarded range is, by the convention of guarded_access.S.
enum class GuestOperand { kCopy, kAddress };

struct GuardedRange {
  const char* begin;
  const char* end;
  const char* landing;
  GuestOperand operand;
};

const GuardedRange kGuardedRanges[] = {
    {caisson_copy_fast_begin, caisson_copy_fast_end, caisson_copy_bytewise, GuestOperand::kCopy},
    {caisson_copy_string_begin, caisson_copy_string_end, caisson_copy_string_end, GuestOperand::kCopy},
    {caisson_guarded_load32_begin, caisson_guarded_load32_end, caisson_guarded_access_failed, GuestOperand::kAddress},
    {caisson_guarded_load64_begin, caisson_guarded_load64_end, caisson_guarded_access_failed, GuestOperand::kAddress},
    {caisson_guarded_compare_exchange32_begin, caisson_guarded_compare_exchange32_end, caisson_guarded_access_failed,
     GuestOperand::kAddress},
    {caisson_guarded_compare_exchange64_begin, caisson_guarded_compare_exchange64_end, caisson_guarded_access_failed,
     GuestOperand::kAddress},
};

struct TierRange {
  std::uintptr_t begin = 0, end = 0, landing = 0;
};

// Written under the mutex and published by the count, so that the handler needs no lock.
constinit std::array<TierRange, 16> tier_ranges;
constinit std::atomic<std::size_t> tier_range_count{0};
constinit std::mutex registration_mutex;
constinit bool installed = false;  // guarded by registration_mutex

// What stood before our handlers; written before they can run.
constinit struct sigaction previous_segv{};
constinit struct sigaction previous_bus{};

std::uintptr_t register_of(const ucontext_t& context, int number) {
  return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[number]);
}

void set_register(ucontext_t& context, int number, std::uintptr_t value) {
  context.uc_mcontext.gregs[number] = static_cast<greg_t>(value);
}

constexpr std::uintptr_t kPageFaultWrite = 2;  // Intel SDM volume 3, "Page-fault exception": W/R

bool within_window(const std::uint8_t* base, std::uintptr_t address) {
  const std::uintptr_t lowest = reinterpret_cast<std::uintptr_t>(base) - kGuardSize;
  return address - lowest < kWindowSize + 2 * kGuardSize;
}

void describe_fault(GuestScope& scope, int signal_number, std::uintptr_t address, const ucontext_t& context) {
  scope.fault_address = static_cast<std::uint32_t>(address - reinterpret_cast<std::uintptr_t>(scope.window_base));
  scope.fault_is_write = (register_of(context, REG_ERR) & kPageFaultWrite) != 0;
  scope.fault_is_bus_error = signal_number == SIGBUS;
}

bool is_guest_access(std::uintptr_t pc) {
  for (const GuardedRange& range : kGuardedRanges) {
    if (pc - reinterpret_cast<std::uintptr_t>(range.begin) < static_cast<std::uintptr_t>(range.end - range.begin))
      return true;
  }
  const std::size_t count = tier_range_count.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    if (pc - tier_ranges[i].begin < tier_ranges[i].end - tier_ranges[i].begin) return true;
  }
  return false;
}

// The first write to a page that a snapshot has: it becomes writable, and the instruction runs again.
bool admit_write(const siginfo_t* info, std::uintptr_t pc, std::uintptr_t address, const ucontext_t& context) {
  const GuestScope* const scope = current_guest_scope;
  if (scope == nullptr || scope->window_base == nullptr || info->si_signo != SIGSEGV || info->si_code != SEGV_ACCERR ||
      (register_of(context, REG_ERR) & kPageFaultWrite) == 0) {
    return false;
  }
  const std::uintptr_t offset = address - reinterpret_cast<std::uintptr_t>(scope->window_base);
  if (offset >= kWindowSize || !is_guest_access(pc)) return false;
  // The interrupted code may be in the middle of a system call's error handling.
  const int interrupted_errno = errno;
  const bool admitted = admit_first_write(scope->window_base, static_cast<std::uint32_t>(offset / kPageSize));
  errno = interrupted_errno;
  return admitted;
}

bool recover_primitive(int signal_number, std::uintptr_t pc, std::uintptr_t address, ucontext_t& context) {
  for (const GuardedRange& range : kGuardedRanges) {
    if (pc - reinterpret_cast<std::uintptr_t>(range.begin) >= static_cast<std::uintptr_t>(range.end - range.begin))
      continue;
    CAISSON_PERF_SCOPE(fault_counter);
    const bool copy = range.operand == GuestOperand::kCopy;
    const std::uintptr_t guest = register_of(context, copy ? REG_R8 : REG_RDI);
    const std::uintptr_t length = copy ? register_of(context, REG_RDX) : sizeof(std::uint64_t);
    if (address - guest >= length) return false;
    guarded_fault_is_bus_error = signal_number == SIGBUS;
    set_register(context, REG_RIP, reinterpret_cast<std::uintptr_t>(range.landing));
    return true;
  }
  return false;
}

bool recover_tier(int signal_number, std::uintptr_t pc, std::uintptr_t address, ucontext_t& context) {
  GuestScope* const scope = current_guest_scope;
  if (scope == nullptr || !within_window(scope->window_base, address)) return false;
  const std::size_t count = tier_range_count.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    const TierRange& range = tier_ranges[i];
    if (pc - range.begin >= range.end - range.begin) continue;
    CAISSON_PERF_SCOPE(fault_counter);
    const auto landing = range.landing != 0 ? range.landing : reinterpret_cast<std::uintptr_t>(scope->landing);
    if (landing == 0) return false;
    describe_fault(*scope, signal_number, address, context);
    scope->fault_host_pc = reinterpret_cast<const void*>(pc);
    set_register(context, REG_RIP, landing);
    if (!scope->keeps_stack) set_register(context, REG_RSP, reinterpret_cast<std::uintptr_t>(scope->host_stack));
    return true;
  }
  return false;
}

// Not ours: whoever was there before decides, by default the process dies with the signal.
void pass_on(int signal_number, siginfo_t* info, void* context) {
  const struct sigaction& previous = signal_number == SIGSEGV ? previous_segv : previous_bus;
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal_number, info, context);
    return;
  }
  const bool sent_by_someone = info->si_code <= 0;
  if (previous.sa_handler == SIG_IGN && sent_by_someone) return;
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal_number);
    return;
  }
  // A fault happens again on return and then kills (the kernel does not let anyone ignore it); a sent signal must be sent again.
  signal(signal_number, SIG_DFL);
  if (sent_by_someone) raise(signal_number);
}

void handle_fault(int signal_number, siginfo_t* info, void* opaque_context) {
  auto& context = *static_cast<ucontext_t*>(opaque_context);
  // Only these carry a faulting address: a general-protection fault (SI_KERNEL) and a signal that someone sent do not.
  const bool has_address = signal_number == SIGSEGV ? info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR
                                                    : info->si_code == BUS_ADRERR;
  if (has_address) {
    const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
    const std::uintptr_t pc = register_of(context, REG_RIP);
    if (admit_write(info, pc, address, context)) return;
    if (recover_tier(signal_number, pc, address, context) || recover_primitive(signal_number, pc, address, context))
      return;
  }
  pass_on(signal_number, info, opaque_context);
}

Result<void> install_handler(int signal_number, struct sigaction& previous) {
  struct sigaction ours{};
  ours.sa_sigaction = handle_fault;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&ours.sa_mask);
  if (sigaction(signal_number, nullptr, &previous) != 0 || sigaction(signal_number, &ours, nullptr) != 0) {
    return fail(ErrorCode::kInternal,
                std::string("cannot install a handler for memory faults: ") + std::strerror(errno));
  }
  return {};
}

}  // namespace

Result<void> install_fault_recovery() {
  const std::scoped_lock lock(registration_mutex);
  if (installed) return {};
  if (Result<void> result = install_handler(SIGSEGV, previous_segv); !result) return result;
  if (Result<void> result = install_handler(SIGBUS, previous_bus); !result) return result;
  installed = true;
  return {};
}

void register_tier(const void* begin, const void* end, const void* landing) {
  const TierRange range{reinterpret_cast<std::uintptr_t>(begin), reinterpret_cast<std::uintptr_t>(end),
                        reinterpret_cast<std::uintptr_t>(landing)};
  const std::scoped_lock lock(registration_mutex);
  const std::size_t count = tier_range_count.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < count; ++i) {
    if (tier_ranges[i].begin == range.begin && tier_ranges[i].end == range.end) return;
  }
  if (count == tier_ranges.size()) {
    std::fputs("caisson: too many tier ranges are registered for fault recovery\n", stderr);
    std::abort();
  }
  tier_ranges[count] = range;
  tier_range_count.store(count + 1, std::memory_order_release);
}

}  // namespace caisson::memory
