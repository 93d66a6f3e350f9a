// What the passes over a page ask of every instruction, in a byte each: the rows of the instruction table are a cache line apart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "isa/riscv/instructions.h"

namespace caisson::baseline {

enum OpFact : std::uint8_t {
  kEnds = 1,  // a terminator, or no instruction
  kBranches = 2,
  kJumps = 4,  // jal, jalr
  kUsesFloats = 8,  // float registers or the floating-point CSRs
  kIsPlain = 16,  // integer arithmetic, a load or a store: leaves straight-line code by a fault alone
  kUsesMemory = 32,
  kIsAtomic = 64,
};

constexpr std::uint8_t facts_of(const riscv::InstructionInfo& row) {
  using riscv::Form;
  using namespace riscv::traits;
  const bool ends = row.op == riscv::Op::kIllegal || row.has(kTerminator);
  const bool has_floats = (row.traits & (kFloatRd | kFloatRs1 | kFloatRs2)) != 0;
  const bool is_plain_form = row.form == Form::kR || row.form == Form::kI || row.form == Form::kLoad ||
                             row.form == Form::kStore || row.form == Form::kU || row.form == Form::kShift ||
                             row.form == Form::kShiftW || row.form == Form::kUnary;
  std::uint8_t facts = 0;
  if (ends) facts |= kEnds;
  if (row.form == Form::kB) facts |= kBranches;
  if (row.form == Form::kJ || row.form == Form::kJalr) facts |= kJumps;
  if (has_floats || row.gas_class == riscv::GasClass::kCsr) facts |= kUsesFloats;
  if (is_plain_form && !ends && !has_floats && !row.has(kAtomic)) facts |= kIsPlain;
  if ((row.traits & (kLoad | kStore)) != 0) facts |= kUsesMemory;
  if (row.has(kAtomic)) facts |= kIsAtomic;
  return facts;
}

// The instruction that a row of the table is an encoding of.
constexpr riscv::Op base_of(riscv::RowNumber row) {
  return row == riscv::kIllegalCompressed ? riscv::Op::kIllegal : riscv::kInstructions[row].base;
}
inline constexpr std::array<std::uint8_t, riscv::kRowCount> kRowFacts = [] {
  std::array<std::uint8_t, riscv::kRowCount> facts{};
  for (std::size_t row = 0; row < facts.size(); ++row)
    facts[row] = facts_of(riscv::info(base_of(static_cast<riscv::RowNumber>(row))));
  return facts;
}();

// Any of `facts`.
constexpr bool has_fact(riscv::RowNumber row, unsigned facts) { return (kRowFacts[row] & facts) != 0; }

}  // namespace caisson::baseline
