#include "linux/signal_delivery.h"

#include <asm-generic/signal-defs.h>
#include <sys/resource.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "linux/call_arguments.h"
#include "linux/linux_process.h"
#include "linux/signal_frame.h"
#include "runtime/guest_layout.h"

namespace caisson::linux_personality {
namespace {

constexpr std::uint64_t kEcallLength = 4;
constexpr std::uint64_t kStackAlignment = 16;
constexpr std::uint64_t kSmallestAlternateStack = 2048;  // MINSIGSTKSZ
// What a shell shows for a process that died of signal n is 128 + n.
constexpr std::uint64_t kSignalledStatus = 128;

bool lies_on(const AlternateStack& stack, std::uint64_t sp) {
  return sp > stack.address && sp - stack.address <= stack.size;
}

void die_of(LinuxProcess& process, unsigned signal) {
  process.instance().finish(ExitReason::kSignalled, signal, kSignalledStatus + signal);
}

SignalInfo kernel_signal(unsigned signal) {
  SignalInfo info;
  info.signal = static_cast<std::int32_t>(signal);
  info.code = kSentByKernel;
  return info;
}

// Where the frame goes; nullopt where it would leave the alternate stack that the process is on.
std::optional<std::uint64_t> frame_address(const AlternateStack& stack, std::uint64_t sp, const SignalAction& action) {
  const bool on_stack = is_on_alternate_stack(stack, sp);
  if (on_stack && !lies_on(stack, sp - sizeof(SignalFrame))) return std::nullopt;
  if ((action.flags & SA_ONSTACK) != 0 && !on_stack && stack.size != 0) sp = stack.address + stack.size;
  return (sp - sizeof(SignalFrame)) & ~(kStackAlignment - 1);
}

// Writes the frame and enters the handler; false where the frame cannot be written.
bool enter_handler(LinuxProcess& process, const SignalInfo& info, const SignalAction& action) {
  riscv::HartState& hart = process.hart();
  SignalState& signals = process.signals;
  const std::optional<std::uint64_t> address = frame_address(signals.alternate_stack, hart.x[riscv::kSp], action);
  if (!address) return false;

  SignalFrame frame;
  frame.info = info;
  frame.context.stack = signals.alternate_stack;
  frame.context.mask = signals.mask_to_restore();
  save_registers(hart, frame.context);
  if (!process.memory().write_value(*address, frame)) return false;

  if ((signals.alternate_stack.flags & kStackAutoDisarm) != 0) signals.alternate_stack = {};
  signals.forget_replaced_mask();
  signals.blocked |= action.mask & ~kUnstoppable;
  if ((action.flags & SA_NODEFER) == 0) signals.blocked |= signal_bit(static_cast<unsigned>(info.signal));
  hart.x[riscv::kRa] = runtime::kSignalReturnPage;
  hart.x[riscv::kSp] = *address;
  hart.x[riscv::kA0] = static_cast<std::uint64_t>(info.signal);
  hart.x[riscv::kA1] = *address + offsetof(SignalFrame, info);
  hart.x[riscv::kA2] = *address + offsetof(SignalFrame, context);
  hart.pc = action.handler & ~std::uint64_t{1};
  hart.reservation_width = 0;
  return true;
}

// The interrupted system call stands at pc: it is made again behind the handler, or has returned EINTR.
void settle_interrupted_call(riscv::HartState& hart, const SignalAction& action, std::int64_t restart_result) {
  if (restart_result == kRestartUnlessNoRestart && (action.flags & SA_RESTART) != 0) return;
  hart.x[riscv::kA0] = static_cast<std::uint64_t>(-EINTR);
  hart.pc += kEcallLength;
}

}  // namespace

bool is_on_alternate_stack(const AlternateStack& stack, std::uint64_t sp) {
  return (stack.flags & kStackAutoDisarm) == 0 && lies_on(stack, sp);
}

std::int64_t set_alternate_stack(LinuxProcess& process, const AlternateStack& stack) {
  if (is_on_alternate_stack(process.signals.alternate_stack, process.hart().x[riscv::kSp])) return -EPERM;
  const std::int32_t mode = stack.flags & ~kStackAutoDisarm;
  if (mode != 0 && mode != kStackInUse && mode != kStackDisabled) return -EINVAL;
  if (mode != kStackDisabled && stack.size < kSmallestAlternateStack) return -ENOMEM;
  AlternateStack& current = process.signals.alternate_stack;
  current = stack;
  if (mode == kStackDisabled) current.address = current.size = 0;
  return 0;
}

bool raise_signal(LinuxProcess& process, const SignalInfo& info) {
  if (!process.signals.raise(info, process.limits[RLIMIT_SIGPENDING].current)) return false;
  if (process.signals.deliverable()) process.instance().request_slice();
  return true;
}

void raise_signal(LinuxProcess& process, unsigned signal) { raise_signal(process, kernel_signal(signal)); }

void force_signal(LinuxProcess& process, const SignalInfo& info) {
  const auto signal = static_cast<unsigned>(info.signal);
  SignalState& signals = process.signals;
  SignalAction& action = signals.actions[signal];
  const bool is_blocked = (signals.blocked & signal_bit(signal)) != 0;
  if (is_blocked || action.handler == kIgnoreHandler) action.handler = kDefaultHandler;
  signals.blocked &= ~signal_bit(signal);
  signals.drop(signal);  // this one's particulars count
  signals.raise(info, process.limits[RLIMIT_SIGPENDING].current);
}

Delivery deliver_signals(LinuxProcess& process, std::int64_t restart_result) {
  SignalState& signals = process.signals;
  Delivery delivery = Delivery::kNone;
  while (const std::optional<SignalInfo> info = signals.take(~signals.blocked)) {
    const auto signal = static_cast<unsigned>(info->signal);
    const SignalAction action = signals.actions[signal];
    if (action.handler == kIgnoreHandler) continue;
    if (action.handler == kDefaultHandler) {
      if (default_action(signal) != DefaultAction::kTerminate) continue;
      die_of(process, signal);
      return Delivery::kDied;
    }
    if (restart_result != 0) settle_interrupted_call(process.hart(), action, std::exchange(restart_result, 0));
    if ((action.flags & SA_RESETHAND) != 0) signals.actions[signal].handler = kDefaultHandler;
    if (!enter_handler(process, *info, action)) {
      if (signal == kSigSegv) signals.actions[kSigSegv].handler = kDefaultHandler;
      force_signal(process, kernel_signal(kSigSegv));
      continue;
    }
    process.wait_deadline_ns.reset();
    delivery = Delivery::kEntered;
  }
  if (delivery == Delivery::kNone) signals.restore_mask();
  return delivery;
}

void return_from_signal(LinuxProcess& process) {
  riscv::HartState& hart = process.hart();
  const auto frame = process.memory().read_value<SignalFrame>(hart.x[riscv::kSp]);
  if (!frame || !restore_registers(frame->context, hart)) {
    force_signal(process, kernel_signal(kSigSegv));
    deliver_signals(process);
    return;
  }
  process.signals.blocked = frame->context.mask & ~kUnstoppable;
  // The kernel too goes on where what the frame says of the stack makes no sense.
  set_alternate_stack(process, frame->context.stack);
  hart.reservation_width = 0;
}

SignalInfo signal_of_trap(LinuxProcess& process, const riscv::Trap& trap) {
  SignalInfo info;
  const auto set = [&](unsigned signal, std::int32_t code, std::uint64_t address) {
    info.signal = static_cast<std::int32_t>(signal);
    info.code = code;
    info.address = address;
  };
  switch (trap.kind) {
    case riscv::TrapKind::kIllegal:
      set(kSigIll, kIllegalOpcode, process.hart().pc);
      break;
    case riscv::TrapKind::kEbreak:
      set(kSigTrap, kBreakpoint, process.hart().pc);
      break;
    case riscv::TrapKind::kMisalignedAtomic:
      set(kSigBus, kAddressMisaligned, trap.address);
      break;
    default: {
      const std::uint64_t page = trap.address & ~(memory::kPageSize - 1);
      const bool is_mapped = process.memory().is_mapped(page, memory::kPageSize);
      if (trap.bus_error) {
        set(kSigBus, kAddressDoesNotExist, trap.address);
      } else {
        set(kSigSegv, is_mapped ? kAccessNotPermitted : kAddressNotMapped, trap.address);
      }
    }
  }
  return info;
}

}  // namespace caisson::linux_personality
