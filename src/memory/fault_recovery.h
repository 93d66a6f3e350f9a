// Fault recovery: a guest's fault becomes a value, any other fault still crashes loudly.
//
// install_fault_recovery() registers SIGSEGV and SIGBUS handlers once per process (the one piece of global state) and chains to
// what was there before. A fault is recovered only when the faulting instruction lies in code that is declared to touch guest
// memory AND the faulting address is the guest's. There are two kinds of such code:
//  - the guarded primitives below (copy, load, compare-and-swap), which then return a failure;
//  - a tier's handlers, a range of host code registered with register_tier(): control goes to the tier's landing with all
//    general registers as they were at the fault, rsp replaced by GuestScope::host_stack (see keeps_stack), and the fault described
//    in GuestScope.
//    The address must lie in the window (or its guards) that the thread has declared as current.
// A handler that someone installs later, over ours, must pass on what it does not know.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caisson/result.h"

namespace caisson::memory {

// Describes the guest execution that is current on this thread. Linked, since a host function may run another guest.
struct GuestScope {
  std::uint8_t* window_base = nullptr;
  void* host_stack = nullptr;  // rsp for the landing
  bool keeps_stack = false;  // the landing gets rsp as it was at the fault instead
  std::uint64_t fault_address = 0;  // out: guest address of the first inaccessible byte, modulo 2^32
  bool fault_is_write = false;  // out
  bool fault_is_bus_error = false;  // out: SIGBUS, a file mapping past the end of its file
  const void* landing = nullptr;  // where the faults of a tier registered without a landing go
  const void* fault_host_pc = nullptr;  // out: the faulting host instruction
  GuestScope* outer = nullptr;
};

// The innermost scope of this thread. Initial-exec, so that the signal handler can read it without any call.
extern constinit thread_local GuestScope* current_guest_scope __attribute__((tls_model("initial-exec")));

// Makes `scope` current for this thread / removes the innermost one. Async-signal-safe; a few instructions.
inline void enter_guest(GuestScope& scope) {
  scope.outer = current_guest_scope;
  current_guest_scope = &scope;
}
inline void leave_guest(GuestScope& scope) { current_guest_scope = scope.outer; }

// Registers the handlers (idempotent, thread-safe).
Result<void> install_fault_recovery();

// Declares [begin, end) as host code of a tier whose faults go to `landing`, or to GuestScope::landing where that is null; again with
// the same range changes nothing.
// At most 16 ranges, more is our bug and aborts; for static code of tiers. Thread-safe.
void register_tier(const void* begin, const void* end, const void* landing);

// --- guarded primitives: they never fault on guest memory, what cannot be accessed is reported ---

// Copies between guest and host memory and returns the number of bytes NOT copied (0 = all): exactly those from the first
// inaccessible byte on. `guest` is whichever of `to` and `from` is guest memory; a fault on the other side crashes.
// The ranges must not overlap.
std::size_t guarded_copy(void* to, const void* from, std::size_t length,
                         const void* guest) __asm__("caisson_guarded_copy");

// Whether the last failure of a guarded primitive on this thread was SIGBUS: a file mapping past the end of its file.
extern constinit thread_local bool guarded_fault_is_bus_error __attribute__((tls_model("initial-exec")));

// Loads and compare-and-swaps at a naturally aligned host address inside a window; false where the page faults.
// *expected receives the value that was found; *swapped tells whether `desired` was stored.
bool guarded_load32(const void* address, std::uint32_t* value) __asm__("caisson_guarded_load32");
bool guarded_load64(const void* address, std::uint64_t* value) __asm__("caisson_guarded_load64");
bool guarded_compare_exchange32(void* address, std::uint32_t* expected, std::uint32_t desired,
                                bool* swapped) __asm__("caisson_guarded_compare_exchange32");
bool guarded_compare_exchange64(void* address, std::uint64_t* expected, std::uint64_t desired,
                                bool* swapped) __asm__("caisson_guarded_compare_exchange64");

}  // namespace caisson::memory
