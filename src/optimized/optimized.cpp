#include "optimized/optimized.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "isa/riscv/float_format.h"
#include "isa/riscv/host_float.h"
#include "memory/fault_recovery.h"
#include "memory/window_pool.h"
#include "optimized/window_segment.h"

namespace caisson::optimized {

using riscv::HartState;
using riscv::TrapKind;

// What compiled code and enter.S see of a run.
struct UnitContext {
  void* host_stack = nullptr;
  std::int64_t gas = 0;
  std::uint64_t pc = 0;
  std::uint32_t host_mxcsr = 0, guest_mxcsr = 0, left_mxcsr = 0;
  std::uint64_t granted = 0;
  std::uint64_t repeated = 0;  // of a fault
  HartState* hart = nullptr;
  Optimized::Impl* owner = nullptr;
  memory::GuestScope scope;
};
static_assert(offsetof(UnitContext, host_stack) == 0 && offsetof(UnitContext, gas) == 8 &&
              offsetof(UnitContext, pc) == 16);
static_assert(offsetof(HartState, x) == 0 && kPassedRegisters == std::array<std::uint8_t, 6>{1, 2, 10, 11, 8, 9});
static_assert(offsetof(UnitContext, host_mxcsr) == 24 && offsetof(UnitContext, guest_mxcsr) == 28 &&
              offsetof(UnitContext, left_mxcsr) == 32);

// enter.S
extern "C" {
int caisson_unit_enter(HartState* hart, std::int64_t gas, std::uint64_t pc, const void* entry, UnitContext* context);
void caisson_unit_fault();
void caisson_unit_exit();
UnitContext* caisson_unit_left(std::uint64_t* general, const std::uint64_t* vectors, const void* exit);
}

namespace {

constexpr std::uint64_t kMostGas = std::uint64_t{1} << 62;
constexpr std::size_t kTableBytes = memory::kWindowSize / 2 * sizeof(std::int32_t);
// Of the thread's own stack, for guest calls.
constexpr std::uint64_t kStackBytes = 32 << 10;
// Of the table, made writable at a time.
constexpr std::size_t kTablePart = 64 << 10;
// Each may split the table's mapping twice, and a process has 65 530 of them.
constexpr std::size_t kMostParts = 256;

// Where slots that hold 0 lead. What units are given is where they return it.
constexpr std::uint8_t kOriginCode[] = {0xC3};  // ret

Result<const std::uint8_t*> origin_of_process() {
  static std::mutex mutex;
  static const std::uint8_t* origin = nullptr;
  const std::scoped_lock lock(mutex);
  if (origin != nullptr) return origin;
  const Result<memory::ExecutableMemory*> executable = memory::ExecutableMemory::process();
  if (!executable) return std::unexpected(executable.error());
  const std::optional<memory::CodeBlock> block = (*executable)->allocate_code(sizeof kOriginCode);
  if (!block) return fail(ErrorCode::kOutOfMemory, "no memory is left for compiled code");
  std::memcpy(block->write, kOriginCode, sizeof kOriginCode);
  memory::register_tier((*executable)->code_begin(), (*executable)->code_end(), nullptr);
  origin = block->execute;
  return origin;
}

std::uint64_t& word(HartState& hart, UnitWord which) { return hart.tier_words[static_cast<std::size_t>(which)]; }

}  // namespace

struct Optimized::Impl {
  explicit Impl(memory::AddressSpace& address_space) : memory(address_space) {}
  ~Impl() {
    if (table != nullptr) ::munmap(table, kTableBytes);
  }

  std::atomic<std::int32_t>& slot(std::uint32_t pc) const { return table[pc / 2]; }

  bool make_writable(std::uint32_t pc) {
    const auto part = static_cast<std::uint32_t>(std::size_t{pc} / 2 * sizeof(std::int32_t) / kTablePart);
    if (writable_parts.contains(part)) return true;
    if (writable_parts.size() >= kMostParts) return false;
    auto* const begin = reinterpret_cast<std::uint8_t*>(table) + std::size_t{part} * kTablePart;
    if (::mprotect(begin, kTablePart, PROT_READ | PROT_WRITE) != 0) return false;
    writable_parts.emplace(part, true);
    return true;
  }

  void remove(std::uint32_t pc) {
    const auto found = units.find(pc);
    if (found == units.end()) return;
    slot(pc).store(0, std::memory_order_release);
    stats.code_bytes -= found->second->code_size();
    --stats.units;
    by_code.erase(found->second->code());
    units.erase(found);
  }

  const LoadedUnit* unit_of(const void* host) const {
    auto found = by_code.upper_bound(static_cast<const std::uint8_t*>(host));
    if (found == by_code.begin()) return nullptr;
    --found;
    return found->second->contains(host) ? found->second : nullptr;
  }

  // Another slice for a unit whose gas is used up: what it may have, or 0 where it has to leave.
  std::uint64_t next_slice(UnitContext& context) const {
    if (slices.next == nullptr || context.hart->interrupt.load(std::memory_order_relaxed) != 0) return 0;
    const std::uint32_t mxcsr = _mm_getcsr();
    _mm_setcsr(context.host_mxcsr);
    const std::uint64_t slice = slices.next(slices.context);
    _mm_setcsr(mxcsr);
    return slice <= context.hart->gas && slice <= kMostGas ? slice : 0;
  }

