#include "isa/riscv/decoder.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "isa/riscv/form_layout.h"
#include "isa/riscv/inline_decoder.h"

namespace caisson::riscv {
namespace inline_decoder {
namespace {

constexpr std::uint32_t kRoundingMode = 7 << 8;

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

}  // namespace

constexpr std::array<DecodeRow, kRowCount> kRows = make_rows();

[[clang::preserve_most]] const DecodeRow& next_match(const DecodeRow& row, std::uint32_t bits) {
  const DecodeRow* next = &row;
  do {
    next = &kRows[next->next];
  } while (!next->matches(bits));
  return *next;
}

[[clang::preserve_most]] Decoded complete(Decoded decoded, std::uint32_t bits) {
  const InstructionInfo& row = info(decoded.row);
  const FormLayout& layout = layout_of(row.form);
  decoded.rs3 = layout.rs3.of(bits);
  decoded.ordering = layout.ordering.of(bits);
  if (row.gas_class != GasClass::kCsr) return decoded;
  const bool writes = row.op == Op::kCsrrw || row.op == Op::kCsrrwi || decoded.rs1 != 0;
  return is_legal_csr_access(static_cast<std::uint32_t>(decoded.imm), writes) ? decoded : Decoded{};
}

}  // namespace inline_decoder

Decoded decode(std::uint32_t bits) { return inline_decoder::decode(bits); }

}  // namespace caisson::riscv
