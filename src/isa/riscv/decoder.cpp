#include "isa/riscv/decoder.h"

#include <array>
#include <cstddef>

#include "isa/riscv/form_layout.h"

namespace caisson::riscv {
namespace {

// Finds the row of an encoding. A key of the bits that tell most encodings apart leads to the first row that may match;
// `next` leads on to later ones. A chain may hold rows of other keys, which do no harm since a row is compared in full.
// Rows stay in the table's order, which is what "the row that stands first" means.
class RowIndex {
 public:
  constexpr RowIndex() {
    for (const InstructionInfo& row : kInstructions) {
      if (row.op != Op::kIllegal) add(row);
    }
  }

  // kIllegal where there is none.
  Op find(std::uint32_t bits) const {
    Op op = first_[key(bits)];
    while (op != Op::kIllegal && !info(op).matches(bits)) op = next_[static_cast<std::size_t>(op)];
    return op;
  }

 private:
  // Words: bits 6:2 (opcode), 14:12 (funct3) and 31:25 (funct7). What immediates fill is lowest, to stay within few
  // cache lines.
  static constexpr std::size_t kWordKeys = 1 << 15;
  static constexpr std::uint32_t word_key(std::uint32_t bits) {
    return (bits >> 2 & 0x1F) << 10 | (bits >> 12 & 7) << 7 | bits >> 25;
  }

  // Compressed encodings: bits 1:0 (quadrant) and 15:10 (funct3, and what quadrants 1 and 2 add to it).
  static constexpr std::size_t kCompressedKeys = 1 << 8;
  static constexpr std::uint32_t compressed_key(std::uint32_t bits) { return (bits & 3) | (bits >> 8 & 0xFC); }

  // Both are computed, for choosing between two values is cheaper than a jump that real code makes unpredictable.
  static constexpr std::size_t key(std::uint32_t bits) {
    const std::size_t word = word_key(bits), compressed = kWordKeys + compressed_key(bits);
    return (bits & 3) == 3 ? word : compressed;
  }

  constexpr void add(const InstructionInfo& row) {
    const bool is_compressed = row.has(traits::kCompressed);
    const std::uint32_t all = is_compressed ? kCompressedKeys - 1 : kWordKeys - 1;
    const std::uint32_t free = all & ~(is_compressed ? compressed_key(row.mask) : word_key(row.mask));
    const std::size_t fixed = key(row.match);
    std::uint32_t subset = 0;  // runs through every subset of the free bits and back to 0
    do {
      Op* link = &first_[fixed + subset];
      while (*link != Op::kIllegal && *link != row.op) link = &next_[static_cast<std::size_t>(*link)];
      *link = row.op;
      subset = (subset - free) & free;
    } while (subset != 0);
  }

  std::array<Op, kWordKeys + kCompressedKeys> first_{};
  std::array<Op, kOpCount> next_{};
};

constexpr RowIndex kRows;

// What the pattern of a row cannot say.
bool is_legal(const Decoded& decoded, const InstructionInfo& row) {
  // "frm": modes 5 and 6 are reserved; 7 takes the mode from fcsr at run time.
  if (decoded.rm == 5 || decoded.rm == 6) return false;
  if (row.gas_class != GasClass::kCsr) return true;
  const bool always_writes = row.op == Op::kCsrrw || row.op == Op::kCsrrwi;
  return is_legal_csr_access(static_cast<std::uint32_t>(decoded.imm), always_writes || decoded.rs1 != 0);
}

}  // namespace

Decoded decode(std::uint32_t bits) {
  const InstructionInfo& row = info(kRows.find(bits));
  const FormLayout& layout = layout_of(row.form);
  const std::uint32_t rounding_mask = row.has(traits::kRoundingMode) ? 7 : 0;
  const Decoded decoded = {
      .op = row.base,
      .row = row.op,
      .length = instruction_length(static_cast<std::uint16_t>(bits)),
      .rd = layout.rd.of(bits),
      .rs1 = layout.rs1.of(bits),
      .rs2 = layout.rs2.of(bits),
      .rs3 = layout.rs3.of(bits),
      .rm = static_cast<std::uint8_t>(bits >> 12 & rounding_mask),
      .ordering = layout.ordering.of(bits),
      .imm = layout.immediate.of(bits),
  };
  return is_legal(decoded, row) ? decoded : Decoded{.length = decoded.length};
}

}  // namespace caisson::riscv
