// Fault recovery: a guest's fault becomes a value, any other fault still crashes loudly.
//
// install() registers SIGSEGV and SIGBUS handlers once per process (the one piece of global state) and chains to what was
// there before. A fault is recovered only when the faulting instruction lies in code that is declared to touch guest memory
// AND the faulting address lies inside the window that the thread has declared as current. There are two kinds of such code:
//  - the guarded primitives below (copy, compare-and-swap), which then return a failure;
//  - a tier's handlers, a range of host code registered with register_tier(): control goes to the tier's landing with all
//    general registers as they were at the fault, rsp replaced by GuestScope::host_stack, and the fault described in GuestScope.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caisson/result.h"

namespace caisson::memory {

// Describes the guest execution that is current on this thread. Linked, since a host function may run another guest.
struct GuestScope {
  std::uint8_t* window_base = nullptr;
  void* host_stack = nullptr;          // rsp for the landing
  std::uint64_t fault_address = 0;     // out: guest address, modulo 2^32
  bool fault_is_write = false;         // out
  bool fault_is_bus_error = false;     // out
  GuestScope* outer = nullptr;
};

// Makes `scope` current for this thread / removes the innermost one. Async-signal-safe; a few instructions.
void enter_guest(GuestScope& scope);
void leave_guest(GuestScope& scope);

// Registers the handlers (idempotent, thread-safe).
Result<void> install_fault_recovery();

// Declares [begin, end) as host code of a tier whose faults go to `landing`. At most 16 ranges; for static code of tiers.
void register_tier(const void* begin, const void* end, const void* landing);

// Guarded primitives; `window` is the guest's base. They never fault: what cannot be accessed is reported.
// Returns the number of bytes NOT copied (0 = all).
std::size_t guarded_copy(void* to, const void* from, std::size_t length);

// Compare-and-swap and loads at a naturally aligned host address inside a window; false where the page faults.
// *expected receives the value that was found; *swapped tells whether `desired` was stored.
bool guarded_load32(const void* address, std::uint32_t* value);
bool guarded_load64(const void* address, std::uint64_t* value);
bool guarded_compare_exchange32(void* address, std::uint32_t* expected, std::uint32_t desired, bool* swapped);
bool guarded_compare_exchange64(void* address, std::uint64_t* expected, std::uint64_t desired, bool* swapped);

}  // namespace caisson::memory
