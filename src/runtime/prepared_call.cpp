// How calls begin, and the short way of those that return at once.
//
// What is done around a small function is what its call costs: here nothing is done that a call does not need which returns to the
// trampoline within its first slice. Whatever else happens is left to the run loop, which goes on from where the tier stopped.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#include "caisson/instance.h"
#include "runtime/call_errors.h"
#include "runtime/guest_instance.h"
#include "runtime/running_mark.h"

namespace caisson {
namespace runtime {
namespace {

// Calls have few arguments; memcpy() costs more than to place one.
void place(std::span<const std::uint64_t> arguments, std::uint64_t* registers) {
  const std::size_t count = arguments.size();
  if (count > 0) [[likely]]
    registers[0] = arguments[0];
  if (count > 1) [[unlikely]] {
    registers[1] = arguments[1];
    if (count > 2) std::copy(arguments.begin() + 2, arguments.end(), registers + 2);
  }
}

}  // namespace

void GuestInstance::enter_call(std::uint64_t address, const CallArguments& arguments) {
  __builtin_memcpy_inline(hart_.x.data(), call_registers_.data(), sizeof call_registers_);
  __builtin_memset_inline(&hart_.x[call_registers_.size()], 0, sizeof hart_.x - sizeof call_registers_);
  if (!floats_are_zero_) [[unlikely]]
    hart_.f.fill(0);
  floats_are_zero_ = false;
  hart_.frm = 0;
  hart_.fflags = 0;
  hart_.reservation_width = 0;
  place(arguments.integers, &hart_.x[riscv::kA0]);
  if (!arguments.floats.empty()) [[unlikely]]
    place(arguments.floats, &hart_.f[riscv::kA0]);  // fa0 is f10 as a0 is x10
  hart_.pc = address + load_bias_;
  in_call_ = true;
}

void GuestInstance::begin_run() {
  if (finished_) [[unlikely]]
    finished_.reset();
  if (!host_error_.empty()) [[unlikely]]
    host_error_.clear();
  slice_start_ = hart_.gas_used();
}

// Whether the call whose end `run` gives returned; if not, the error is kept.
template <class Run>
bool GuestInstance::ends_by_return(Run&& run) {
  try {
    const Result<InvocationResult> result = run();
    if (!result) {
      call_error_ = result.error();
    } else if (result->exit_reason == ExitReason::kHostCall && result->exit_arg == 0) {
      return true;
    } else {
      call_error_ = call_error(*this, *result, module_->name);
    }
  } catch (const std::bad_alloc&) {
    call_error_ = out_of_memory();
  }
  return false;
}

// A call that cannot go the short way from its beginning.
[[gnu::noinline]] bool GuestInstance::call_differently(std::uint64_t address, const CallArguments& arguments) {
  return ends_by_return([&] { return invoke_at(address, arguments, options_.call_gas); });
}

// The rest of a call that did not return at once.
[[gnu::noinline]] bool GuestInstance::go_on_with_call() {
  return ends_by_return([&] {
    handle_tier_end();
    return end_advance(run_to_end());
  });
}

}  // namespace runtime

namespace detail {

PreparedResult call_prepared(runtime::GuestInstance& guest, std::uint64_t address, const CallArguments& arguments,
                             ReturnRegister return_register) {
  riscv::HartState& hart = guest.hart_;
  const auto outcome = [&](bool returned) {
    return PreparedResult{returned,
                          return_register == ReturnRegister::kFloat ? hart.f[riscv::kA0] : hart.x[riscv::kA0]};
  };
  if (guest.phase_ != runtime::GuestInstance::Phase::kCallable || guest.crosscheck_ != nullptr) [[unlikely]]
    return outcome(guest.call_differently(address, arguments));
  const runtime::RunningMark mark(guest.running_);
  if (!mark) [[unlikely]]
    return outcome(guest.call_differently(address, arguments));
  runtime::Execution& execution = *guest.execution_;  // read early: what is found through it is waited for
  if (guest.pending_call_) [[unlikely]]
    guest.pending_call_.reset();
  guest.resumable_ = false;
  hart.grant_gas(guest.options_.call_gas);
  guest.enter_call(address, arguments);
  guest.begin_run();
  try {
    execution.run(hart, runtime::GuestInstance::kSliceGas);
  } catch (const std::bad_alloc&) {
    guest.call_error_ = runtime::out_of_memory();
    return outcome(false);
  }
  if (hart.trap.kind != riscv::TrapKind::kTrampoline) [[unlikely]]
    return outcome(guest.go_on_with_call());
  guest.floats_are_zero_ = !execution.take_floats_changed() && arguments.floats.empty();
  return outcome(true);
}

Error take_call_error(runtime::GuestInstance& guest) { return guest.take_call_error(); }

}  // namespace detail
}  // namespace caisson
