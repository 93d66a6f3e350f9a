// Instructions that are rare or long enough to work on the spilled state of the hart, as plain functions.
#pragma once

#include "interp/handler_support.h"
#include "interp/record.h"
#include "isa/riscv/instructions.h"

namespace caisson::interp {

// How a generic instruction ended.
enum class GenericOutcome : std::uint8_t {
  kNext,      // done
  kTrap,      // hart.trap is set; nothing of the instruction took effect
  kTransfer,  // hart.pc is the target of a jump
};

// The handler around `function`, a GenericOutcome (HartState&, const Record&, std::int64_t gas): `gas` is what is left of the
// slice. The record has a, b, c, d = rd, rs1, rs2, rs3 and e, or imm in place of c, d, e.
template <auto function>
CAISSON_HANDLER generic_form(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SPILL();
  const GenericOutcome outcome = function(*hart, *ip, gas);
  CAISSON_RELOAD();
  if (outcome == GenericOutcome::kNext) [[likely]] CAISSON_NEXT();
  if (outcome == GenericOutcome::kTransfer) [[clang::musttail]] return handler_resolve(CAISSON_INTERP_ARGUMENTS);
  [[clang::musttail]] return handler_generic_trap(CAISSON_INTERP_ARGUMENTS);
}

struct GenericRow {
  riscv::Op op;
  Handler handler;
};

template <std::size_t size>
constexpr Handler find_generic(const GenericRow (&rows)[size], riscv::Op op) {
  for (const GenericRow& row : rows) {
    if (row.op == op) return row.handler;
  }
  return nullptr;
}

// The handlers of each group, null for other instructions.
Handler generic_integer_handler(riscv::Op op);
Handler generic_atomic_handler(riscv::Op op);
Handler generic_float_handler(riscv::Op op);
Handler generic_system_handler(riscv::Op op);

}  // namespace caisson::interp
