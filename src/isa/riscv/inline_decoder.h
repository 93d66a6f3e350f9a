// decode() for loops over many encodings: the same, without a call for each.
//
// Private to decoder.cpp and to passes over whole pages; everybody else calls decode() (decoder.h).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "isa/riscv/decoder.h"
#include "isa/riscv/operand_tables.h"
#include "isa/riscv/row_index.h"

namespace caisson::riscv::inline_decoder {

// A Decoded is made as two words, `low` from the registers of Operands, `high` from their immediate.
struct DecodedWords {
  std::uint64_t low, high;
};
static_assert(std::endian::native == std::endian::little && sizeof(Decoded) == sizeof(DecodedWords) &&
              offsetof(Decoded, row) == 2 && offsetof(Decoded, length) == 4 && offsetof(Decoded, rd) == 5 &&
              offsetof(Decoded, rs1) == 6 && offsetof(Decoded, rs2) == 7 && offsetof(Decoded, rm) == 9 &&
              offsetof(Decoded, imm) == 12);
inline constexpr std::uint64_t kRegisters = ~std::uint64_t{0} << 32;

// What decoding takes of a row of the table, in one cache line.
struct alignas(64) DecodeRow {
  // op, row, length, and registers that the form implies.
  std::uint64_t constant = 0;
  OperandSource operands{};
  // As InstructionInfo::matches: (bits & mask) == match and (bits & nonzero) >= least.
  std::uint32_t mask = 0, match = 0, nonzero = 0;
  std::uint32_t rounding_mode = 0;  // a mask
  std::uint8_t least = 0;
  RowNumber next = 0;
  bool is_incomplete = false;  // for complete()

  constexpr bool matches(std::uint32_t bits) const { return (bits & mask) == match && (bits & nonzero) >= least; }
};
static_assert(sizeof(DecodeRow) == 64);

extern const std::array<DecodeRow, kRowCount> kRows;
// The row that matches, behind one that does not.
[[clang::preserve_most]] const DecodeRow& next_match(const DecodeRow& row, std::uint32_t bits);
// The operands that few instructions have, and what the pattern of a row cannot say.
[[clang::preserve_most]] Decoded complete(Decoded decoded, std::uint32_t bits);

[[gnu::always_inline]] inline Decoded decode(std::uint32_t bits) {
  const DecodeRow* row = &kRows[kRowIndex.first(bits)];
  if (!row->matches(bits)) [[unlikely]]
    row = &next_match(*row, bits);
  const Operands operands = row->operands.of(bits);
  const auto decoded = std::bit_cast<Decoded>(DecodedWords{.low = row->constant | (operands & kRegisters),
                                                           .high = operands << 32 | (bits >> 4 & row->rounding_mode)});
  if (row->is_incomplete) [[unlikely]]
    return complete(decoded, bits);
  return decoded;
}

}  // namespace caisson::riscv::inline_decoder
