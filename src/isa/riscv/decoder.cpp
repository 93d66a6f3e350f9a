#include "isa/riscv/decoder.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "isa/riscv/form_layout.h"
#include "isa/riscv/operand_tables.h"
#include "isa/riscv/row_finder.h"

namespace caisson::riscv {
namespace {

// A Decoded is made as two words, `low` from the registers of Operands, `high` from their immediate.
struct DecodedWords {
  std::uint64_t low, high;
};
static_assert(std::endian::native == std::endian::little && sizeof(Decoded) == sizeof(DecodedWords) &&
              offsetof(Decoded, row) == 2 && offsetof(Decoded, length) == 4 && offsetof(Decoded, rd) == 5 &&
              offsetof(Decoded, rs1) == 6 && offsetof(Decoded, rs2) == 7 && offsetof(Decoded, rm) == 9 &&
              offsetof(Decoded, imm) == 12);
constexpr std::uint64_t kRegisters = ~std::uint64_t{0} << 32;
constexpr std::uint32_t kRoundingMode = 7 << 8;

// What decoding takes of a row of the table, beside its operands.
struct DecodeRow {
  std::uint64_t constant = 0;  // op, row, length, and registers that the form implies
  std::uint32_t rounding_mode = 0;  // a mask
  bool is_incomplete = false;  // for complete()
};

constexpr DecodeRow make_decode_row(const InstructionInfo& row) {
  const auto number = static_cast<std::uint16_t>(row.op);
  const FormLayout& layout = layout_of(row.form);
  return {
      .constant = static_cast<std::uint64_t>(row.base) | std::uint64_t{number} << 16 |
                  std::uint64_t{row.has(traits::kCompressed) ? 2U : 4U} << 32 | (fixed_operands(row.form) & kRegisters),
      .rounding_mode = row.has(traits::kRoundingMode) ? kRoundingMode : 0,
      .is_incomplete = layout.rs3.mask != 0 || layout.ordering.mask != 0,
  };
}

constexpr std::array<DecodeRow, kRowCount> kDecodeRows = [] {
  std::array<DecodeRow, kRowCount> rows{};
  for (std::size_t number = 1; number < kOpCount; ++number) rows[number] = make_decode_row(kInstructions[number]);
  rows[kIllegalWord].constant = std::uint64_t{4} << 32;
  rows[kIllegalCompressed].constant = std::uint64_t{2} << 32;
  return rows;
}();

// The operands that few instructions have.
[[gnu::noinline]] Decoded complete(Decoded decoded, std::uint32_t bits) {
  const FormLayout& layout = layout_of(info(decoded.row).form);
  decoded.rs3 = layout.rs3.of(bits);
  decoded.ordering = layout.ordering.of(bits);
  return decoded;
}

}  // namespace

Decoded decode(std::uint32_t bits) {
  const RowNumber number = find_row(bits);
  const DecodeRow& row = kDecodeRows[number];
  const Operands operands = kRowOperands[number].of(bits);
  const auto decoded = std::bit_cast<Decoded>(DecodedWords{.low = row.constant | (operands & kRegisters),
                                                           .high = operands << 32 | (bits >> 4 & row.rounding_mode)});
  if (row.is_incomplete) [[unlikely]]
    return complete(decoded, bits);
  return decoded;
}

}  // namespace caisson::riscv
