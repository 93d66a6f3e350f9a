// Which row of the table an encoding is, without its operands: by one look at a table.
//
// A key is the bits that tell encodings apart. For nearly all keys the row is decided; what few words of a key are others' is found by
// comparing them with rows. Private to decoder.cpp and to passes over whole pages, which know operands from the row (row_operands.h) and
// make many keys at a time; everybody else calls decode() (decoder.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "isa/riscv/instructions.h"
#include "isa/riscv/operand_tables.h"

namespace caisson::riscv {

// Words: bits 6:2 (opcode), 14:12 (funct3) and 31:25 (funct7). Compressed encodings: all but the register in bits 11:7, of which
// only bits 11 and 10 count and whether it is x0 or x2. What differs most is lowest, to stay within few cache lines.
using RowKey = std::uint16_t;
inline constexpr std::size_t kRowKeys = 1 << 16;
inline constexpr std::uint32_t kWordKeyBits = 0xFE00707F, kCompressedKeyBits = 0xFC7F;

// From the half-words of an encoding; of 2-byte encodings `high` is ignored. Both kinds are computed, for choosing between two values is
// cheaper than a jump that real code makes unpredictable, and can be done for many at a time.
constexpr RowKey row_key(std::uint16_t low, std::uint16_t high) {
  constexpr unsigned kRd = 31 << 7;
  const unsigned word = (low << 8 & 0x7C00) | (low >> 5 & 0x380) | high >> 9;
  const unsigned compressed = 0x8000 | ((low & kRd) == 0 ? 0x4000U : 0U) | ((low & kRd) == 2 << 7 ? 0x2000U : 0U) |
                              (low >> 3 & 0x1F80) | (low & 0x7F);
  return static_cast<RowKey>((low & 3) == 3 ? word : compressed);
}

// For a key whose encodings are not all the same row's.
inline constexpr RowNumber kUndecidedRow = kIllegalCompressed + 1;
static_assert(kUndecidedRow == kRowCount, "it is no row");
extern const std::array<RowNumber, kRowKeys> kRowsByKey;
extern const std::array<OperandSource, kRowCount> kRowOperands;

[[clang::preserve_most]] RowNumber find_undecided_row(std::uint32_t word);

// Any illegal encoding, also of a CSR that may not be accessed so, is kIllegalWord or kIllegalCompressed.
[[gnu::always_inline]] inline RowNumber find_row(RowKey key, std::uint32_t bits) {
  const RowNumber row = kRowsByKey[key];
  if (row == kUndecidedRow) [[unlikely]]
    return find_undecided_row(bits);
  return row;
}
inline RowNumber find_row(std::uint32_t bits) {
  return find_row(row_key(static_cast<std::uint16_t>(bits), static_cast<std::uint16_t>(bits >> 16)), bits);
}

// The immediate of an encoding whose row is known, as Decoded::imm.
inline std::int32_t immediate_of(RowNumber row, std::uint32_t bits) {
  return static_cast<std::int32_t>(kRowOperands[row].of(bits));
}

}  // namespace caisson::riscv
