// Instructions that are rare or long enough to work on the hart's state in memory, as plain functions.
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

// `function` is a GenericOutcome (HartState&, const Record&, std::int64_t gas), `gas` what is left of the slice. The record has
// a, b, c, d = rd, rs1, rs2, rs3 and e, or imm in place of c, d, e.

// The handler that lowering uses: pinned operands were written to memory by the records before, a pinned rd is read by the
// record behind.
template <auto function>
CAISSON_HANDLER generic_form(CAISSON_INTERP_PARAMETERS) {
  if (function(*hart, *ip, gas) == GenericOutcome::kNext) [[likely]]
    CAISSON_NEXT();
  [[clang::musttail]] return handler_generic_trap(CAISSON_INTERP_ARGUMENTS);
}

// The handler for the slow path of one that works on the pins: all of them go to memory and back.
template <auto function>
CAISSON_HANDLER spilling_form(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SPILL();
  const GenericOutcome outcome = function(*hart, *ip, gas);
  CAISSON_RELOAD();
  if (outcome == GenericOutcome::kNext) [[likely]]
    CAISSON_NEXT();
  if (outcome == GenericOutcome::kTransfer) [[clang::musttail]]
    return handler_resolve(CAISSON_INTERP_ARGUMENTS);
  [[clang::musttail]] return handler_generic_trap(CAISSON_INTERP_ARGUMENTS);
}

struct GenericRow {
  riscv::Op op;
  Handler generic;
  Handler spilling;  // null where no handler has a slow path to it
};

template <riscv::Op op, auto function>
inline constexpr GenericRow kGenericRow = {op, generic_form<function>, nullptr};
template <riscv::Op op, auto function>
inline constexpr GenericRow kSlowPathRow = {op, generic_form<function>, spilling_form<function>};

template <std::size_t size>
constexpr const GenericRow* find_generic(const GenericRow (&rows)[size], riscv::Op op) {
  for (const GenericRow& row : rows) {
    if (row.op == op) return &row;
  }
  return nullptr;
}

// The rows of each group, null for other instructions.
const GenericRow* generic_integer_row(riscv::Op op);
const GenericRow* generic_atomic_row(riscv::Op op);
const GenericRow* generic_float_row(riscv::Op op);
const GenericRow* generic_system_row(riscv::Op op);

}  // namespace caisson::interp