  // At a site: the guest's state from the host's, or more gas. False where the unit goes on.
  bool leave(UnitContext& context, std::uint64_t* general, const std::uint64_t* vectors, const void* exit) noexcept {
    const void* const host = exit != nullptr ? exit : context.scope.fault_host_pc;
    const LoadedUnit* const unit = unit_of(host);
    const Site* const site = unit == nullptr ? nullptr : unit->site_at(host);
    if (site == nullptr || (exit != nullptr) != (site->kind == SiteKind::kOutOfGas)) {
      std::fputs("caisson: optimised code left from where it has no guest instruction\n", stderr);
      std::abort();
    }
    const auto value_at = [&](const Location& location) -> std::uint64_t {
      constexpr unsigned kFirstVector = 17, kVectorWords = 4;
      switch (location.kind) {
        case LocationKind::kRegister:
          return location.host < kFirstVector ? general[location.host]
                                              : vectors[(location.host - kFirstVector) * kVectorWords];
        case LocationKind::kStackSlot: {
          std::uint64_t value = 0;
          std::memcpy(&value, reinterpret_cast<const std::uint8_t*>(general[location.host]) + location.offset,
                      sizeof value);
          return value;
        }
        case LocationKind::kConstant:
          return static_cast<std::uint64_t>(std::int64_t{location.offset});
        case LocationKind::kLargeConstant:
          return location.constant;
      }
      return 0;
    };
    HartState& hart = *context.hart;
    const auto gas = static_cast<std::int64_t>(value_at(site->gas));
    context.gas = gas - site->gas_due;
    if (site->kind == SiteKind::kOutOfGas) {
      if (const std::uint64_t more = next_slice(context); more != 0) {
        constexpr unsigned kResult = 11;
        hart.gas -= more;
        context.granted += more;
        general[kResult] = static_cast<std::uint64_t>(gas) + more;  // goes on here, not where it would leave to
        return false;
      }
    }
    for (const Location& location : site->registers) {
      std::uint64_t value = value_at(location);
      if (location.guest < 32) {
        const bool is_short = location.form == ValueForm::kSigned32;
        hart.x[location.guest] =
            is_short ? static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(value)}) : value;
        continue;
      }
      const bool is_single = location.form == ValueForm::kSingle || location.form == ValueForm::kComputedSingle;
      const bool is_computed = location.form == ValueForm::kComputed || location.form == ValueForm::kComputedSingle;
      if (is_single) value = riscv::kBox | static_cast<std::uint32_t>(value);
      if (is_computed && is_single && riscv::is_nan<riscv::Single>(static_cast<std::uint32_t>(value)))
        value = riscv::kBox | riscv::kCanonicalSingle;
      if (is_computed && !is_single && riscv::is_nan<riscv::Double>(value)) value = riscv::kCanonicalDouble;
      hart.f[location.guest - 32] = value;
    }
    context.pc = site->guest;
    context.repeated = static_cast<std::uint64_t>(site->repeated);
    hart.trap = {};
    ++stats.exits_midway;
    return true;
  }

  memory::AddressSpace& memory;
  SliceSource slices;
  const std::uint8_t* origin = nullptr;
  std::atomic<std::int32_t>* table = nullptr;  // kTableBytes, of which parts are writable
  std::unordered_map<std::uint32_t, bool> writable_parts;
  std::unordered_map<std::uint32_t, std::shared_ptr<const LoadedUnit>> units;  // by guest pc
  std::map<const std::uint8_t*, const LoadedUnit*> by_code;
  OptimizedStats stats;
};

extern "C" UnitContext* caisson_unit_left(std::uint64_t* general, const std::uint64_t* vectors, const void* exit) {
  memory::GuestScope* const scope = memory::current_guest_scope;
  auto* const context =
      reinterpret_cast<UnitContext*>(reinterpret_cast<std::uint8_t*>(scope) - offsetof(UnitContext, scope));
  return context->owner->leave(*context, general, vectors, exit) ? context : nullptr;
}

