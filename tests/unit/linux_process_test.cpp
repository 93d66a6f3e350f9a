// The process half of the personality: calls made directly, over real guest memory. What guests see of it as a whole is
// tested by tests/programs, against qemu-riscv64 and the host's kernel.
#include <gtest/gtest.h>
#include <linux/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "caisson/engine.h"
#include "caisson/linux.h"
#include "gas/gas_schedule.h"
#include "linux/guest_time.h"
#include "linux/initial_stack.h"
#include "linux/memory_calls.h"
#include "linux/page_range.h"
#include "linux/process_calls.h"
#include "linux/signal_calls.h"
#include "linux/signal_delivery.h"
#include "linux/signal_frame.h"
#include "linux/time_calls.h"
#include "linux/waiting.h"
#include "runtime/guest_layout.h"
#include "support/guest_compiler.h"
#include "unit/linux_test_process.h"

namespace caisson::linux_personality {
namespace {

constexpr std::uint64_t kPage = memory::kPageSize;
constexpr std::uint64_t kReadWrite = PROT_READ | PROT_WRITE;
constexpr std::uint64_t kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;

InstanceOptions deterministic_options(std::uint64_t seed = 1) {
  InstanceOptions options;
  options.deterministic = true;
  options.seed = seed;
  return options;
}

class LinuxProcessTest : public testing::Test {
 protected:
  LinuxProcess& process() { return guest.process(); }
  riscv::HartState& hart() { return process().hart(); }

  // A process whose heap is empty and begins at a free place.
  void begin_heap() { process().layout.break_start = process().layout.break_end = kHeap; }
  std::int64_t map(std::uint64_t length, std::uint64_t protection = kReadWrite, std::uint64_t address = 0,
                   std::uint64_t flags = kPrivate) {
    return guest.call(sys_mmap, address, length, protection, flags, -1, 0);
  }
  void handle(unsigned signal, std::uint64_t handler, std::uint64_t flags = 0, SignalMask mask = 0) {
    process().signals.actions[signal] = {handler, flags, mask};
  }
  void stand_at(std::uint64_t pc, std::uint64_t sp = TestProcess::kScratch + 0x10000) {
    hart().pc = pc;
    hart().x[riscv::kSp] = sp;
  }
  SignalFrame frame() { return guest.load<SignalFrame>(hart().x[riscv::kSp]); }

  static constexpr std::uint64_t kHeap = 0x10000000;
  TestProcess guest{{}, deterministic_options()};
};

// --- the frame ---

TEST_F(LinuxProcessTest, FrameHasTheLayoutOfTheKernelsHeaders) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  // The offsets of struct ucontext from the riscv64 kernel headers, checked by their own compiler.
  constexpr char kSource[] = R"(
    #include <stddef.h>
    #include <asm/sigcontext.h>
    #include <linux/signal.h>
    #include <asm/ucontext.h>
    struct frame { siginfo_t info; struct ucontext context; };
    _Static_assert(sizeof(struct frame) == FRAME, "frame");
    _Static_assert(offsetof(struct frame, context) == CONTEXT, "context");
    _Static_assert(offsetof(struct ucontext, uc_stack) == STACK, "stack");
    _Static_assert(offsetof(struct ucontext, uc_sigmask) == MASK, "mask");
    _Static_assert(offsetof(struct ucontext, uc_mcontext) == REGISTERS, "registers");
    _Static_assert(offsetof(struct ucontext, uc_mcontext.sc_regs.a0) == A0, "a0");
    _Static_assert(offsetof(struct ucontext, uc_mcontext.sc_fpregs) == FLOATS, "floating point");
    _Static_assert(offsetof(union __riscv_fp_state, d.fcsr) == FCSR, "fcsr");
    _Static_assert(offsetof(union __riscv_fp_state, q.reserved) == RESERVED, "reserved");
    int main(void) { return 0; }
  )";
  const auto define = [](const char* name, std::size_t value) {
    return "-D" + std::string(name) + "=" + std::to_string(value);
  };
  const auto compiled = test::compile_guest(
      {{"frame.c", kSource}},
      {define("FRAME", sizeof(SignalFrame)), define("CONTEXT", offsetof(SignalFrame, context)),
       define("STACK", offsetof(UserContext, stack)), define("MASK", offsetof(UserContext, mask)),
       define("REGISTERS", offsetof(UserContext, registers)),
       define("A0", offsetof(UserContext, registers) + offsetof(FrameRegisters, x1_to_x31) + 8 * (riscv::kA0 - 1)),
       define("FLOATS", offsetof(UserContext, float_state)), define("FCSR", offsetof(FrameFloatState, fcsr)),
       define("RESERVED", offsetof(FrameFloatState, reserved)), "-static"});
  EXPECT_TRUE(compiled) << compiled.error().to_string();
}

