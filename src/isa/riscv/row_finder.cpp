#include "isa/riscv/row_finder.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "isa/riscv/form_layout.h"
#include "isa/riscv/operand_tables.h"

namespace caisson::riscv {
namespace {

// Rounding modes 5 and 6 are reserved ("frm"); no row is entered for them.
constexpr bool is_reserved(const InstructionInfo& row, std::uint32_t bits) {
  const std::uint32_t mode = bits >> 12 & 7;
  return row.has(traits::kRoundingMode) && (mode == 5 || mode == 6);
}

// Calls `visit` with the row's pattern and every choice of the bits that keys have and the pattern leaves free.
template <class Visitor>
constexpr void for_each_key(const InstructionInfo& row, const Visitor& visit) {
  const std::uint32_t free = (row.has(traits::kCompressed) ? kCompressedKeyBits : kWordKeyBits) & ~row.mask;
  std::uint32_t subset = 0;  // runs through every subset of the free bits and back to 0
  do {
    if (!is_reserved(row, row.match | subset)) visit(row.match | subset);
    subset = (subset - free) & free;
  } while (subset != 0);
}

// Whether the key says all that the row's pattern asks.
constexpr bool is_decided_by_key(const InstructionInfo& row) {
  return (row.mask & ~kWordKeyBits) == 0 && row.nonzero == 0 && row.gas_class != GasClass::kCsr;
}

// What stands first in the table is meant, so it is entered last.
constexpr std::array<RowNumber, kRowKeys> make_rows_by_key() {
  std::array<RowNumber, kRowKeys> rows{};
  for (std::size_t key = 0; key < kRowKeys; ++key)
    rows[key] = key < kFirstCompressedKey ? kIllegalWord : kIllegalCompressed;
  for (std::size_t number = kOpCount; number-- > 1;) {
    const InstructionInfo& row = kInstructions[number];
    for_each_key(row, [&](std::uint32_t bits) {
      if (!row.has(traits::kCompressed)) {
        rows[row_key(bits)] = is_decided_by_key(row) ? static_cast<RowNumber>(number) : kUndecidedRow;
        return;
      }
      // What keys tell apart of the other bits: x0, x2, and another register; 0, and anything else.
      for (const std::uint32_t rd : {0U, 2U << 7, 1U << 7}) {
        for (const std::uint32_t rs2 : {0U, 1U << 2}) {
          if (row.matches(bits | rd | rs2)) rows[row_key(bits | rd | rs2)] = static_cast<RowNumber>(number);
        }
      }
    });
  }
  return rows;
}

// In the order of the table.
struct UndecidedRows {
  std::array<RowNumber, kRowCount> rows{};
  std::size_t count = 0;
};
constexpr UndecidedRows undecided_rows(const std::array<RowNumber, kRowKeys>& by_key) {
  UndecidedRows undecided;
  for (std::size_t number = 1; number < kBaseOpCount; ++number) {
    bool is_undecided = false;
    for_each_key(kInstructions[number],
                 [&](std::uint32_t bits) { is_undecided |= by_key[row_key(bits)] == kUndecidedRow; });
    if (is_undecided) undecided.rows[undecided.count++] = static_cast<RowNumber>(number);
  }
  return undecided;
}

// Whether the bits of a CSR instruction name one that a user program may access so.
bool is_legal_csr_instruction(const InstructionInfo& row, std::uint32_t bits) {
  const FormLayout& layout = layout_of(row.form);
  const bool writes = row.op == Op::kCsrrw || row.op == Op::kCsrrwi || layout.rs1.of(bits) != 0;
  return is_legal_csr_access(static_cast<std::uint32_t>(layout.immediate.of(bits)), writes);
}

}  // namespace

constexpr std::array<RowNumber, kRowKeys> kRowsByKey = make_rows_by_key();

namespace {
constexpr UndecidedRows kUndecidedRows = undecided_rows(kRowsByKey);
}  // namespace

constexpr std::array<OperandSource, kRowCount> kRowOperands = [] {
  std::array<OperandSource, kRowCount> operands{};
  for (std::size_t number = 1; number < kOpCount; ++number)
    operands[number] = operand_source(kInstructions[number].form);
  return operands;
}();

[[clang::preserve_most]] RowNumber find_undecided_row(std::uint32_t word) {
  for (std::size_t index = 0; index < kUndecidedRows.count; ++index) {
    const RowNumber row = kUndecidedRows.rows[index];
    const InstructionInfo& candidate = kInstructions[row];
    if (!candidate.matches(word)) continue;
    const bool is_csr = candidate.gas_class == GasClass::kCsr;
    return is_csr && !is_legal_csr_instruction(candidate, word) ? kIllegalWord : row;
  }
  return kIllegalWord;
}

}  // namespace caisson::riscv
