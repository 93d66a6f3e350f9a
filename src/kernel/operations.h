// The operations of the kernel personality: one handler each, installed in the ecall table of a cell.
//
// operations.inc is the table. A handler checks its operands, pays before it acts, and leaves its value in a0 and an error code in a1; an operation
// that is rejected has changed nothing but the gas. Those that change who runs (REPLY, HOST_CALL, HOST_YIELD, CALL_RESUME) tell
// the Invocation and end the run.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "isa/riscv/hart_state.h"
#include "kernel/cell.h"
#include "kernel/invocation.h"
#include "kernel/kernel_error.h"

namespace caisson::kernel {

// A row of operations.inc.
struct OperationRow {
  std::uint64_t number;
  std::string_view name;
  std::uint64_t floor, per_page, per_code_page;  // gas
  std::string_view operands, result, effect;
};
std::span<const OperationRow> operation_rows();

// What a handler works on.
class OperationContext {
 public:
  OperationContext(const OperationRow& row, Cell& cell)
      : row_(row), cell_(cell), hart_(cell.hart()), invocation_(*cell.invocation), self_(*cell.occupant) {}

  std::uint64_t operand(unsigned index) const { return hart_.x[riscv::kA0 + index]; }
  InstanceObject& self() { return self_; }
  Invocation& invocation() { return invocation_; }
  Tree& tree() { return invocation_.tree(); }
  CNodeObject& root() { return self_.root(); }
  memory::AddressSpace& memory() { return cell_.guest().memory(); }
  const riscv::HartState& hart() const { return hart_; }

  // Pays for pages and code pages by the row's prices, or for copied bytes. False, to be passed on by kOutOfGas, where gas falls short.
  [[nodiscard]] bool charge_pages(std::uint64_t pages, std::uint64_t code_pages = 0) {
    return charge(pages * row_.per_page + code_pages * row_.per_code_page);
  }
  [[nodiscard]] bool charge_bytes(std::uint64_t bytes) { return charge((bytes + kBytesPerGas - 1) / kBytesPerGas); }
  bool is_out_of_gas() const { return out_of_gas_; }

  void set_value(std::uint64_t value) { value_ = value; }
  std::uint64_t value() const { return value_; }
  // The run ends here; the invocation was told why.
  void end_run() { ends_run_ = true; }
  bool ends_run() const { return ends_run_; }

 private:
  static constexpr std::uint64_t kBytesPerGas = 16;  // as copies by host functions (caisson/host.h)
  bool charge(std::uint64_t gas) {
    if (hart_.charge(gas)) return true;
    out_of_gas_ = true;
    return false;
  }

  const OperationRow& row_;
  Cell& cell_;
  riscv::HartState& hart_;
  Invocation& invocation_;
  InstanceObject& self_;
  std::uint64_t value_ = 0;
  bool out_of_gas_ = false, ends_run_ = false;
};

using OperationFunction = KernelError (*)(OperationContext& context);
#define CAISSON_KERNEL_OPERATION(number, name, function, floor, per_page, per_code_page, operands, result, effect) \
  KernelError function(OperationContext& context);
#include "kernel/operations.inc"
#undef CAISSON_KERNEL_OPERATION

// Lets the cell's guest make them.
void install_operations(Cell& cell);

}  // namespace caisson::kernel