TEST_F(LinuxProcessTest, HandlerAndReturnKeepEveryRegister) {
  for (unsigned number = 1; number < 32; ++number) hart().x[number] = 0x1111'0000'0000'0000 + number;
  for (unsigned number = 0; number < 32; ++number) hart().f[number] = 0x2222'0000'0000'0000 + number;
  hart().frm = 3;
  hart().fflags = 0x15;
  stand_at(0x12344, TestProcess::kScratch + 0x10008);
  process().signals.blocked = signal_bit(5);
  hart().reservation_width = 8;
  const auto registers = hart().x;
  const auto floats = hart().f;
  handle(kSigTerm, 0x4000, 0, signal_bit(7) | kUnstoppable);

  raise_signal(process(), kSigTerm);
  ASSERT_EQ(deliver_signals(process()), Delivery::kEntered);
  EXPECT_EQ(hart().pc, 0x4000u);
  EXPECT_EQ(hart().x[riscv::kSp] % 16, 0u);
  EXPECT_EQ(hart().x[riscv::kRa], runtime::kSignalReturnPage);
  EXPECT_EQ(hart().x[riscv::kA0], unsigned{kSigTerm});
  EXPECT_EQ(hart().x[riscv::kA1], hart().x[riscv::kSp]);
  EXPECT_EQ(hart().x[riscv::kA2], hart().x[riscv::kSp] + 128);
  EXPECT_EQ(hart().reservation_width, 0u);
  EXPECT_EQ(process().signals.blocked, signal_bit(5) | signal_bit(7) | signal_bit(kSigTerm));
  EXPECT_EQ(frame().context.registers.pc, 0x12344u);
  EXPECT_EQ(frame().context.mask, signal_bit(5));

  hart().x.fill(0);
  hart().f.fill(0);
  hart().frm = hart().fflags = 0;
  hart().x[riscv::kSp] = (TestProcess::kScratch + 0x10008 - sizeof(SignalFrame)) & ~std::uint64_t{15};
  EXPECT_EQ(guest.call(sys_rt_sigreturn), kCallJumped);
  EXPECT_EQ(hart().pc, 0x12344u);
  EXPECT_EQ(hart().x, registers);
  EXPECT_EQ(hart().f, floats);
  EXPECT_EQ(hart().frm, 3u);
  EXPECT_EQ(hart().fflags, 0x15u);
  EXPECT_EQ(process().signals.blocked, signal_bit(5));
}

TEST_F(LinuxProcessTest, ReturnRejectsReservedBytesAndStopsSignals) {
  stand_at(0x1000);
  handle(kSigTerm, 0x4000);
  handle(kSigSegv, 0x5000);
  raise_signal(process(), kSigTerm);
  deliver_signals(process());
  SignalFrame changed = frame();
  changed.context.float_state.reserved[1] = 1;
  guest.memory().write_value(hart().x[riscv::kSp], changed);
  guest.call(sys_rt_sigreturn);
  EXPECT_EQ(hart().pc, 0x5000u) << "SIGSEGV's handler runs";
  EXPECT_EQ(hart().x[riscv::kA0], unsigned{kSigSegv});

  changed.context.float_state.reserved[1] = 0;
  changed.context.mask = ~SignalMask{0};
  changed.context.registers.pc = 0x7001;
  guest.memory().write_value(hart().x[riscv::kSp], changed);
  guest.call(sys_rt_sigreturn);
  EXPECT_EQ(hart().pc, 0x7000u);
  EXPECT_EQ(process().signals.blocked, ~kUnstoppable);
}

TEST_F(LinuxProcessTest, FrameThatCannotBeWrittenKills) {
  stand_at(0x1000, 0x20);
  handle(kSigSegv, 0x4000);
  raise_signal(process(), kSigSegv);
  EXPECT_EQ(deliver_signals(process()), Delivery::kDied);
}

TEST_F(LinuxProcessTest, FrameThatCannotBeWrittenEntersTheHandlerOfSegmentationFaultOnItsStack) {
  stand_at(0x1000, 0x20);
  process().signals.alternate_stack = {TestProcess::kScratch, 0, 0, 0x8000};
  handle(kSigTerm, 0x4000);
  handle(kSigSegv, 0x5000, SA_ONSTACK);
  raise_signal(process(), kSigTerm);
  ASSERT_EQ(deliver_signals(process()), Delivery::kEntered);
  EXPECT_EQ(hart().pc, 0x5000u);
  EXPECT_LT(hart().x[riscv::kSp], TestProcess::kScratch + 0x8000);
}

TEST_F(LinuxProcessTest, FrameNeverLeavesTheAlternateStackItIsOn) {
  process().signals.alternate_stack = {TestProcess::kScratch + 0x4000, 0, 0, 0x1000};
  stand_at(0x1000, TestProcess::kScratch + 0x4100);
  handle(kSigSegv, 0x4000, SA_ONSTACK);
  raise_signal(process(), kSigSegv);
  EXPECT_EQ(deliver_signals(process()), Delivery::kDied);
}

TEST_F(LinuxProcessTest, AutoDisarmTakesTheStackAwayUntilTheReturn) {
  const AlternateStack stack{TestProcess::kScratch, kStackAutoDisarm, 0, 0x8000};
  stand_at(0x1000);
  ASSERT_EQ(guest.call(sys_sigaltstack, guest.value(stack), 0), 0);
  handle(kSigTerm, 0x4000, SA_ONSTACK);
  raise_signal(process(), kSigTerm);
  deliver_signals(process());
  EXPECT_EQ(process().signals.alternate_stack.size, 0u);
  guest.call(sys_rt_sigreturn);
  EXPECT_EQ(process().signals.alternate_stack.size, stack.size);
  EXPECT_EQ(process().signals.alternate_stack.flags, kStackAutoDisarm);
}

// --- traps ---

