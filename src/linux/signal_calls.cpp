#include "linux/signal_calls.h"

#include <asm-generic/signal-defs.h>

#include <cerrno>
#include <optional>

#include "linux/guest_time.h"
#include "linux/linux_process.h"
#include "linux/signal_delivery.h"
#include "linux/waiting.h"

namespace caisson::linux_personality {
namespace {

// What rt_sigaction keeps of sa_flags. SA_RESTORER does not exist on riscv64.
constexpr std::uint64_t kKnownFlags =
    SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_EXPOSE_TAGBITS | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND;

bool is_signal(std::uint64_t number) { return number >= 1 && number <= kSignalCount; }

SignalInfo sent_signal(const LinuxProcess& process, std::int32_t signal, std::int32_t code) {
  SignalInfo info;
  info.signal = signal;
  info.code = code;
  info.sender = {process.ids.process, process.credentials.user, 0};
  return info;
}

// The process sends `signal` (0: only asks whether it could) to itself.
std::int64_t send_to_self(LinuxProcess& process, std::int32_t signal, std::int32_t code) {
  if (signal == 0) return 0;
  if (!is_signal(static_cast<std::uint32_t>(signal))) return -EINVAL;
  return raise_signal(process, sent_signal(process, signal, code)) ? 0 : -EAGAIN;
}

// rt_sigqueueinfo: the sender makes up the siginfo.
std::int64_t queue_to_self(LinuxProcess& process, std::int32_t signal, std::uint64_t info_address) {
  const std::optional<SignalInfo> given = process.memory().read_value<SignalInfo>(info_address);
  if (!given) return -EFAULT;
  if (signal == 0) return 0;
  if (!is_signal(static_cast<std::uint32_t>(signal))) return -EINVAL;
  SignalInfo info = *given;
  info.signal = signal;
  return raise_signal(process, info) ? 0 : -EAGAIN;
}

}  // namespace

std::int64_t sys_rt_sigaction(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint64_t signal = arguments.unsigned32(0);
  if (arguments[3] != sizeof(SignalMask) || !is_signal(signal)) return -EINVAL;
  std::optional<SignalAction> replacement;
  if (arguments[1] != 0) {
    replacement = process.memory().read_value<SignalAction>(arguments[1]);
    if (!replacement) return -EFAULT;
    if (signal_bit(static_cast<unsigned>(signal)) & kUnstoppable) return -EINVAL;
    replacement->flags &= kKnownFlags;
    replacement->mask &= ~kUnstoppable;
  }
  SignalAction& action = process.signals.actions[signal];
  const SignalAction previous = action;
  if (replacement) {
    action = *replacement;
    if (process.signals.ignores(static_cast<unsigned>(signal))) process.signals.drop(static_cast<unsigned>(signal));
  }
  if (arguments[2] != 0 && !process.memory().write_value(arguments[2], previous)) return -EFAULT;
  return 0;
}

std::int64_t sys_rt_sigprocmask(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[3] != sizeof(SignalMask)) return -EINVAL;
  SignalMask& blocked = process.signals.blocked;
  const SignalMask previous = blocked;
  if (arguments[1] != 0) {
    const std::optional<SignalMask> mask = process.memory().read_value<SignalMask>(arguments[1]);
    if (!mask) return -EFAULT;
    const SignalMask usable = *mask & ~kUnstoppable;
    switch (arguments.signed32(0)) {
      case SIG_BLOCK:
        blocked |= usable;
        break;
      case SIG_UNBLOCK:
        blocked &= ~usable;
        break;
      case SIG_SETMASK:
        blocked = usable;
        break;
      default:
        return -EINVAL;
    }
  }
  if (arguments[2] != 0 && !process.memory().write_value(arguments[2], previous)) return -EFAULT;
  return 0;
}

std::int64_t sys_rt_sigpending(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[1] > sizeof(SignalMask)) return -EINVAL;
  const SignalMask pending = process.signals.pending() & process.signals.blocked;
  return process.memory().write(arguments[0], &pending, arguments[1]) == arguments[1] ? 0 : -EFAULT;
}

std::int64_t sys_rt_sigsuspend(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[1] != sizeof(SignalMask)) return -EINVAL;
  const std::optional<SignalMask> mask = process.memory().read_value<SignalMask>(arguments[0]);
  if (!mask) return -EFAULT;
  process.signals.replace_mask(*mask);
  wait_for(process, {}, std::nullopt);
  return kRestartUnlessHandled;
}

