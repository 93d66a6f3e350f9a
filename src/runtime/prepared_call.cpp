// How calls begin, and the short way of those that return at once.
//
// What is done around a small function is what its call costs: here nothing is done that a call does not need which returns to the
// trampoline within its first slice. Whatever else happens is left to the run loop, which goes on from where the tier stopped.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "caisson/instance.h"
#include "runtime/boot_counters.h"
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

CallArguments as_arguments(const std::uint64_t* registers, detail::CallShape shape) {
  return CallArguments({registers, shape.integers}, {registers + shape.integers, shape.floats});
}

// Sets x0 … x5 and clears all others. `has_avx`: as who compiles needs it, too.
[[gnu::always_inline]] inline void reset_registers(std::array<std::uint64_t, 33>& x,
                                                   const std::array<std::uint64_t, 6>& first, bool has_avx) {
  __builtin_memcpy_inline(x.data(), first.data(), sizeof first);
  if (!has_avx) [[unlikely]] {
    __builtin_memset_inline(&x[first.size()], 0, sizeof x - sizeof first);
    return;
  }
  // Every store counts. A register that VEX.128 clears has no upper half that would have to be cleared behind it.
  __asm__(
      "vpxor %%xmm0, %%xmm0, %%xmm0\n\t"
      "vmovdqu %%xmm0, 0x30(%[x])\n\t"
      "vmovdqu %%ymm0, 0x40(%[x])\n\t"
      "vmovdqu %%ymm0, 0x60(%[x])\n\t"
      "vmovdqu %%ymm0, 0x80(%[x])\n\t"
      "vmovdqu %%ymm0, 0xa0(%[x])\n\t"
      "vmovdqu %%ymm0, 0xc0(%[x])\n\t"
      "vmovdqu %%ymm0, 0xe0(%[x])"
      : "+m"(x)
      : [x] "r"(x.data())
      : "xmm0");
}

}  // namespace

[[gnu::always_inline]] inline void GuestInstance::set_hart_up(std::uint64_t pc, CallArguments arguments) {
  reset_registers(hart_.x, call_registers_, execution_->compiles());
  if (!floats_are_zero_) [[unlikely]] {
    hart_.f.fill(0);
    floats_are_zero_ = true;
  }
  hart_.frm = 0;
  hart_.fflags = 0;
  hart_.reservation_width = 0;
  place(arguments.integers, &hart_.x[riscv::kA0]);
  if (!arguments.floats.empty()) [[unlikely]] {
    place(arguments.floats, &hart_.f[riscv::kA0]);  // fa0 is f10 as a0 is x10
    floats_are_zero_ = false;
  }
  hart_.pc = pc;
}

void GuestInstance::enter_call(std::uint64_t address, const CallArguments& arguments) {
  set_hart_up(address + load_bias_, arguments);
  in_call_ = true;
}

void GuestInstance::begin_run() {
  if (finished_) [[unlikely]]
    finished_.reset();
  if (!host_error_.empty()) [[unlikely]]
    host_error_.clear();
  // A run that goes on is in the slice in which it stopped: what happens at slice ends happens where it would have.
  if (!std::exchange(goes_on_, false)) slice_start_ = hart_.gas_used();
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
    floats_are_zero_ = false;  // whatever happens to what follows
    handle_tier_end();
    return end_advance(run_to_end());
  });
}

// Behind a call that returned. Whatever another run leaves behind is for call_behind_another_run().
[[gnu::always_inline]] inline bool GuestInstance::call_at_once(std::uint64_t address, CallArguments arguments,
                                                               RunningMark& mark) {
  Execution& execution = *execution_;  // read early: what is found through it is waited for
  slice_start_ = hart_.gas_used();
  hart_.grant_gas(options_.call_gas);
  set_hart_up(address + load_bias_, arguments);
  try {
    if (!execution.call(hart_, kSliceGas)) [[unlikely]]
      return go_on_with_call();
  } catch (const std::bad_alloc&) {
    call_error_ = out_of_memory();
    floats_are_zero_ = false;
    return false;
  }
  if (execution.floats_changed()) [[unlikely]] {
    execution.take_floats_changed();
    floats_are_zero_ = false;
  }
  mark.set_end(RunState::kReturned);
  return true;
}

std::optional<InvocationResult> GuestInstance::call_here(std::uint64_t pc,
                                                         const std::array<std::uint64_t, 6>& first_registers,
                                                         std::span<const std::uint64_t> arguments, std::uint64_t gas) {
  Execution& execution = *execution_;
  begin_run();
  call_registers_ = first_registers;
  hart_.grant_gas(gas);
  set_hart_up(pc, CallArguments(arguments));
  if (!execution.call(hart_, kSliceGas)) [[unlikely]] {
    floats_are_zero_ = false;
    handle_tier_end();
    return run_to_end();
  }
  if (execution.floats_changed()) [[unlikely]] {
    execution.take_floats_changed();
    floats_are_zero_ = false;
  }
  return std::nullopt;
}

[[gnu::noinline]] bool GuestInstance::call_behind_another_run(std::uint64_t address, const std::uint64_t* registers,
                                                              detail::CallShape shape) {
  const CallArguments arguments = as_arguments(registers, shape);
  if (run_state_.load(std::memory_order_relaxed) == RunState::kRunning || phase_ != Phase::kCallable ||
      crosscheck_ != nullptr || has_lost_code())
    return call_differently(address, arguments);
  RunningMark mark(run_state_);
  pending_call_.reset();
  resumable_ = false;
  in_call_ = true;
  begin_run();
  return call_at_once(address, arguments, mark);
}

}  // namespace runtime

namespace detail {

PreparedResult call_prepared(runtime::GuestInstance& guest, std::uint64_t address, const std::uint64_t* registers,
                             CallShape shape) {
  CAISSON_PERF_SCOPE(runtime::invoke_counter);
  bool returned;
  if (guest.run_state_.load(std::memory_order_relaxed) == runtime::RunState::kReturned &&
      !memory::ExecutableMemory::is_lost()) [[likely]] {
    runtime::RunningMark mark(guest.run_state_, runtime::RunningMark::kFree);
    returned = guest.call_at_once(address, runtime::as_arguments(registers, shape), mark);
  } else {
    returned = guest.call_behind_another_run(address, registers, shape);
  }
  const riscv::HartState& hart = guest.hart_;
  return {returned, shape.return_register == ReturnRegister::kFloat ? hart.f[riscv::kA0] : hart.x[riscv::kA0]};
}

Error take_call_error(runtime::GuestInstance& guest) { return guest.take_call_error(); }

}  // namespace detail
}  // namespace caisson