TEST_F(LinuxProcessTest, TrapsBecomeTheSignalsOfLinux) {
  hart().pc = 0x1234;
  struct Row {
    riscv::Trap trap;
    std::int32_t signal, code;
    std::uint64_t address;
  };
  using enum riscv::TrapKind;
  const Row rows[] = {
      {{kLoadFault, false, TestProcess::kUnmapped + 5}, kSigSegv, kAddressNotMapped, TestProcess::kUnmapped + 5},
      {{kStoreFault, false, TestProcess::kReadOnly + 5}, kSigSegv, kAccessNotPermitted, TestProcess::kReadOnly + 5},
      {{kFetchFault, false, TestProcess::kScratch}, kSigSegv, kAccessNotPermitted, TestProcess::kScratch},
      {{kFetchFault, false, 0}, kSigSegv, kAddressNotMapped, 0},
      {{kLoadFault, true, TestProcess::kScratch + 1}, kSigBus, kAddressDoesNotExist, TestProcess::kScratch + 1},
      {{kMisalignedAtomic, false, 0x3001}, kSigBus, kAddressMisaligned, 0x3001},
      {{kIllegal, false, 0}, kSigIll, kIllegalOpcode, 0x1234},
      {{kEbreak, false, 0}, kSigTrap, kBreakpoint, 0x1234},
  };
  for (const Row& row : rows) {
    const SignalInfo info = signal_of_trap(process(), row.trap);
    EXPECT_EQ(info.signal, row.signal);
    EXPECT_EQ(info.code, row.code);
    EXPECT_EQ(info.address, row.address);
  }
}

TEST_F(LinuxProcessTest, ForcedSignalKillsWhereBlockedOrIgnored) {
  stand_at(0x1000);
  SignalInfo info;
  info.signal = kSigSegv;
  handle(kSigSegv, 0x4000);
  process().signals.blocked = signal_bit(kSigSegv);
  force_signal(process(), info);
  EXPECT_EQ(deliver_signals(process()), Delivery::kDied);
  handle(kSigSegv, kIgnoreHandler);
  force_signal(process(), info);
  EXPECT_EQ(deliver_signals(process()), Delivery::kDied);
}

// --- queues, order, restarts ---

TEST_F(LinuxProcessTest, SynchronousSignalsComeFirstThenTheLowest) {
  stand_at(0x1000);
  process().signals.blocked = ~kUnstoppable;
  for (const unsigned signal : {40u, unsigned{kSigTerm}, unsigned{kSigSegv}, 1u}) {
    handle(signal, 0x4000);
    raise_signal(process(), signal);
  }
  std::vector<std::int32_t> order;
  while (const auto info = process().signals.take(~SignalMask{0})) order.push_back(info->signal);
  EXPECT_EQ(order, (std::vector<std::int32_t>{kSigSegv, 1, kSigTerm, 40}));
}

TEST_F(LinuxProcessTest, RealTimeSignalsQueueUpToTheLimit) {
  process().signals.blocked = ~kUnstoppable;
  process().limits[RLIMIT_SIGPENDING].current = 3;
  SignalInfo info;
  info.signal = 40;
  const std::uint64_t address = guest.value(info);
  for (int round = 0; round < 3; ++round)
    EXPECT_EQ(guest.call(sys_rt_sigqueueinfo, process().ids.process, 40, address), 0);
  EXPECT_EQ(guest.call(sys_rt_sigqueueinfo, process().ids.process, 40, address), -EAGAIN);
  EXPECT_EQ(guest.call(sys_tgkill, process().ids.process, process().ids.thread, kSigTerm), 0)
      << "standard ones always fit";
  EXPECT_EQ(guest.call(sys_rt_sigqueueinfo, 1, 40, address), -ESRCH);
  EXPECT_EQ(guest.call(sys_rt_sigqueueinfo, process().ids.process, 40, TestProcess::kUnmapped), -EFAULT);
}

TEST_F(LinuxProcessTest, NobodyRaisesWhatTheEngineHoldsForAProcess) {
  constexpr ResourceLimit kMore{100'000'000, 100'000'000};
  for (const int resource : {RLIMIT_SIGPENDING, RLIMIT_NOFILE}) {
    EXPECT_EQ(guest.call(sys_prlimit64, 0, resource, guest.value(kMore), 0), -EPERM);
    EXPECT_EQ(guest.call(sys_setrlimit, resource, guest.value(kMore)), -EPERM);
  }
  EXPECT_EQ(guest.call(sys_setrlimit, RLIMIT_NPROC, guest.value(kMore)), 0) << "this one is only reported";
}

TEST_F(LinuxProcessTest, FrameHoldsNothingOfTheHostsStack) {
  // Whatever lay on the host's stack before, two frames of the same state are the same bytes.
  const auto frame_bytes = [&](std::uint8_t pattern) {
    stand_at(0x1000);
    process().signals.blocked = 0;
    handle(kSigTerm, 0x4000);
    std::array<volatile std::uint8_t, 16384> dirt;
    for (volatile std::uint8_t& byte : dirt) byte = pattern;
    raise_signal(process(), kSigTerm);
    deliver_signals(process());
    return guest.bytes(hart().x[riscv::kSp], sizeof(SignalFrame));
  };
  hart().x.fill(0);
  frame_bytes(0);
  EXPECT_EQ(frame_bytes(0x55), frame_bytes(0xaa));
}

TEST_F(LinuxProcessTest, InterruptedCallsRestartAsTheActionSays) {
  struct Row {
    std::int64_t result;
    std::uint64_t flags;
    bool restarts;
  };
  const Row rows[] = {{kRestartUnlessNoRestart, SA_RESTART, true},
                      {kRestartUnlessNoRestart, 0, false},
                      {kRestartUnlessHandled, SA_RESTART, false},
                      {kRestartUnlessHandled, 0, false}};
  for (const Row& row : rows) {
    stand_at(0x1000);
    hart().x[riscv::kA0] = 99;
    process().signals.blocked = 0;
    handle(kSigTerm, 0x4000, row.flags);
    raise_signal(process(), kSigTerm);
    ASSERT_EQ(deliver_signals(process(), row.result), Delivery::kEntered);
    const FrameRegisters registers = frame().context.registers;
    EXPECT_EQ(registers.pc, row.restarts ? 0x1000u : 0x1004u);
    EXPECT_EQ(static_cast<std::int64_t>(registers.x1_to_x31[riscv::kA0 - 1]), row.restarts ? 99 : -EINTR);
  }
}

