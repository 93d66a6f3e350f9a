// Ecalls: who answers them, and what the answer does to the run.
#include <algorithm>
#include <utility>

#include "gas/gas_schedule.h"
#include "runtime/guest_instance.h"
#include "runtime/host_call.h"
#include "runtime/router_counters.h"

namespace caisson::runtime {
namespace {

constexpr std::uint64_t kEcallLength = 4;
constexpr std::uint64_t kEcallGas = gas::weight(riscv::Op::kEcall);

}  // namespace

// One copy is part of answer_ecall().
[[gnu::always_inline]] inline void GuestInstance::handle_ecall_here() {
  CAISSON_PERF_SCOPE(ecall_counter);
  const std::uint64_t number = hart_.x[riscv::kA7];
  const std::uint64_t gas_before = hart_.gas;
  // Most host functions are called again and again, and to look one up takes loads that wait for each other.
  const EcallOutcome outcome = number == known_function_.number && known_function_.context != nullptr
                                   ? call_host_function(*this, hart_, known_function_.context)
                                   : call_handler(number);
  if (outcome == EcallOutcome::kContinue) [[likely]] {
    hart_.pc += kEcallLength;
  } else if (!handle_outcome(outcome, number, gas_before)) {
    return;
  }
  // Calls may take long for little gas: a deadline does not wait until they have used up a slice.
  if (slice_requested_ || deadline_passed()) [[unlikely]] {
    slice_requested_ = false;
    if (!finished_) end_slice();
  }
}

void GuestInstance::handle_ecall() { handle_ecall_here(); }

// What run() does for an ecall between two runs of the tier, for a tier that does not end its run for it.
[[gnu::always_inline]] inline std::uint64_t GuestInstance::answer_ecall(void* context, riscv::HartState& hart) {
  auto& instance = *static_cast<GuestInstance*>(context);
  const std::uint64_t gas_before = hart.gas;
  hart.reservation_width = 0;
  instance.handle_ecall_here();
  if (hart.gas != gas_before) [[unlikely]]
    instance.execution_->add_ecall_gas(gas_before - hart.gas);
  const std::uint64_t slice_used = hart.gas_used() - instance.slice_start_;
  if (instance.finished_ || slice_used >= kSliceGas || hart.interrupt.load(std::memory_order_relaxed) != 0) [[unlikely]]
    return 0;
  return std::max(kSliceGas - slice_used, Execution::kLeastSlice);
}

baseline::EcallFunction GuestInstance::ecall_function() {
  return &baseline::answer_ecall<&GuestInstance::answer_ecall>;
}

[[gnu::noinline]] EcallOutcome GuestInstance::call_handler(std::uint64_t number) {
  const EcallEntry entry = ecalls_.find(number);
  if (entry.handler == nullptr) return EcallOutcome::kUnclaimed;
  if (entry.handler == &call_host_function) known_function_ = {number, entry.context};
  return entry.handler(*this, hart_, entry.context);
}

// Outcomes that few ecalls have. False where a slice cannot end behind it.
[[gnu::noinline]] bool GuestInstance::handle_outcome(EcallOutcome outcome, std::uint64_t number,
                                                     std::uint64_t gas_before) {
  switch (outcome) {
    case EcallOutcome::kContinue:
    case EcallOutcome::kExit:
      hart_.pc += kEcallLength;
      return true;
    case EcallOutcome::kJumped:
      return true;
    case EcallOutcome::kOutOfGas:
      undo_ecall(gas_before);
      finish(ExitReason::kOutOfGas, hart_.pc, 0);
      return false;
    case EcallOutcome::kRestart:
      undo_ecall(gas_before);
      return true;
    case EcallOutcome::kUnclaimed:
      finish(ExitReason::kEcall, number, 0);
      return false;
    case EcallOutcome::kFault:
      handle_fault();
      return false;
  }
  return false;
}

// What the handler charged goes back, and the ecall's own weight: the ecall is the block that is entered next.
void GuestInstance::undo_ecall(std::uint64_t gas_before) { hart_.gas = gas_before + kEcallGas; }

}  // namespace caisson::runtime
