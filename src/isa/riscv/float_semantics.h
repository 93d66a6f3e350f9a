// What every floating-point instruction but loads and stores does, in integers: the definition, and what tiers call where
// the host's arithmetic is not enough (round to nearest, ties away; static rounding modes; corner results of conversions).
//
//   if (!uses_host_rounding(decoded.op, decoded.rm) && !execute_float(hart, decoded)) return illegal();
//
// It works on hart.x, hart.f, hart.frm and hart.fflags, neither reads nor writes MXCSR (host_float.h), and computes by
// soft_float.h. It knows no pc and no gas. Thread-safe for different harts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "isa/riscv/decoder.h"
#include "isa/riscv/hart_state.h"
#include "isa/riscv/instructions.h"

namespace caisson::riscv {

// Register numbers, integer or floating-point as the instruction has them, of which unused ones are ignored, and the rm
// field. An integer rd may be kDiscardSlot for x0.
struct FloatOperands {
  std::uint8_t rd = 0, rs1 = 0, rs2 = 0, rs3 = 0;
  std::uint8_t rounding_mode = 0;
};

// False, and nothing changed, where the rounding mode is dynamic and frm holds 5 … 7: then the instruction is illegal.
using FloatFunction = bool (*)(HartState& hart, const FloatOperands& operands);

// By base instruction, null for what is no floating-point instruction and for loads and stores.
extern const std::array<FloatFunction, kBaseOpCount> kFloatFunctions;

inline FloatFunction float_function(Op op) { return kFloatFunctions[static_cast<std::size_t>(op)]; }

// The instruction must have a function in the table.
inline bool execute_float(HartState& hart, const Decoded& decoded) {
  return float_function(decoded.op)(
      hart,
      {.rd = decoded.rd, .rs1 = decoded.rs1, .rs2 = decoded.rs2, .rs3 = decoded.rs3, .rounding_mode = decoded.rm});
}

// Whether the instruction is performed under the rounding mode in fcsr, which MXCSR holds (host_float.h): its own is
// dynamic, or it has none, or its result is always exact.
constexpr bool uses_host_rounding(Op op, std::uint8_t rounding_mode) {
  const InstructionInfo& row = info(op);
  const bool is_static = rounding_mode != static_cast<std::uint8_t>(RoundingMode::kDynamic);
  return !row.has(traits::kRoundingMode) || !is_static || row.has(traits::kExact);
}

}  // namespace caisson::riscv
