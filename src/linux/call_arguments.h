// The shape of a system call inside the personality: arguments in, a number out.
//
// Every call is `std::int64_t sys_name(LinuxProcess&, const CallArguments&)` and returns what Linux leaves in a0: a value ≥ 0
// or −errno (asm-generic numbers, which are the host's as well). A few results below the errno range tell the ecall router
// to do something else than writing a0; they never reach the guest.
#pragma once

#include <cstdint>

namespace caisson::linux_personality {

class LinuxProcess;

// a0 … a5 as the guest passed them. Narrow parameters are truncated, as the kernel's own prototypes do.
struct CallArguments {
  std::uint64_t a[6] = {};

  std::uint64_t operator[](unsigned index) const { return a[index]; }
  std::int64_t signed64(unsigned index) const { return static_cast<std::int64_t>(a[index]); }
  std::uint32_t unsigned32(unsigned index) const { return static_cast<std::uint32_t>(a[index]); }
  std::int32_t signed32(unsigned index) const { return static_cast<std::int32_t>(a[index]); }
};

using SystemCall = std::int64_t (*)(LinuxProcess&, const CallArguments&);

inline constexpr std::int64_t kLastError = -4095;

// A blocking call that was stopped (WaitOutcome::kInterrupted) before it had any effect returns one of these two. It is then
// made again, unless a signal handler runs in between …
inline constexpr std::int64_t kRestartUnlessNoRestart =
    kLastError - 1;  // … whose action lacks SA_RESTART: EINTR (read, write, wait …)
inline constexpr std::int64_t kRestartUnlessHandled =
    kLastError - 2;  // … at all: EINTR (nanosleep, poll, select, sigsuspend …)
// The call's charge for memory (see PageCharge) failed before any effect: the ecall is undone and the run stops out of gas.
inline constexpr std::int64_t kCallOutOfGas = kLastError - 3;
// The call set pc and registers itself (rt_sigreturn).
inline constexpr std::int64_t kCallJumped = kLastError - 4;
// The call ended the process (GuestInstance::finish() was called).
inline constexpr std::int64_t kCallExit = kLastError - 5;

}  // namespace caisson::linux_personality