Result<std::unique_ptr<Optimized>> Optimized::create(memory::AddressSpace& memory, const SliceSource& slices) {
  if (!is_window_segment_supported()) {
    return fail(ErrorCode::kUnsupported,
                "optimised code needs FSGSBASE (a processor that has it, Linux 5.9), or arch_prctl allowed");
  }
  if (auto installed = memory::install_fault_recovery(); !installed) return std::unexpected(installed.error());
  const Result<const std::uint8_t*> origin = origin_of_process();
  if (!origin) return std::unexpected(origin.error());
  auto impl = std::make_unique<Impl>(memory);
  impl->origin = *origin;
  impl->slices = slices;
  // Readable zeros cost no memory and count nowhere.
  void* const table = ::mmap(nullptr, kTableBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (table == MAP_FAILED)
    return fail(ErrorCode::kOutOfMemory, "cannot reserve address space for entries of compiled code");
  impl->table = static_cast<std::atomic<std::int32_t>*>(table);
  return std::unique_ptr<Optimized>(new Optimized(std::move(impl)));
}

Optimized::Optimized(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) { impl_->memory.add_code_observer(this); }
Optimized::~Optimized() { impl_->memory.remove_code_observer(this); }

bool Optimized::has_unit(std::uint64_t pc) const {
  return pc < memory::kWindowSize && pc % 2 == 0 &&
         impl_->slot(static_cast<std::uint32_t>(pc)).load(std::memory_order_relaxed) != 0;
}

bool Optimized::add(std::shared_ptr<const LoadedUnit> unit) {
  const std::uint32_t pc = unit->guest_pc();
  const std::ptrdiff_t distance = unit->entry() - impl_->origin;
  if (distance > std::numeric_limits<std::int32_t>::max() || distance < std::numeric_limits<std::int32_t>::min())
    return false;
  if (!impl_->make_writable(pc)) return false;
  impl_->remove(pc);
  impl_->stats.code_bytes += unit->code_size();
  ++impl_->stats.units;
  impl_->by_code.emplace(unit->code(), unit.get());
  impl_->units.emplace(pc, std::move(unit));
  impl_->slot(pc).store(static_cast<std::int32_t>(distance), std::memory_order_release);
  return true;
}

std::shared_ptr<const LoadedUnit> Optimized::unit(std::uint32_t pc) const {
  const auto found = impl_->units.find(pc);
  return found == impl_->units.end() ? nullptr : found->second;
}

std::vector<Optimized::Entry> Optimized::entries() const {
  std::vector<Entry> entries;
  for (const auto& [pc, unit] : impl_->units) entries.push_back({.pc = pc, .code_bytes = unit->code_size()});
  std::ranges::sort(entries, {}, &Entry::pc);
  return entries;
}

void Optimized::remove(std::uint32_t pc) { impl_->remove(pc); }

Optimized::End Optimized::run(HartState& hart, std::uint64_t gas, std::uint64_t* used, std::uint64_t* repeated) {
  hart.trap = {};
  *used = 0;
  if (hart.interrupt.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    hart.trap.kind = TrapKind::kInterrupted;
    return End::kTrap;
  }
  const auto pc = static_cast<std::uint32_t>(hart.pc);
  const void* const entry = impl_->origin + impl_->slot(pc).load(std::memory_order_acquire);
  const std::uint64_t granted = std::min({gas, hart.gas, kMostGas});
  hart.gas -= granted;
  UnitContext context{.guest_mxcsr = riscv::mxcsr_of(hart), .granted = granted, .hart = &hart, .owner = impl_.get()};
  context.scope.window_base = impl_->memory.base();
  context.scope.landing = reinterpret_cast<const void*>(&caisson_unit_fault);
  context.scope.keeps_stack = true;
  word(hart, UnitWord::kEntryTable) = reinterpret_cast<std::uint64_t>(impl_->table);
  word(hart, UnitWord::kOrigin) = reinterpret_cast<std::uint64_t>(impl_->origin);
  word(hart, UnitWord::kStackLimit) = reinterpret_cast<std::uint64_t>(&context) - kStackBytes;
  word(hart, UnitWord::kExit) = reinterpret_cast<std::uint64_t>(&caisson_unit_exit);
  ++impl_->stats.entries;
  memory::enter_guest(context.scope);
  static const bool kHasInstructions = InstructionSegment::is_supported();
  const std::int64_t unit_gas = static_cast<std::int64_t>(granted) - kGasReserve;
  int left = 0;
  if (kHasInstructions) [[likely]] {
    const InstructionSegment segment(context.scope.window_base);
    left = caisson_unit_enter(&hart, unit_gas, pc, entry, &context);
  } else {
    const SystemCallSegment segment(context.scope.window_base);
    left = caisson_unit_enter(&hart, unit_gas, pc, entry, &context);
  }
  memory::leave_guest(context.scope);
  riscv::collect_flags(hart, context.left_mxcsr);
  const auto rest = static_cast<std::uint64_t>(context.gas + kGasReserve);
  hart.gas += rest;
  *used = context.granted - rest;
  hart.pc = context.pc & ~std::uint64_t{1};
  if (left == 0) return End::kOutside;
  *repeated = context.repeated;
  return context.repeated == 0 ? End::kLowGas : End::kFault;
}

void Optimized::code_changed(std::uint32_t first_page, std::uint32_t page_count) {
  if (impl_->units.empty()) return;
  std::vector<std::uint32_t> gone;
  for (const auto& [pc, unit] : impl_->units) {
    const std::vector<std::uint32_t>& pages = unit->tables().pages;
    const auto first = std::ranges::lower_bound(pages, first_page);
    if (first != pages.end() && *first - first_page < page_count) gone.push_back(pc);
  }
  for (const std::uint32_t pc : gone) impl_->remove(pc);
  impl_->stats.units_dropped += gone.size();
}

void Optimized::release_code() {
  while (!impl_->units.empty()) impl_->remove(impl_->units.begin()->first);
}

const OptimizedStats& Optimized::stats() const { return impl_->stats; }

}  // namespace caisson::optimized
