// Which row of the table an encoding is, without its operands: for passes over whole pages.
//
// What decode() answers as Decoded::row, or a row of illegal encodings. Who compiles knows the operands' places from the row
// (row_operands.h). Private to decoder.cpp and to such passes; everybody else calls decode() (decoder.h).
#pragma once

#include <array>
#include <cstdint>

#include "isa/riscv/operand_tables.h"
#include "isa/riscv/row_index.h"

namespace caisson::riscv {

// What tells whether an encoding is the row's, as InstructionInfo::matches: (bits & mask) == match and (bits & nonzero) >= least. Rows
// whose pattern does not say all match nothing, so that find_other_row() answers for them.
struct RowCheck {
  std::uint32_t mask = 0, match = 0, nonzero = 0, least = 0;

  constexpr bool matches(std::uint32_t bits) const { return (bits & mask) == match && (bits & nonzero) >= least; }
};
extern const std::array<RowCheck, kRowCount> kRowChecks;
extern const std::array<OperandSource, kRowCount> kRowOperands;

// The row of `bits`, which `row` does not match at first sight.
[[clang::preserve_most]] RowNumber find_other_row(RowNumber row, std::uint32_t bits);

// Of 2-byte encodings the upper half is ignored. Any illegal encoding, also of a CSR that may not be accessed so, is kIllegalWord or
// kIllegalCompressed.
[[gnu::always_inline]] inline RowNumber find_row(std::uint32_t bits) {
  const RowNumber row = kRowIndex.first(bits);
  if (kRowChecks[row].matches(bits)) [[likely]]
    return row;
  return find_other_row(row, bits);
}

// The immediate of an encoding whose row is known, as Decoded::imm.
inline std::int32_t immediate_of(RowNumber row, std::uint32_t bits) {
  return static_cast<std::int32_t>(kRowOperands[row].of(bits));
}

}  // namespace caisson::riscv
