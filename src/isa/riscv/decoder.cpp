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

constexpr bool is_illegal(RowNumber row) { return row == kIllegalWord || row == kIllegalCompressed; }

// An array with make(row) for each row that is an instruction.
template <class Value, class Make>
constexpr std::array<Value, kRowCount> for_rows(const Make& make) {
  std::array<Value, kRowCount> values{};
  for (std::size_t row = 0; row < kRowCount; ++row) {
    if (!is_illegal(static_cast<RowNumber>(row))) values[row] = make(kInstructions[row]);
  }
  return values;
}

constexpr std::array<DecodeRow, kRowCount> kDecodeRows = [] {
  auto rows = for_rows<DecodeRow>(make_decode_row);
  rows[kIllegalWord].constant = std::uint64_t{4} << 32;
  rows[kIllegalCompressed].constant = std::uint64_t{2} << 32;
  return rows;
}();

// Whether the bits of a CSR instruction name one that a user program may access so.
bool is_legal_csr_instruction(const InstructionInfo& row, std::uint32_t bits) {
  const FormLayout& layout = layout_of(row.form);
  const bool writes = row.op == Op::kCsrrw || row.op == Op::kCsrrwi || layout.rs1.of(bits) != 0;
  return is_legal_csr_access(static_cast<std::uint32_t>(layout.immediate.of(bits)), writes);
}

// The operands that few instructions have.
[[gnu::noinline]] Decoded complete(Decoded decoded, std::uint32_t bits) {
  const FormLayout& layout = layout_of(info(decoded.row).form);
  decoded.rs3 = layout.rs3.of(bits);
  decoded.ordering = layout.ordering.of(bits);
  return decoded;
}

}  // namespace

constexpr std::array<RowCheck, kRowCount> kRowChecks = for_rows<RowCheck>([](const InstructionInfo& row) {
  if (row.gas_class == GasClass::kCsr) return RowCheck{.mask = 0, .match = 1};
  return RowCheck{.mask = row.mask, .match = row.match, .nonzero = row.nonzero, .least = row.nonzero != 0 ? 1U : 0U};
});
constexpr std::array<OperandSource, kRowCount> kRowOperands =
    for_rows<OperandSource>([](const InstructionInfo& row) { return operand_source(row.form); });

[[clang::preserve_most]] RowNumber find_other_row(RowNumber row, std::uint32_t bits) {
  while (!is_illegal(row)) {
    const InstructionInfo& candidate = kInstructions[row];
    if (candidate.matches(bits)) {
      const bool is_csr = candidate.gas_class == GasClass::kCsr;
      return is_csr && !is_legal_csr_instruction(candidate, bits) ? kIllegalWord : row;
    }
    row = kRowIndex.next(row);
  }
  return row;
}

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
