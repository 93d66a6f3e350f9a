#include "kernel/operations.h"

#include <new>
#include <utility>

namespace caisson::kernel {
namespace {

using runtime::EcallOutcome;

constexpr OperationRow kRows[] = {
#define CAISSON_KERNEL_OPERATION(number, name, function, floor, per_page, per_code_page, operands, result, effect) \
  {number, #name, floor, per_page, per_code_page, operands, result, effect},
#include "kernel/operations.inc"
#undef CAISSON_KERNEL_OPERATION
};
constexpr OperationFunction kFunctions[] = {
#define CAISSON_KERNEL_OPERATION(number, name, function, floor, per_page, per_code_page, operands, result, effect) \
  &function,
#include "kernel/operations.inc"
#undef CAISSON_KERNEL_OPERATION
};

// Nothing may be thrown through compiled code.
template <std::size_t kRow>
KernelError call_function(OperationContext& operation) {
  try {
    return kFunctions[kRow](operation);
  } catch (const std::bad_alloc&) {
    return KernelError::kNoMemory;
  }
}

template <std::size_t kRow>
EcallOutcome answer(runtime::GuestInstance& guest, riscv::HartState& hart, void* context) {
  constexpr const OperationRow& kThis = kRows[kRow];
  if (!hart.charge(kThis.floor)) return EcallOutcome::kOutOfGas;
  OperationContext operation(kThis, *static_cast<Cell*>(context));
  const KernelError error = call_function<kRow>(operation);
  if (operation.is_out_of_gas()) return EcallOutcome::kOutOfGas;
  if (operation.ends_run()) {
    guest.finish(ExitReason::kHostCall, runtime::kKernelBase + kThis.number, 0);
    return EcallOutcome::kExit;
  }
  hart.x[riscv::kA0] = operation.value();
  hart.x[riscv::kA1] = static_cast<std::uint64_t>(error);
  return EcallOutcome::kContinue;
}

template <std::size_t... kRow>
void install(Cell& cell, std::index_sequence<kRow...>) {
  (cell.guest().set_ecall(runtime::kKernelBase + kRows[kRow].number, {&answer<kRow>, &cell}), ...);
}

}  // namespace

std::span<const OperationRow> operation_rows() { return kRows; }

void install_operations(Cell& cell) { install(cell, std::make_index_sequence<std::size(kRows)>()); }

}  // namespace caisson::kernel
