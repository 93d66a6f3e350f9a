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

// Words: bits 6:2 (opcode), 31:25 (funct7) and 14:12 (funct3). Compressed encodings: bits 15:10, 6:5 and 1:0, whether the register in
// bits 11:7 is x0 or x2, and whether bits 6:2 are all 0. The keys of real code are in few cache lines.
using RowKey = std::uint16_t;
inline constexpr RowKey kFirstCompressedKey = 1 << 15;
inline constexpr std::size_t kRowKeys = kFirstCompressedKey + (1 << 13);
inline constexpr std::uint32_t kWordKeyBits = 0xFE00707F, kCompressedKeyBits = 0xFC63;

namespace detail {

// From the half-words of encodings; of 2-byte encodings `high` is ignored. Both kinds are computed, for choosing between two values is
// cheaper than a jump that real code makes unpredictable, and is done for many at a time: T is a vector of half-words, or a word.
// is_zero(value) is all ones where the value is 0.
template <class T, class IsZero>
[[gnu::always_inline]] constexpr T row_keys_of(T low, T high, const IsZero& is_zero) {
  const T rd = low & (31 << 7);
  const T word = (low << 8 & 0x7C00) | (high >> 6 & 0x3F8) | (low >> 12 & 7);
  const T compressed = kFirstCompressedKey | (is_zero(low & (31 << 2)) & 0x1000) | (is_zero(rd) & 0x800) |
                       (is_zero(rd ^ (2 << 7)) & 0x400) | (low >> 6 & 0x3F0) | (low >> 3 & 0xC) | (low & 3);
  const T is_word = is_zero((low & 3) ^ 3);
  return (word & is_word) | (compressed & ~is_word);
}

}  // namespace detail

constexpr RowKey row_key(std::uint32_t bits) {
  const auto is_zero = [](std::uint32_t value) { return value == 0 ? ~std::uint32_t{0} : std::uint32_t{0}; };
  return static_cast<RowKey>(detail::row_keys_of(bits & 0xFFFF, bits >> 16, is_zero));
}
// The keys of the encodings that would begin at each of `count` half-words, and a bit for each that would be a word, in as many words of
// 64 as that takes. One more half-word is read. Only where the host has AVX2.
void make_row_keys(const std::uint16_t* half_words, std::size_t count, RowKey* keys, std::uint64_t* words);

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
inline RowNumber find_row(std::uint32_t bits) { return find_row(row_key(bits), bits); }

// The immediate of an encoding whose row is known, as Decoded::imm.
inline std::int32_t immediate_of(RowNumber row, std::uint32_t bits) {
  return static_cast<std::int32_t>(kRowOperands[row].of(bits));
}

}  // namespace caisson::riscv
