#include "isa/riscv/decoder.h"

#include <array>

namespace caisson::riscv {
namespace {

// --- finding the row ---
//
// A key of the bits that tell most encodings apart leads to the first row that may match; `next` leads on to the later ones.
// A chain may hold rows of other keys, which do no harm since a row is compared in full. Rows stay in table order, which is
// what "the row that stands first" means.

// Bits 6:2 (opcode), 14:12 (funct3) and 31:25 (funct7).
struct WordKey {
  static constexpr unsigned kBits = 15;
  static constexpr std::uint32_t of(std::uint32_t bits) {
    return (bits >> 2 & 0x1F) | (bits >> 7 & 0xE0) | (bits >> 17 & 0x7F00);
  }
};

// Bits 1:0 (quadrant) and 15:10 (funct3 and what quadrants 1 and 2 add to it).
struct CompressedKey {
  static constexpr unsigned kBits = 8;
  static constexpr std::uint32_t of(std::uint32_t bits) { return (bits & 3) | (bits >> 8 & 0xFC); }
};

template <class Key>
class RowIndex {
 public:
  // Of the rows [first, end).
  constexpr RowIndex(std::size_t first, std::size_t end) {
    for (std::size_t row = first; row < end; ++row) add(kInstructions[row]);
  }

  // The row of an encoding; kIllegal where there is none.
  Op find(std::uint32_t bits) const {
    Op op = first_[Key::of(bits)];
    while (op != Op::kIllegal && !info(op).matches(bits)) op = next_[static_cast<std::size_t>(op)];
    return op;
  }

 private:
  constexpr void add(const InstructionInfo& row) {
    const std::uint32_t free = ~Key::of(row.mask) & ((1u << Key::kBits) - 1);
    const std::uint32_t fixed = Key::of(row.match);
    std::uint32_t subset = 0;  // runs through every subset of the free bits and back to 0
    do {
      Op* link = &first_[fixed | subset];
      while (*link != Op::kIllegal && *link != row.op) link = &next_[static_cast<std::size_t>(*link)];
      *link = row.op;
      subset = (subset - free) & free;
    } while (subset != 0);
  }

