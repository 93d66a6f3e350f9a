// Which row an encoding may be: a constant table that leads from a key, the bits that tell most encodings apart, to the
// first row that may match, and links that lead from there to the next.
//
// Private to the decoder. A chain may hold rows of other keys, which do no harm since rows are compared in full. Rows
// stay in the table's order, which is what "the row that stands first" means.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "isa/riscv/instructions.h"

namespace caisson::riscv {

// Rows by the number of their Op: kIllegalWord is the row of words that no other matches, and one more follows
// them for such compressed encodings.
using RowNumber = std::uint8_t;
inline constexpr std::size_t kRowCount = kOpCount + 1;
inline constexpr RowNumber kIllegalWord = 0, kIllegalCompressed = static_cast<RowNumber>(kOpCount);
static_assert(kIllegalCompressed == kOpCount, "RowNumber is too small");

class RowIndex {
 public:
  constexpr RowIndex() {
    std::fill(first_.begin() + kWordKeys, first_.end(), kIllegalCompressed);
    for (const InstructionInfo& row : kInstructions) {
      if (row.op != Op::kIllegal) add(row);
    }
    for (const InstructionInfo& row : kInstructions) {
      if (row.has(traits::kRoundingMode)) check_reserved(row);
    }
  }

  // The first row that `bits` may match.
  constexpr RowNumber first(std::uint32_t bits) const { return first_[key(bits)]; }
  // The row to try where `row` does not match. The last of a chain is one of the illegal rows.
  constexpr RowNumber next(RowNumber row) const { return next_[row]; }

 private:
  // Words: bits 6:2 (opcode), 14:12 (funct3) and 31:25 (funct7). What immediates fill is lowest, to stay within few
  // cache lines.
  static constexpr std::size_t kWordKeys = 1 << 15;
  static constexpr std::uint32_t kWordKeyBits = 0xFE00707F;
  static constexpr std::uint32_t word_key(std::uint32_t bits) {
    return (bits << 8 & 0x7C00) | (bits >> 5 & 0x380) | bits >> 25;
  }

  // Compressed encodings: bits 15:10 and 6:0, which are all but a register.
  static constexpr std::size_t kCompressedKeys = 1 << 13;
  static constexpr std::uint32_t kCompressedKeyBits = 0xFC7F;
  static constexpr std::uint32_t compressed_key(std::uint32_t bits) { return (bits >> 3 & 0x1F80) | (bits & 0x7F); }

  // Both are computed, for choosing between two values is cheaper than a jump that real code makes unpredictable.
  static constexpr std::size_t key(std::uint32_t bits) {
    const std::size_t word = word_key(bits), compressed = kWordKeys + compressed_key(bits);
    return (bits & 3) == 3 ? word : compressed;
  }

  // Rounding modes 5 and 6 are reserved ("frm"). No row is entered for them, so that decode() need not look.
  static constexpr bool is_reserved(const InstructionInfo& row, std::uint32_t bits) {
    const std::uint32_t mode = bits >> 12 & 7;
    return row.has(traits::kRoundingMode) && (mode == 5 || mode == 6);
  }

  // Calls `visit` with an encoding of every key that `row` has.
  template <class Visitor>
  static constexpr void for_each_key(const InstructionInfo& row, Visitor visit) {
    const std::uint32_t free = (row.has(traits::kCompressed) ? kCompressedKeyBits : kWordKeyBits) & ~row.mask;
    std::uint32_t subset = 0;  // runs through every subset of the free bits and back to 0
    do {
      visit(row.match | subset);
      subset = (subset - free) & free;
    } while (subset != 0);
  }

  constexpr void add(const InstructionInfo& row) {
    const auto number = static_cast<RowNumber>(row.op);
    const RowNumber end = row.has(traits::kCompressed) ? kIllegalCompressed : kIllegalWord;
    next_[number] = end;
    for_each_key(row, [&](std::uint32_t bits) {
      if (is_reserved(row, bits)) return;
      RowNumber* link = &first_[key(bits)];
      while (*link != end && *link != number) link = &next_[*link];
      *link = number;
    });
  }

  // No other row may have these keys, for its chain might lead to `row`.
  constexpr void check_reserved(const InstructionInfo& row) const {
    for_each_key(row, [&](std::uint32_t bits) {
      if (is_reserved(row, bits) && first(bits) != kIllegalWord) throw "a reserved rounding mode has a row";
    });
  }

  std::array<RowNumber, kWordKeys + kCompressedKeys> first_{};
  std::array<RowNumber, kRowCount> next_{};
};

inline constexpr RowIndex kRowIndex;

}  // namespace caisson::riscv