TEST_F(LinuxProcessTest, SuspendRestoresTheMaskBehindTheHandler) {
  stand_at(0x1000);
  process().signals.blocked = signal_bit(kSigTerm);
  handle(kSigTerm, 0x4000);
  raise_signal(process(), kSigTerm);
  EXPECT_EQ(guest.call(sys_rt_sigsuspend, guest.value(SignalMask{0}), 8), kRestartUnlessHandled);
  ASSERT_EQ(deliver_signals(process(), kRestartUnlessHandled), Delivery::kEntered);
  EXPECT_EQ(frame().context.mask, signal_bit(kSigTerm));
  guest.call(sys_rt_sigreturn);
  EXPECT_EQ(process().signals.blocked, signal_bit(kSigTerm));
}

TEST_F(LinuxProcessTest, StopSignalsDoNothingWithoutAHandler) {
  stand_at(0x1000);
  for (const unsigned signal : {unsigned{kSigStop}, unsigned{kSigTerminalStop}, unsigned{kSigContinue}})
    raise_signal(process(), signal);
  EXPECT_EQ(deliver_signals(process()), Delivery::kNone);
  EXPECT_EQ(process().signals.pending(), 0u);
}

TEST_F(LinuxProcessTest, StoppedWaitKeepsItsDeadline) {
  hart().interrupt = 1;
  const GuestTimespec duration{0, 1000};
  // The deterministic clock stands still between calls here; the deadline of the first attempt must stay.
  EXPECT_EQ(guest.call(sys_nanosleep, guest.value(duration), 0), kRestartUnlessHandled);
  const auto deadline = process().wait_deadline_ns;
  ASSERT_TRUE(deadline);
  process().skip_time(400);
  EXPECT_EQ(guest.call(sys_nanosleep, guest.value(duration), 0), kRestartUnlessHandled);
  EXPECT_EQ(process().wait_deadline_ns, deadline);
  hart().interrupt = 0;
  const std::uint64_t before = process().monotonic_ns();
  EXPECT_EQ(guest.call(sys_nanosleep, guest.value(duration), 0), 0);
  EXPECT_EQ(process().monotonic_ns() - before, 600u);
}

TEST(LinuxWaiting, RequestToStopEndsAWaitSoon) {
  TestProcess guest;
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    guest.instance().hart().interrupt = 1;
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(wait_for(guest.process(), {}, std::nullopt), WaitOutcome::kInterrupted);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  stopper.join();
}

// --- time ---

TEST_F(LinuxProcessTest, VirtualTimeJumpsOverSleepsAndStopsAtTimers) {
  const std::uint64_t before = process().monotonic_ns();
  const GuestTimespec hour{3600, 0};
  EXPECT_EQ(guest.call(sys_nanosleep, guest.value(hour), 0), 0);
  EXPECT_EQ(process().monotonic_ns() - before, 3600 * kNanosecondsPerSecond);
  process().wait_deadline_ns.reset();  // as behind every call that is not made again

  handle(kSigAlarm, 0x4000);
  const std::array<GuestTimeval, 2> timer = {GuestTimeval{0, 0}, GuestTimeval{5, 0}};
  ASSERT_EQ(guest.call(sys_setitimer, 0, guest.value(timer), 0), 0);
  const std::uint64_t left = guest.reserve(sizeof(GuestTimespec));
  EXPECT_EQ(guest.call(sys_nanosleep, guest.value(hour), left), kRestartUnlessHandled);
  EXPECT_EQ(guest.load<GuestTimespec>(left).seconds, 3595);
  EXPECT_TRUE(process().signals.deliverable());
}