  std::array<Op, std::size_t{1} << Key::kBits> first_{};
  std::array<Op, kOpCount> next_{};
};

constexpr RowIndex<WordKey> kWordRows(1, kBaseOpCount);
constexpr RowIndex<CompressedKey> kCompressedRows(kBaseOpCount, kOpCount);

// --- taking fields ---

constexpr std::uint32_t field(std::uint32_t bits, unsigned low, unsigned width) {
  return bits >> low & ((1u << width) - 1);
}

constexpr std::int32_t sign_extend(std::uint32_t value, unsigned width) {
  return static_cast<std::int32_t>(value << (32 - width)) >> (32 - width);
}

constexpr std::uint8_t register_at(std::uint32_t bits, unsigned low) {
  return static_cast<std::uint8_t>(field(bits, low, 5));
}

// The three-bit register fields of compressed encodings name x8 … x15.
constexpr std::uint8_t short_register_at(std::uint32_t bits, unsigned low) {
  return static_cast<std::uint8_t>(8 + field(bits, low, 3));
}

constexpr std::int32_t immediate_i(std::uint32_t bits) { return static_cast<std::int32_t>(bits) >> 20; }

constexpr std::int32_t immediate_s(std::uint32_t bits) {
  return sign_extend(field(bits, 25, 7) << 5 | field(bits, 7, 5), 12);
}

constexpr std::int32_t immediate_b(std::uint32_t bits) {
  return sign_extend(
      field(bits, 31, 1) << 12 | field(bits, 7, 1) << 11 | field(bits, 25, 6) << 5 | field(bits, 8, 4) << 1, 13);
}

constexpr std::int32_t immediate_u(std::uint32_t bits) { return static_cast<std::int32_t>(bits & 0xFFFFF000); }

constexpr std::int32_t immediate_j(std::uint32_t bits) {
  return sign_extend(
      field(bits, 31, 1) << 20 | field(bits, 12, 8) << 12 | field(bits, 20, 1) << 11 | field(bits, 21, 10) << 1, 21);
}

// Immediates of compressed encodings: "RVC Instruction Set Listings" has where each bit stands.
constexpr std::uint32_t compressed_unsigned(std::uint32_t bits) { return field(bits, 12, 1) << 5 | field(bits, 2, 5); }

constexpr std::int32_t compressed_signed(std::uint32_t bits) { return sign_extend(compressed_unsigned(bits), 6); }

constexpr std::uint32_t compressed_word_offset(std::uint32_t bits) {
  return field(bits, 10, 3) << 3 | field(bits, 6, 1) << 2 | field(bits, 5, 1) << 6;
}

constexpr std::uint32_t compressed_double_offset(std::uint32_t bits) {
  return field(bits, 10, 3) << 3 | field(bits, 5, 2) << 6;
}

constexpr std::int32_t compressed_add_16_sp(std::uint32_t bits) {
  return sign_extend(field(bits, 12, 1) << 9 | field(bits, 3, 2) << 7 | field(bits, 5, 1) << 6 |
                         field(bits, 2, 1) << 5 | field(bits, 6, 1) << 4,
                     10);
}

constexpr std::uint32_t compressed_add_4_sp(std::uint32_t bits) {
  return field(bits, 7, 4) << 6 | field(bits, 11, 2) << 4 | field(bits, 5, 1) << 3 | field(bits, 6, 1) << 2;
}

constexpr std::uint32_t compressed_load_word_sp(std::uint32_t bits) {
  return field(bits, 2, 2) << 6 | field(bits, 12, 1) << 5 | field(bits, 4, 3) << 2;
}

constexpr std::uint32_t compressed_load_double_sp(std::uint32_t bits) {
  return field(bits, 2, 3) << 6 | field(bits, 12, 1) << 5 | field(bits, 5, 2) << 3;
}

constexpr std::uint32_t compressed_store_word_sp(std::uint32_t bits) {
  return field(bits, 7, 2) << 6 | field(bits, 9, 4) << 2;
}

constexpr std::uint32_t compressed_store_double_sp(std::uint32_t bits) {
  return field(bits, 7, 3) << 6 | field(bits, 10, 3) << 3;
}

constexpr std::int32_t compressed_jump(std::uint32_t bits) {
  return sign_extend(field(bits, 12, 1) << 11 | field(bits, 8, 1) << 10 | field(bits, 9, 2) << 8 |
                         field(bits, 6, 1) << 7 | field(bits, 7, 1) << 6 | field(bits, 2, 1) << 5 |
                         field(bits, 11, 1) << 4 | field(bits, 3, 3) << 1,
                     12);
}

constexpr std::int32_t compressed_branch(std::uint32_t bits) {
  return sign_extend(field(bits, 12, 1) << 8 | field(bits, 5, 2) << 6 | field(bits, 2, 1) << 5 |
                         field(bits, 10, 2) << 3 | field(bits, 3, 2) << 1,
                     9);
}

// All ones where `row_traits` has `trait` (a single bit), else 0: which fields a row has is data, not a branch to mispredict.
constexpr std::uint32_t mask_of(std::uint32_t row_traits, std::uint32_t trait) {
  return (row_traits & trait) != 0 ? ~0u : 0;
}

// Registers stand at the same place in every 4-byte form.
void take_word_registers(std::uint32_t bits, std::uint32_t row_traits, Decoded& decoded) {
  decoded.rd = register_at(bits, 7) & mask_of(row_traits, traits::kWritesRd);
  decoded.rs1 = register_at(bits, 15) & mask_of(row_traits, traits::kReadsRs1);
  decoded.rs2 = register_at(bits, 20) & mask_of(row_traits, traits::kReadsRs2);
  decoded.rs3 = register_at(bits, 27) & mask_of(row_traits, traits::kReadsRs3);
  decoded.rm = register_at(bits, 12) & 7 & mask_of(row_traits, traits::kRoundingMode);
}

void take_word_fields(std::uint32_t bits, const InstructionInfo& row, Decoded& decoded) {
  take_word_registers(bits, row.traits, decoded);
  switch (row.form) {
    case Form::kI:
    case Form::kLoad:
    case Form::kJalr:
      decoded.imm = immediate_i(bits);
      break;
    case Form::kStore:
      decoded.imm = immediate_s(bits);
      break;
    case Form::kB:
      decoded.imm = immediate_b(bits);
      break;
    case Form::kU:
      decoded.imm = immediate_u(bits);
      break;
    case Form::kJ:
      decoded.imm = immediate_j(bits);
      break;
    case Form::kShift:
      decoded.imm = static_cast<std::int32_t>(field(bits, 20, 6));
      break;
    case Form::kShiftW:
      decoded.imm = static_cast<std::int32_t>(field(bits, 20, 5));
      break;
    case Form::kCsrImmediate:
      decoded.rs1 = register_at(bits, 15);
      [[fallthrough]];
    case Form::kCsr:
      decoded.imm = static_cast<std::int32_t>(field(bits, 20, 12));
      break;
    case Form::kFence:
      decoded.ordering = static_cast<std::uint8_t>(field(bits, 20, 8));
      break;
    case Form::kAtomic:
    case Form::kLoadReserved:
      decoded.ordering = static_cast<std::uint8_t>(field(bits, 25, 2));
      break;
    default:
      break;
  }
}

void set(Decoded& decoded, std::uint8_t rd, std::uint8_t rs1, std::uint8_t rs2, std::int64_t imm) {
  decoded.rd = rd;
  decoded.rs1 = rs1;
  decoded.rs2 = rs2;
  decoded.imm = static_cast<std::int32_t>(imm);
}

// Sets the operands of the base instruction that the encoding stands for.
void take_compressed_fields(std::uint32_t bits, Form form, Decoded& decoded) {
  constexpr std::uint8_t kX0 = 0, kLink = 1, kStack = 2;
  const std::uint8_t full_d = register_at(bits, 7), full_b = register_at(bits, 2);
  const std::uint8_t short_a = short_register_at(bits, 7), short_b = short_register_at(bits, 2);
  switch (form) {
    case Form::kCAddi:
      return set(decoded, full_d, full_d, 0, compressed_signed(bits));
    case Form::kCLi:
      return set(decoded, full_d, kX0, 0, compressed_signed(bits));
    case Form::kCLui:
      return set(decoded, full_d, 0, 0, std::int64_t{compressed_signed(bits)} * 4096);
    case Form::kCAddi16sp:
      return set(decoded, kStack, kStack, 0, compressed_add_16_sp(bits));
    case Form::kCAddi4spn:
      return set(decoded, short_b, kStack, 0, compressed_add_4_sp(bits));
    case Form::kCShift:
      return set(decoded, full_d, full_d, 0, compressed_unsigned(bits));
    case Form::kCShiftShort:
      return set(decoded, short_a, short_a, 0, compressed_unsigned(bits));
    case Form::kCAndi:
      return set(decoded, short_a, short_a, 0, compressed_signed(bits));
    case Form::kCArithmetic:
      return set(decoded, short_a, short_a, short_b, 0);
    case Form::kCMove:
      return set(decoded, full_d, kX0, full_b, 0);
    case Form::kCAdd:
      return set(decoded, full_d, full_d, full_b, 0);
    case Form::kCLoadWord:
      return set(decoded, short_b, short_a, 0, compressed_word_offset(bits));
    case Form::kCLoadDouble:
      return set(decoded, short_b, short_a, 0, compressed_double_offset(bits));
    case Form::kCStoreWord:
      return set(decoded, 0, short_a, short_b, compressed_word_offset(bits));
    case Form::kCStoreDouble:
      return set(decoded, 0, short_a, short_b, compressed_double_offset(bits));
    case Form::kCLoadWordSp:
      return set(decoded, full_d, kStack, 0, compressed_load_word_sp(bits));
    case Form::kCLoadDoubleSp:
      return set(decoded, full_d, kStack, 0, compressed_load_double_sp(bits));
    case Form::kCStoreWordSp:
      return set(decoded, 0, kStack, full_b, compressed_store_word_sp(bits));
    case Form::kCStoreDoubleSp:
      return set(decoded, 0, kStack, full_b, compressed_store_double_sp(bits));
    case Form::kCJump:
      return set(decoded, kX0, 0, 0, compressed_jump(bits));
    case Form::kCJumpRegister:
      return set(decoded, kX0, full_d, 0, 0);
    case Form::kCJumpRegisterLink:
      return set(decoded, kLink, full_d, 0, 0);
    case Form::kCBranch:
      return set(decoded, 0, short_a, kX0, compressed_branch(bits));
    default:
      return;
  }
}

// What the pattern of a row cannot say.
bool is_legal(const Decoded& decoded, const InstructionInfo& row) {
  // "frm": modes 5 and 6 are reserved; 7 takes the mode from fcsr at run time.
  if (row.has(traits::kRoundingMode) && (decoded.rm == 5 || decoded.rm == 6)) return false;
  if (row.gas_class == GasClass::kCsr) {
    const bool always_writes = row.op == Op::kCsrrw || row.op == Op::kCsrrwi;
    return is_legal_csr_access(static_cast<std::uint32_t>(decoded.imm), always_writes || decoded.rs1 != 0);
  }
  return true;
}

}  // namespace

Decoded decode(std::uint32_t bits) {
  Decoded decoded;
  decoded.length = instruction_length(static_cast<std::uint16_t>(bits));
  if (decoded.length == 2) {
    const InstructionInfo& row = info(kCompressedRows.find(bits & 0xFFFF));
    decoded.op = row.base;
    decoded.row = row.op;
    take_compressed_fields(bits, row.form, decoded);
    return decoded;
  }
  const InstructionInfo& row = info(kWordRows.find(bits));
  take_word_fields(bits, row, decoded);
  if (!is_legal(decoded, row)) return {};
  decoded.op = row.op;
  decoded.row = row.op;
  return decoded;
}

}  // namespace caisson::riscv
