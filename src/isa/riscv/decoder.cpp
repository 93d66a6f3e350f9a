#include "isa/riscv/decoder.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "isa/riscv/form_layout.h"
#include "isa/riscv/operand_tables.h"
#include "isa/riscv/row_index.h"

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

// What decoding takes of a row of the table, in one cache line.
struct alignas(64) DecodeRow {
  // op, row, length, and registers that the form implies.
  std::uint64_t constant = 0;
  OperandSource operands{};
  // As InstructionInfo::matches: (bits & mask) == match and (bits & nonzero) >= least.
  std::uint32_t mask = 0, match = 0, nonzero = 0;
  std::uint32_t rounding_mode = 0;  // kRoundingMode where there is one
  std::uint8_t least = 0;
  RowNumber next = 0;
  bool is_incomplete = false;  // for complete()

  constexpr bool matches(std::uint32_t bits) const { return (bits & mask) == match && (bits & nonzero) >= least; }
};
static_assert(sizeof(DecodeRow) == 64);

constexpr DecodeRow make_row(const InstructionInfo& row) {
  const auto number = static_cast<std::uint16_t>(row.op);
  const FormLayout& layout = layout_of(row.form);
  return {
      .constant = static_cast<std::uint64_t>(row.base) | std::uint64_t{number} << 16 |
                  std::uint64_t{row.has(traits::kCompressed) ? 2U : 4U} << 32 | (fixed_operands(row.form) & kRegisters),
      .operands = operand_source(row.form),
      .mask = row.mask,
      .match = row.match,
      .nonzero = row.nonzero,
      .rounding_mode = row.has(traits::kRoundingMode) ? kRoundingMode : 0,
      .least = row.nonzero != 0,
      .next = kRowIndex.next(static_cast<RowNumber>(number)),
      .is_incomplete = layout.rs3.mask != 0 || layout.ordering.mask != 0 || row.gas_class == GasClass::kCsr,
  };
}

constexpr std::array<DecodeRow, kRowCount> make_rows() {
  std::array<DecodeRow, kRowCount> rows{};
  for (const InstructionInfo& row : kInstructions) rows[static_cast<std::size_t>(row.op)] = make_row(row);
  rows[kIllegalWord] = {.constant = std::uint64_t{4} << 32};
  rows[kIllegalCompressed] = {.constant = std::uint64_t{2} << 32};
  return rows;
}
constexpr std::array<DecodeRow, kRowCount> kRows = make_rows();

// The operands that few instructions have, and what the pattern of a row cannot say.
Decoded complete(Decoded decoded, std::uint32_t bits) {
  const InstructionInfo& row = info(decoded.row);
  const FormLayout& layout = layout_of(row.form);
  decoded.rs3 = layout.rs3.of(bits);
  decoded.ordering = layout.ordering.of(bits);
  if (row.gas_class != GasClass::kCsr) return decoded;
  const bool writes = row.op == Op::kCsrrw || row.op == Op::kCsrrwi || decoded.rs1 != 0;
  return is_legal_csr_access(static_cast<std::uint32_t>(decoded.imm), writes) ? decoded : Decoded{};
}

}  // namespace

Decoded decode(std::uint32_t bits) {
  const DecodeRow* row = &kRows[kRowIndex.first(bits)];
  while (!row->matches(bits)) [[unlikely]]
    row = &kRows[row->next];
  const Operands operands = row->operands.of(bits);
  const auto decoded = std::bit_cast<Decoded>(DecodedWords{.low = row->constant | (operands & kRegisters),
                                                           .high = operands << 32 | (bits >> 4 & row->rounding_mode)});
  if (row->is_incomplete) [[unlikely]]
    return complete(decoded, bits);
  return decoded;
}

}  // namespace caisson::riscv