TEST_F(LinuxProcessTest, VirtualCalendarBeginsIn2020) {
  const std::uint64_t address = guest.reserve(sizeof(GuestTimespec));
  ASSERT_EQ(guest.call(sys_clock_gettime, 0, address), 0);
  EXPECT_EQ(guest.load<GuestTimespec>(address).seconds, 1'577'836'800);
  EXPECT_EQ(guest.call(sys_clock_gettime, 10, address), -EINVAL);
  EXPECT_EQ(guest.call(sys_clock_gettime, -6, address), 0) << "clock_getcpuclockid(0)";
  EXPECT_EQ(guest.call(sys_clock_gettime, 1, TestProcess::kReadOnly), -EFAULT);
  EXPECT_EQ(guest.call(sys_clock_settime, 0, address), -EPERM);
}

TEST_F(LinuxProcessTest, PeriodicTimersMergeMissedPeriods) {
  handle(kSigAlarm, 0x4000);
  const std::array<GuestTimeval, 2> timer = {GuestTimeval{0, 10}, GuestTimeval{0, 10}};
  ASSERT_EQ(guest.call(sys_setitimer, 0, guest.value(timer), 0), 0);
  process().skip_time(35'000);
  expire_timers(process());
  EXPECT_TRUE(process().signals.take(~SignalMask{0}));
  EXPECT_FALSE(process().signals.take(~SignalMask{0}));
  EXPECT_EQ(*process().timers.next_real_expiry() - process().monotonic_ns(), 5'000u);
}

// --- memory ---

TEST_F(LinuxProcessTest, MemoryIsPaidForWhenGranted) {
  begin_heap();
  hart().grant_gas(1'000'000);
  const auto cost_of = [&](auto&& action) {
    const std::uint64_t before = hart().gas;
    action();
    return before - hart().gas;
  };
  EXPECT_EQ(cost_of([&] { guest.call(sys_brk, kHeap + 3 * kPage - 1); }), 3 * gas::kPageGrantGas);
  EXPECT_EQ(cost_of([&] { guest.call(sys_brk, kHeap + 3 * kPage); }), 0u);
  EXPECT_EQ(cost_of([&] { guest.call(sys_brk, kHeap); }), 0u);
  std::int64_t area = 0;
  EXPECT_EQ(cost_of([&] { area = map(10 * kPage - 5); }), 10 * gas::kPageGrantGas);
  EXPECT_EQ(cost_of([&] { guest.call(sys_mremap, area, 10 * kPage, 14 * kPage, MREMAP_MAYMOVE); }),
            4 * gas::kPageGrantGas);
  EXPECT_EQ(cost_of([&] { map(kPage, kReadWrite, 0x1000, kPrivate | MAP_FIXED); }), 0u) << "refused";
}

TEST_F(LinuxProcessTest, MemoryThatCannotBePaidHasNoEffect) {
  begin_heap();
  const std::int64_t area = map(kPage);
  hart().grant_gas(3 * gas::kPageGrantGas - 1);
  const std::vector<memory::Mapping> before = guest.memory().mappings();
  EXPECT_EQ(guest.call(sys_brk, kHeap + 3 * kPage), kCallOutOfGas);
  EXPECT_EQ(map(3 * kPage), kCallOutOfGas);
  EXPECT_EQ(guest.call(sys_mremap, area, kPage, 4 * kPage, MREMAP_MAYMOVE), kCallOutOfGas);
  EXPECT_EQ(hart().gas, 3 * gas::kPageGrantGas - 1);
  EXPECT_EQ(guest.call(sys_brk, 0), static_cast<std::int64_t>(kHeap));
  EXPECT_EQ(guest.memory().mappings().size(), before.size());
}

TEST_F(LinuxProcessTest, NothingIsMappedAboveTheWindowOrBelowItsStart) {
  EXPECT_EQ(map(kPage, kReadWrite, memory::kHighestAddress, kPrivate | MAP_FIXED), -ENOMEM);
  EXPECT_EQ(map(kPage, kReadWrite, std::uint64_t{1} << 32, kPrivate | MAP_FIXED), -ENOMEM);
  EXPECT_EQ(map(kPage, kReadWrite, kPage, kPrivate | MAP_FIXED), -EPERM);
  EXPECT_EQ(map(std::uint64_t{1} << 32), -ENOMEM);
  EXPECT_GT(map(kPage, kReadWrite, std::uint64_t{1} << 40), 0) << "an absurd hint is only a hint";
  EXPECT_EQ(guest.call(sys_munmap, std::uint64_t{1} << 32, kPage), -EINVAL);
  EXPECT_EQ(guest.call(sys_munmap, 0, 16 * kPage), 0);
  EXPECT_EQ(guest.call(sys_mprotect, std::uint64_t{1} << 32, kPage, PROT_READ), -ENOMEM);
}

TEST_F(LinuxProcessTest, PlacesAreDeterministicAndTopDown) {
  const std::int64_t first = map(3 * kPage);
  const std::int64_t second = map(kPage);
  EXPECT_EQ(first, static_cast<std::int64_t>(runtime::mmap_top(process().instance().options().stack_size) - 3 * kPage));
  EXPECT_EQ(second, first - static_cast<std::int64_t>(kPage));
}

TEST_F(LinuxProcessTest, AddressSpaceLimitBounds) {
  process().limits[RLIMIT_AS].current = process().memory().committed_bytes() + 4 * kPage;
  EXPECT_EQ(map(5 * kPage), -ENOMEM);
  EXPECT_GT(map(4 * kPage), 0);
}

TEST_F(LinuxProcessTest, CommitLimitGivesNoMemoryAndCostsNothing) {
  InstanceOptions options;
  options.memory_limit = std::uint64_t{4} << 20;
  TestProcess small({}, options);
  riscv::HartState& hart = small.process().hart();
  const std::uint64_t before = hart.gas;
  EXPECT_EQ(small.call(sys_mmap, 0, std::uint64_t{64} << 20, kReadWrite, kPrivate, -1, 0), -ENOMEM);
  EXPECT_EQ(hart.gas, before);
}

TEST_F(LinuxProcessTest, WritableIsReadable) {
  const std::int64_t area = map(kPage, PROT_WRITE);
  ASSERT_GT(area, 0);
  EXPECT_EQ(guest.load<std::uint8_t>(static_cast<std::uint64_t>(area)), 0);
}

// --- the start of a program ---

TEST_F(LinuxProcessTest, ArgumentsThatTakeMoreThanAQuarterOfTheStackAreRefused) {
  constexpr std::uint64_t kStack = 0x20000000, kSize = 0x40000;
  ASSERT_EQ(guest.memory().map_anonymous(kStack, kSize, memory::kRead | memory::kWrite), memory::MapStatus::kOk);
  process().layout.stack_low = kStack;
  process().layout.stack_high = kStack + kSize;
  process().executable_path = "/p";
  process().arguments = {std::string(kSize / 4, 'a')};
  EXPECT_FALSE(write_initial_stack(process(), {}));
  process().arguments = {std::string(kSize / 4 - 100, 'a')};
  const Result<std::uint64_t> sp = write_initial_stack(process(), {});
  ASSERT_TRUE(sp) << sp.error().to_string();
  EXPECT_EQ(*sp % 16, 0u);
  EXPECT_EQ(guest.load<std::uint64_t>(*sp), 1u);
  EXPECT_EQ(*guest.memory().read_string(guest.load<std::uint64_t>(*sp + 8), kSize), process().arguments[0]);
  process().arguments.assign(1, std::string(std::size_t{128} << 10, 'a'));
  EXPECT_FALSE(write_initial_stack(process(), {})) << "one string is too long";
}

class ScriptTest : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text, ::mode_t mode = 0755) {
    tree.write(name, text);
    ::chmod(tree.path(name).c_str(), mode);
  }
  Result<LinuxProgram> find(const std::string& program, std::vector<std::string> arguments) {
    return find_linux_program({.arguments = std::move(arguments), .root = tree.path(), .program = program});
  }
  std::vector<std::string> arguments_of(const std::string& first_line) {
    write("script", first_line);
    const Result<LinuxProgram> program = find("/script", {"name", "one", "two"});
    return program ? program->options.arguments : std::vector<std::string>{program.error().to_string()};
  }

  TemporaryDirectory tree;
};

TEST_F(ScriptTest, FirstLineNamesTheInterpreterAndOneArgument) {
  using Words = std::vector<std::string>;
  write("bin/tool", "bytes");
  EXPECT_EQ(arguments_of("#!/bin/tool\ntext"), (Words{"/bin/tool", "/script", "one", "two"}));
  EXPECT_EQ(arguments_of("#! \t/bin/tool  -a  b c \t\n"), (Words{"/bin/tool", "-a  b c", "/script", "one", "two"}));
  EXPECT_EQ(arguments_of("#!/bin/tool"), (Words{"/bin/tool", "/script", "one", "two"})) << "no newline";
  const Result<LinuxProgram> program = find("/script", {});
  ASSERT_TRUE(program);
  EXPECT_EQ(program->options.program, "/bin/tool");
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(program->bytes.span().data()), program->bytes.span().size()),
            "bytes");
}

