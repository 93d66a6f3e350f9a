// Signal delivery: from a pending signal to a frame on the guest's stack, and back (rt_sigreturn).
//
// The frame is the kernel's rt_sigframe of riscv64 (siginfo, ucontext with pc, 31 registers and the FP state), so that
// handlers, debuggers and unwinders find what they know. A handler returns through the signal page, a mapped page that holds
// `li a7, 139; ecall`. Stop signals have nobody who could continue the process: their default action is to do nothing.
#pragma once

#include <cstdint>

#include "linux/signal_state.h"
#include "runtime/personality.h"

namespace caisson::linux_personality {

class LinuxProcess;

// Queues `signal` as if the process had sent it to itself (SIGPIPE of a write, SIGALRM of a timer: code SI_KERNEL). It is
// delivered behind the current system call or at the next slice end.
void raise_signal(LinuxProcess& process, unsigned signal);

// Queues a signal with all particulars; false: the queue of real-time signals is full.
bool raise_signal(LinuxProcess& process, const SignalInfo& info);

// A signal that a trap causes and that cannot wait: a blocked or ignored one kills, as on Linux.
void force_signal(LinuxProcess& process, const SignalInfo& info);

// rt_sigreturn: back to what the frame at sp holds; a bad frame forces SIGSEGV.
void return_from_signal(LinuxProcess& process);

// True where `sp` lies on the enabled alternate stack.
bool is_on_alternate_stack(const AlternateStack& stack, std::uint64_t sp);

// sigaltstack(2) with the process's sp: 0, or -EPERM (sp is on the current one), -EINVAL (flags), -ENOMEM (too small).
std::int64_t set_alternate_stack(LinuxProcess& process, const AlternateStack& stack);

enum class Delivery : std::uint8_t {
  kNone,  // nothing was deliverable, or it was ignored
  kEntered,  // pc and registers stand at the entry of a handler
  kDied,  // GuestInstance::finish() was called
};

// Delivers what is pending and not blocked. `restart_result` is the restart code of the system call that stands at hart.pc,
// or 0: before a handler is entered it is settled whether that call is made again or has returned EINTR.
Delivery deliver_signals(LinuxProcess& process, std::int64_t restart_result = 0);

// The signal that a trap of the hart means under Linux.
SignalInfo signal_of_trap(LinuxProcess& process, const riscv::Trap& trap);

}  // namespace caisson::linux_personality