std::int64_t sys_rt_sigtimedwait(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[3] != sizeof(SignalMask)) return -EINVAL;
  const std::optional<SignalMask> mask = process.memory().read_value<SignalMask>(arguments[0]);
  if (!mask) return -EFAULT;
  std::optional<std::uint64_t> timeout;
  if (arguments[2] != 0) {
    const auto time = process.memory().read_value<GuestTimespec>(arguments[2]);
    if (!time) return -EFAULT;
    timeout = to_nanoseconds(*time);
    if (!timeout) return -EINVAL;
  }

  const SignalMask wanted = *mask & ~kUnstoppable;
  SignalState& signals = process.signals;
  std::optional<SignalInfo> info = signals.take(wanted);
  WaitOutcome outcome = WaitOutcome::kInterrupted;
  if (!info) {
    signals.awaited = wanted;
    outcome = wait_for(process, {}, timeout ? std::optional(deadline_after(process, *timeout)) : std::nullopt);
    signals.awaited = 0;
    info = signals.take(wanted);
  }
  if (!info) return outcome == WaitOutcome::kTimedOut ? -EAGAIN : kRestartUnlessHandled;
  if (arguments[1] != 0 && !process.memory().write_value(arguments[1], *info)) return -EFAULT;
  return info->signal;
}

std::int64_t sys_rt_sigqueueinfo(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments.unsigned32(0) != process.ids.process) return -ESRCH;
  return queue_to_self(process, arguments.signed32(1), arguments[2]);
}

std::int64_t sys_rt_tgsigqueueinfo(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments.signed32(0) <= 0 || arguments.signed32(1) <= 0) return -EINVAL;
  if (arguments.unsigned32(0) != process.ids.process || arguments.unsigned32(1) != process.ids.thread) return -ESRCH;
  return queue_to_self(process, arguments.signed32(2), arguments[3]);
}

std::int64_t sys_rt_sigreturn(LinuxProcess& process, const CallArguments&) {
  return_from_signal(process);
  return kCallJumped;
}

std::int64_t sys_sigaltstack(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint64_t sp = process.hart().x[riscv::kSp];
  AlternateStack previous = process.signals.alternate_stack;
  const std::int32_t persistent = previous.flags & kStackAutoDisarm;
  previous.flags = persistent | (previous.size == 0                    ? kStackDisabled
                                 : is_on_alternate_stack(previous, sp) ? kStackInUse
                                                                       : 0);
  if (arguments[0] != 0) {
    const auto replacement = process.memory().read_value<AlternateStack>(arguments[0]);
    if (!replacement) return -EFAULT;
    if (const std::int64_t status = set_alternate_stack(process, *replacement); status < 0) return status;
  }
  previous.padding = 0;
  if (arguments[1] != 0 && !process.memory().write_value(arguments[1], previous)) return -EFAULT;
  return 0;
}

// A pid of 0 or below names a process group, where the process is the only member of its own; -1 means all but the caller.
std::int64_t sys_kill(LinuxProcess& process, const CallArguments& arguments) {
  const std::int32_t target = arguments.signed32(0);
  const std::int32_t signal = arguments.signed32(1);
  if (signal != 0 && !is_signal(static_cast<std::uint32_t>(signal))) return -EINVAL;
  const bool is_self = target == 0 || target == static_cast<std::int32_t>(process.ids.process) ||
                       (target < -1 && -static_cast<std::int64_t>(target) == process.ids.process_group);
  return is_self ? send_to_self(process, signal, kSentByUser) : -ESRCH;
}

std::int64_t sys_tkill(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments.signed32(0) <= 0) return -EINVAL;
  if (arguments.unsigned32(0) != process.ids.thread) return -ESRCH;
  return send_to_self(process, arguments.signed32(1), kSentByThreadKill);
}

std::int64_t sys_tgkill(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments.signed32(0) <= 0 || arguments.signed32(1) <= 0) return -EINVAL;
  if (arguments.unsigned32(0) != process.ids.process || arguments.unsigned32(1) != process.ids.thread) return -ESRCH;
  return send_to_self(process, arguments.signed32(2), kSentByThreadKill);
}

}  // namespace caisson::linux_personality