TEST_F(ScriptTest, BadScriptsAreErrors) {
  const auto code_of = [&](const std::string& program) { return find(program, {}).error().code; };
  write("empty", "#!  \n");
  EXPECT_EQ(code_of("/empty"), ErrorCode::kNotExecutable);
  write("lost", "#!/nowhere\n");
  EXPECT_EQ(code_of("/lost"), ErrorCode::kNotFound);
  write("plain", "#!/lost\n", 0644);
  EXPECT_EQ(code_of("/plain"), ErrorCode::kPermission);
  write("outside", "#!../../../../bin/sh\n");
  EXPECT_EQ(code_of("/outside"), ErrorCode::kNotFound) << "the host's shell is not beneath the root";
  write("circle", "#!/circle\n");
  EXPECT_EQ(code_of("/circle"), ErrorCode::kNotExecutable);
  EXPECT_EQ(code_of("/"), ErrorCode::kPermission);
}

TEST_F(ScriptTest, ScriptsNestFourDeep) {
  write("bin/tool", "bytes");
  for (int depth = 1; depth <= 5; ++depth) {
    write("s" + std::to_string(depth), depth == 1 ? "#!/bin/tool\n" : "#!/s" + std::to_string(depth - 1) + "\n");
  }
  const Result<LinuxProgram> four = find("/s4", {});
  ASSERT_TRUE(four) << four.error().to_string();
  EXPECT_EQ(four->options.arguments, (std::vector<std::string>{"/bin/tool", "/s1", "/s2", "/s3", "/s4"}));
  EXPECT_EQ(find("/s5", {}).error().code, ErrorCode::kNotExecutable);
}

// --- whole runs ---

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  }
  static Module compile(const std::string& source, std::initializer_list<std::string> options = {"-static", "-O1"}) {
    const auto bytes = test::compile_guest({{"main.c", source}}, options);
    if (!bytes) throw std::runtime_error(bytes.error().to_string());
    return engine().load_bytes(*bytes, "main").value();
  }
  static Engine& engine() {
    static Engine engine = Engine::create().value();
    return engine;
  }
  static Result<Instance> instantiate(const Module& module, std::uint64_t gas, const LinuxOptions& linux_options = {}) {
    InstanceOptions options = deterministic_options();
    options.gas = gas;
    options.personality = make_linux_personality(linux_options).value();
    return engine().instantiate(module, options);
  }
};

// Allocates, handles signals of a timer and of its own, sleeps: what can be stopped at many places.
constexpr char kBusyProgram[] = R"(
  #include <signal.h>
  #include <stdlib.h>
  #include <sys/mman.h>
  #include <sys/time.h>
  #include <unistd.h>
  static volatile unsigned sum, alarms;
  static void on_alarm(int number) { ++alarms; sum = sum * 31 + 7; }
  static void on_signal(int number) { sum = sum * 31 + number; }
  int main(void) {
    signal(SIGALRM, on_alarm);
    signal(SIGUSR1, on_signal);
    struct itimerval timer = {{0, 50}, {0, 50}};
    setitimer(ITIMER_REAL, &timer, NULL);
    for (int round = 0; round < 20; ++round) {
      unsigned* words = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      words[round * 100] = round;
      for (int index = 0; index < 1 << 14; index += 64) sum = sum * 33 + words[index];
      char* more = malloc(200000);
      more[round] = 1;
      free(more);
      munmap(words, 1 << 16);
      raise(SIGUSR1);
      usleep(120);
    }
    return (sum ^ sum >> 8 ^ sum >> 16) & 127;
  }
)";

