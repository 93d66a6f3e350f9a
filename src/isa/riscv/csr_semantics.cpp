#include "isa/riscv/csr_semantics.h"

#include "isa/riscv/host_float.h"

namespace caisson::riscv {
namespace {

std::uint64_t read(HartState& hart, Csr csr, std::uint64_t gas_left_in_slice, TimeSource time, void* time_context) {
  switch (csr) {
    case Csr::kFflags:
      return hart.fflags;
    case Csr::kFrm:
      return hart.frm;
    case Csr::kFcsr:
      return hart.frm << 5 | hart.fflags;
    case Csr::kTime: {
      // A deterministic clock is driven by gas, so it sees what is left of the slice as the cycle counter does.
      hart.gas += gas_left_in_slice;
      const std::uint64_t ticks = time(time_context);
      hart.gas -= gas_left_in_slice;
      return ticks;
    }
    case Csr::kCycle:
    case Csr::kInstret:
      return hart.gas_used() - gas_left_in_slice;
  }
  return 0;
}

void write(HartState& hart, Csr csr, std::uint64_t value) {
  if (csr == Csr::kFflags || csr == Csr::kFcsr) hart.fflags = value & 0x1F;
  if (csr == Csr::kFrm) hart.frm = value & 7;
  if (csr == Csr::kFcsr) hart.frm = value >> 5 & 7;
}

}  // namespace

void execute_csr(HartState& hart, const CsrOperands& operands, std::uint64_t gas_left_in_slice, TimeSource time,
                 void* time_context) {
  collect_flags(hart);
  const Csr csr{operands.number};
  const bool is_immediate = info(operands.op).form == Form::kCsrImmediate;
  const std::uint64_t operand = is_immediate ? operands.rs1 : hart.x[operands.rs1];
  const std::uint64_t old = read(hart, csr, gas_left_in_slice, time, time_context);
  if (operands.op == Op::kCsrrw || operands.op == Op::kCsrrwi) {
    write(hart, csr, operand);
  } else if (operands.rs1 != 0) {  // csrrs and csrrc with x0 (or 0) do not write
    const bool sets = operands.op == Op::kCsrrs || operands.op == Op::kCsrrsi;
    write(hart, csr, sets ? old | operand : old & ~operand);
  }
  hart.x[operands.rd == 0 ? kDiscardSlot : operands.rd] = old;
  load_rounding_mode(hart);
}

}  // namespace caisson::riscv