TEST_F(ProgramTest, OutOfGasAnywhereResumesToTheSameResultAndTotal) {
  const Module module = compile(kBusyProgram);
  Result<Instance> whole = instantiate(module, kUnlimitedGas);
  ASSERT_TRUE(whole) << whole.error().to_string();
  const InvocationResult expected = whole->start().value();
  ASSERT_EQ(expected.exit_reason, ExitReason::kHalt);
  for (const std::uint64_t portion : {997u, 10'007u, 100'003u}) {
    Result<Instance> pieces = instantiate(module, portion);
    ASSERT_TRUE(pieces) << pieces.error().to_string();
    InvocationResult result = pieces->start().value();
    unsigned stops = 0;
    for (; result.exit_reason == ExitReason::kOutOfGas; ++stops) result = pieces->resume(portion).value();
    EXPECT_GT(stops, 0u);
    EXPECT_EQ(result.exit_reason, ExitReason::kHalt);
    EXPECT_EQ(result.return_value, expected.return_value);
    EXPECT_EQ(pieces->gas_used(), whole->gas_used());
  }
}

TEST_F(ProgramTest, InterruptedSleepGoesOnWhenResumed) {
  const Module module = compile("#include <unistd.h>\nint main(void) { return usleep(300000) == 0 ? 5 : 6; }");
  InstanceOptions options;
  options.personality = make_linux_personality({}).value();
  Result<Instance> instance = engine().instantiate(module, options);
  ASSERT_TRUE(instance);
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    instance->interrupt();
  });
  const auto start = std::chrono::steady_clock::now();
  InvocationResult result = instance->start().value();
  stopper.join();
  EXPECT_EQ(result.exit_reason, ExitReason::kInterrupted);
  result = instance->resume().value();
  EXPECT_EQ(result.exit_reason, ExitReason::kHalt);
  EXPECT_EQ(result.return_value, 5u);
  const auto taken = std::chrono::steady_clock::now() - start;
  EXPECT_GE(taken, std::chrono::milliseconds(300));
}

TEST_F(ProgramTest, DynamicLinkerThatIsNotInTheTreeIsAnError) {
  const Module module = compile("int main(void) { return 0; }", {"-O1"});
  Result<Instance> instance = instantiate(module, kUnlimitedGas);
  ASSERT_TRUE(instance);
  const Result<InvocationResult> result = instance->start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_NE(result.error().to_string().find("/lib/ld-linux-riscv64"), std::string::npos) << result.error().to_string();
}

TEST_F(ProgramTest, ProgramThatReachesIntoTheStackIsAnError) {
  const Module module = compile("void _start(void) { for (;;) {} }",
                                {"-static", "-nostdlib", "-mcmodel=medany", "-Wl,-Ttext-segment=0xff800000"});
  Result<Instance> instance = instantiate(module, kUnlimitedGas);
  ASSERT_TRUE(instance);
  const Result<InvocationResult> result = instance->start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kOutOfMemory);
}

TEST_F(ProgramTest, PersonalityBelongsToOneInstance) {
  const Module module = compile("int main(void) { return 0; }");
  InstanceOptions options;
  options.personality = make_linux_personality({}).value();
  Result<Instance> first = engine().instantiate(module, options);
  Result<Instance> second = engine().instantiate(module, options);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(first->start());
  const Result<InvocationResult> result = second->start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kBusy);
}

TEST_F(ProgramTest, CallsAreCountedByName) {
  const Module module = compile(R"(
    #include <sys/syscall.h>
    #include <unistd.h>
    int main(void) {
      for (int round = 0; round < 3; ++round) getppid();
      syscall(SYS_socket, 1, 1, 0);
      for (long number = 0; number < 2000; ++number) syscall(10000 + number);
      return syscall(1234567) != -1;
    }
  )");
  InstanceOptions options;
  const std::shared_ptr<runtime::Personality> personality = make_linux_personality({}).value();
  options.personality = personality;
  Result<Instance> instance = engine().instantiate(module, options);
  ASSERT_TRUE(instance);
  const InvocationResult result = instance->start().value();
  EXPECT_EQ(result.exit_reason, ExitReason::kHalt) << result.exit_arg;
  EXPECT_EQ(result.return_value, 0u);
  const auto count_of = [](const auto& counts, std::string_view name) {
    const auto found = std::ranges::find(counts, name, [](const auto& pair) { return pair.first; });
    return found == counts.end() ? 0 : found->second;
  };
  EXPECT_EQ(count_of(personality->call_counts(), "getppid"), 3u);
  const auto unknown = personality->unknown_call_counts();
  EXPECT_EQ(count_of(unknown, "socket"), 1u);
  EXPECT_EQ(count_of(unknown, "10000"), 1u);
  EXPECT_GT(count_of(unknown, "others"), 1000u) << "a guest cannot make the list grow without bound";
  EXPECT_LT(unknown.size(), 600u);
}

// --- the rest ---

TEST(LinuxRandom, SeedDecidesEveryByte) {
  const auto draw = [](std::uint64_t seed, std::size_t chunk) {
    TestProcess guest({}, deterministic_options(seed));
    const std::uint64_t address = guest.reserve(10'000);
    for (std::size_t done = 0; done < 10'000; done += chunk) {
      EXPECT_EQ(guest.call(sys_getrandom, address + done, chunk, 0), static_cast<std::int64_t>(chunk));
    }
    return guest.bytes(address, 10'000);
  };
  EXPECT_EQ(draw(1, 10'000), draw(1, 10'000));
  EXPECT_EQ(draw(1, 10'000), draw(1, 100)) << "the stream does not depend on how it is drawn";
  EXPECT_NE(draw(1, 10'000), draw(2, 10'000));
}

TEST_F(LinuxProcessTest, RandomChecksFlagsAndMemory) {
  EXPECT_EQ(guest.call(sys_getrandom, TestProcess::kScratch, 8, 8), -EINVAL);
  EXPECT_EQ(guest.call(sys_getrandom, TestProcess::kScratch, 8, 6), -EINVAL);
  EXPECT_EQ(guest.call(sys_getrandom, TestProcess::kReadOnly, 8, 0), -EFAULT);
  EXPECT_EQ(guest.call(sys_getrandom, TestProcess::kScratch, 0, 0), 0);
  const std::uint64_t end = TestProcess::kScratch + TestProcess::kScratchSize;
  EXPECT_EQ(guest.call(sys_getrandom, end - 100, 5000, 0), 100) << "what fits";
}

TEST_F(LinuxProcessTest, ProbeTellsTheInstructionSet) {
  struct Pair {
    std::int64_t key;
    std::uint64_t value;
  };
  const std::array<Pair, 3> asked = {Pair{3, 9}, Pair{4, 9}, Pair{1000, 9}};
  const std::uint64_t address = guest.value(asked);
  ASSERT_EQ(guest.call(sys_riscv_hwprobe, address, 3, 0, 0, 0), 0);
  const auto answered = guest.load<std::array<Pair, 3>>(address);
  EXPECT_EQ(answered[0].value, 1u);
  EXPECT_EQ(answered[1].value, 0x18'0000'003bu) << "FD, C, Zba, Zbb, Zbs, Zicond, Zihintpause; no V, no Zicboz";
  EXPECT_EQ(answered[2].key, -1);
  EXPECT_EQ(guest.call(sys_riscv_hwprobe, address, 3, 0, 0, 1), -EINVAL);
  EXPECT_EQ(guest.call(sys_riscv_hwprobe, TestProcess::kUnmapped, 1, 0, 0, 0), -EFAULT);
}

// Every call with hostile pointers and numbers: any result, no crash, and only results that a guest may see.
TEST_F(LinuxProcessTest, HostileArgumentsAreAnswered) {
  struct Row {
    const char* name;
    SystemCall call;
  };
  constexpr Row kCalls[] = {
#define ROW(name) {#name, sys_##name}
      ROW(brk),
      ROW(mmap),
      ROW(munmap),
      ROW(mremap),
      ROW(mprotect),
      ROW(madvise),
      ROW(msync),
      ROW(mincore),
      ROW(mlock),
      ROW(mlock2),
      ROW(munlock),
      ROW(mlockall),
      ROW(membarrier),
      ROW(set_tid_address),
      ROW(set_robust_list),
      ROW(get_robust_list),
      ROW(personality),
      ROW(prctl),
      ROW(getpgid),
      ROW(setpgid),
      ROW(getsid),
      ROW(setsid),
      ROW(setuid),
      ROW(setresuid),
      ROW(getresuid),
      ROW(getgroups),
      ROW(setgroups),
      ROW(capget),
      ROW(capset),
      ROW(sched_getaffinity),
      ROW(sched_setaffinity),
      ROW(sched_setscheduler),
      ROW(sched_getparam),
      ROW(sched_setparam),
      ROW(sched_rr_get_interval),
      ROW(getpriority),
      ROW(setpriority),
      ROW(getcpu),
      ROW(getrlimit),
      ROW(setrlimit),
      ROW(prlimit64),
      ROW(getrusage),
      ROW(times),
      ROW(uname),
      ROW(sysinfo),
      ROW(riscv_hwprobe),
      ROW(riscv_flush_icache),
      ROW(clock_gettime),
      ROW(clock_settime),
      ROW(clock_getres),
      ROW(gettimeofday),
      ROW(getitimer),
      ROW(setitimer),
      ROW(rt_sigaction),
      ROW(rt_sigprocmask),
      ROW(rt_sigpending),
      ROW(rt_sigqueueinfo),
      ROW(rt_tgsigqueueinfo),
      ROW(sigaltstack),
      ROW(kill),
      ROW(tkill),
      ROW(tgkill),
#undef ROW
  };
  constexpr std::uint64_t kValues[] = {0,
                                       1,
                                       2,
                                       8,
                                       0x1000,
                                       TestProcess::kScratch,
                                       TestProcess::kReadOnly,
                                       TestProcess::kUnmapped,
                                       0xffff'fff8,
                                       0xffff'ffff,
                                       std::uint64_t{1} << 32,
                                       std::uint64_t{1} << 63,
                                       ~std::uint64_t{0}};
  begin_heap();
  std::uint64_t state = 12345;
  const auto draw = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return kValues[(state >> 33) % std::size(kValues)];
  };
  process().signals.blocked = ~kUnstoppable;
  for (const Row& row : kCalls) {
    for (int round = 0; round < 300; ++round) {
      const CallArguments arguments{{draw(), draw(), draw(), draw(), draw(), draw()}};
      const std::int64_t result = row.call(process(), arguments);
      EXPECT_TRUE(result >= -133 || result == kCallOutOfGas) << row.name << " gave " << result;
    }
  }
}

}  // namespace
}  // namespace caisson::linux_personality
