// The instruction set as data: one row per instruction, from instructions.inc, and what every row says.
//
// Decoder, disassembler, gas schedule, interpreter dispatch and the ISA page of the docs are derived from this table;
// it knows encodings and operands, and must not know what an instruction does or costs. Base instructions have the
// small, dense numbers (1 … kBaseOpCount-1, so tiers can index arrays by Op), compressed encodings follow and name
// their base.
//
//   const InstructionInfo& row = info(Op::kAddUw);   // row.mnemonic == "add.uw", row.form == Form::kR
//
// Everything here is constexpr and immutable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace caisson::riscv {

// Every row of the table; 0 is what the table does not list.
enum class Op : std::uint16_t {
  kIllegal = 0,
#define CAISSON_INSTRUCTION(name, mnemonic, pattern, form, gas_class, traits) name,
#include "isa/riscv/instructions.inc"
  kFirstCompressed,
  kBeforeFirstCompressed = kFirstCompressed - 1,
#define CAISSON_COMPRESSED(name, mnemonic, pattern, form, base) name,
#include "isa/riscv/instructions.inc"
  kEnd,
};

// Numbers of Ops: [0, kBaseOpCount) are kIllegal and the base instructions, [kBaseOpCount, kOpCount) compressed
// encodings.
inline constexpr std::size_t kBaseOpCount = static_cast<std::size_t>(Op::kFirstCompressed);
inline constexpr std::size_t kOpCount = static_cast<std::size_t>(Op::kEnd);

// clang-format off: columns

// Which operands an encoding has, where they stand, and how they are written (decoder.cpp, disassembler.cpp).
enum class Form : std::uint8_t {
  kNone,          // ecall
  kR,             // add rd,rs1,rs2
  kI,             // addi rd,rs1,imm
  kLoad,          // lw rd,imm(rs1)
  kStore,         // sw rs2,imm(rs1)
  kB,             // beq rs1,rs2,target
  kU,             // lui rd,imm
  kJ,             // jal rd,target
  kJalr,          // jalr rd,imm(rs1)
  kR4,            // fmadd.s rd,rs1,rs2,rs3
  kShift,         // slli rd,rs1,6-bit amount
  kShiftW,        // slliw rd,rs1,5-bit amount
  kUnary,         // clz rd,rs1
  kCsr,           // csrrw rd,csr,rs1
  kCsrImmediate,  // csrrwi rd,csr,imm5
  kFence,         // fence pred,succ
  kAtomic,        // amoadd.w rd,rs2,(rs1)
  kLoadReserved,  // lr.w rd,(rs1)

  kCNone,              // c.ebreak
  kCAddi,              // c.addi rd,imm           rs1 = rd
  kCLi,                // c.li rd,imm             rs1 = x0
  kCLui,               // c.lui rd,imm
  kCAddi16sp,          // c.addi16sp sp,imm       rd = rs1 = sp
  kCAddi4spn,          // c.addi4spn rd',sp,imm   rs1 = sp
  kCShift,             // c.slli rd,amount        rs1 = rd
  kCShiftShort,        // c.srli rd',amount       rs1 = rd'
  kCAndi,              // c.andi rd',imm          rs1 = rd'
  kCArithmetic,        // c.sub rd',rs2'          rs1 = rd'
  kCMove,              // c.mv rd,rs2             rs1 = x0
  kCAdd,               // c.add rd,rs2            rs1 = rd
  kCLoadWord,          // c.lw rd',imm(rs1')
  kCLoadDouble,        // c.ld rd',imm(rs1')
  kCStoreWord,         // c.sw rs2',imm(rs1')
  kCStoreDouble,       // c.sd rs2',imm(rs1')
  kCLoadWordSp,        // c.lwsp rd,imm(sp)
  kCLoadDoubleSp,      // c.ldsp rd,imm(sp)
  kCStoreWordSp,       // c.swsp rs2,imm(sp)
  kCStoreDoubleSp,     // c.sdsp rs2,imm(sp)
  kCJump,              // c.j target              rd = x0
  kCJumpRegister,      // c.jr rs1                rd = x0
  kCJumpRegisterLink,  // c.jalr rs1              rd = ra
  kCBranch,            // c.beqz rs1',target      rs2 = x0
};

// What an instruction costs alike; src/gas/ gives each class its weight.
enum class GasClass : std::uint8_t {
  kIllegal,       // encodings that are not instructions
  kAlu,           // integer arithmetic, logic, shifts, bit manipulation, lui, auipc
  kMultiply,      // lower product
  kMultiplyHigh,  // upper product
  kDivide,        // integer quotient and remainder
  kLoad,          // integer and floating point
  kStore,         // integer and floating point
  kBranch,        // conditional
  kJump,          // jal
  kIndirectJump,  // jalr
  kFloat,         // arithmetic, fused, comparison, minimum and maximum, conversion, classification
  kFloatMove,     // moves between register files, sign injection
  kFloatDivide,   // division and square root
  kAtomic,        // AMO, LR, SC
  kFence,         // fence, fence.tso, pause
  kFenceI,        // fence.i
  kCsr,           // CSR reads and writes
  kEnvironment,   // ecall, ebreak
};
inline constexpr std::size_t kGasClassCount = static_cast<std::size_t>(GasClass::kEnvironment) + 1;

// Bits of InstructionInfo::traits.
namespace traits {

inline constexpr std::uint32_t kTerminator = 1 << 0;    // ends a block
inline constexpr std::uint32_t kLoad = 1 << 1;          // reads memory
inline constexpr std::uint32_t kStore = 1 << 2;         // writes memory
inline constexpr std::uint32_t kAtomic = 1 << 3;        // LR, SC, AMO: has aq and rl, must be aligned
inline constexpr std::uint32_t kCompressed = 1 << 4;    // a 2-byte encoding
inline constexpr std::uint32_t kRoundingMode = 1 << 5;  // has an rm field
inline constexpr std::uint32_t kRaisesFlags = 1 << 6;   // may set bits of fflags
inline constexpr std::uint32_t kWritesRd = 1 << 7;      // has this operand ...
inline constexpr std::uint32_t kReadsRs1 = 1 << 8;
inline constexpr std::uint32_t kReadsRs2 = 1 << 9;
inline constexpr std::uint32_t kReadsRs3 = 1 << 10;
inline constexpr std::uint32_t kFloatRd = 1 << 11;      // ... and it is a floating-point register
inline constexpr std::uint32_t kFloatRs1 = 1 << 12;
inline constexpr std::uint32_t kFloatRs2 = 1 << 13;
inline constexpr std::uint32_t kFloatRs3 = 1 << 14;
inline constexpr std::uint32_t kExact = 1 << 15;        // has an rm field, yet every result is exact

// clang-format on

// The combinations that rows name.
inline constexpr std::uint32_t kReadModifyWrite = kAtomic | kLoad | kStore;
inline constexpr std::uint32_t kFloatOperands = kFloatRd | kFloatRs1 | kFloatRs2;
inline constexpr std::uint32_t kFloatBinary = kFloatOperands | kRaisesFlags;
inline constexpr std::uint32_t kFloatFused = kFloatBinary | kFloatRs3;
inline constexpr std::uint32_t kFloatUnary = kFloatRd | kFloatRs1 | kRaisesFlags;
inline constexpr std::uint32_t kFloatCompare = kFloatRs1 | kFloatRs2 | kRaisesFlags;
inline constexpr std::uint32_t kFloatToInteger = kFloatRs1 | kRaisesFlags;
inline constexpr std::uint32_t kIntegerToFloat = kFloatRd | kRaisesFlags;

}  // namespace traits

// One row. An encoding is this row's if (bits & mask) == match and, where nonzero != 0, (bits & nonzero) != 0.
struct InstructionInfo {
  Op op = Op::kIllegal;
  Op base = Op::kIllegal;  // the base instruction: itself, or what a compressed encoding stands for
  std::string_view mnemonic;
  std::string_view pattern;
  std::uint32_t mask = 0;
  std::uint32_t match = 0;
  std::uint32_t nonzero = 0;
  Form form = Form::kNone;
  GasClass gas_class = GasClass::kIllegal;
  std::uint32_t traits = 0;

  constexpr bool has(std::uint32_t wanted) const { return (traits & wanted) == wanted; }
  constexpr bool matches(std::uint32_t bits) const {
    return (bits & mask) == match && (nonzero == 0 || (bits & nonzero) != 0);
  }
};

namespace detail {

// The bits of `pattern` whose character satisfies `wanted`.
template <class Predicate>
constexpr std::uint32_t pattern_bits(std::string_view pattern, Predicate wanted) {
  std::uint32_t bits = 0;
  for (char character : pattern) {
    if (character != ' ') bits = bits << 1 | (wanted(character) ? 1u : 0u);
  }
  return bits;
}

constexpr std::uint32_t operands_of(Form form) {
  using namespace traits;
  switch (form) {
    case Form::kNone:
    case Form::kFence:
    case Form::kCNone:
      return 0;
    case Form::kU:
    case Form::kJ:
    case Form::kCsrImmediate:
    case Form::kCLui:
    case Form::kCJump:
      return kWritesRd;
    case Form::kR:
    case Form::kAtomic:
    case Form::kCArithmetic:
    case Form::kCMove:
    case Form::kCAdd:
      return kWritesRd | kReadsRs1 | kReadsRs2;
    case Form::kR4:
      return kWritesRd | kReadsRs1 | kReadsRs2 | kReadsRs3;
    case Form::kStore:
    case Form::kB:
    case Form::kCStoreWord:
    case Form::kCStoreDouble:
    case Form::kCStoreWordSp:
    case Form::kCStoreDoubleSp:
    case Form::kCBranch:
      return kReadsRs1 | kReadsRs2;
    default:
      return kWritesRd | kReadsRs1;
  }
}

constexpr InstructionInfo make_row(Op op, Op base, std::string_view mnemonic, std::string_view pattern, Form form,
                                   GasClass gas_class, std::uint32_t traits) {
  const auto is = [](char wanted) { return [wanted](char character) { return character == wanted; }; };
  const std::uint32_t ones = pattern_bits(pattern, is('1'));
  const std::uint32_t rounding = pattern_bits(pattern, is('m')) != 0 ? traits::kRoundingMode : 0;
  return {
      .op = op,
      .base = base,
      .mnemonic = mnemonic,
      .pattern = pattern,
      .mask = ones | pattern_bits(pattern, is('0')),
      .match = ones,
      .nonzero = pattern_bits(pattern, [](char character) { return character >= 'A' && character <= 'Z'; }),
      .form = form,
      .gas_class = gas_class,
      .traits = traits | operands_of(form) | rounding,
  };
}

constexpr std::array<InstructionInfo, kOpCount> make_table() {
  using namespace traits;
  std::array<InstructionInfo, kOpCount> table{};
  table[0].mnemonic = "illegal";
  table[0].traits = kTerminator;
#define CAISSON_INSTRUCTION(name, mnemonic, pattern, form, gas_class, traits) \
  table[static_cast<std::size_t>(Op::name)] =                                 \
      make_row(Op::name, Op::name, mnemonic, pattern, Form::form, GasClass::gas_class, traits);
#include "isa/riscv/instructions.inc"
  // A compressed row costs and does what its base does.
#define CAISSON_COMPRESSED(name, mnemonic, pattern, form, base)                                                        \
  table[static_cast<std::size_t>(Op::name)] =                                                                          \
      make_row(Op::name, Op::base, mnemonic, pattern, Form::form, table[static_cast<std::size_t>(Op::base)].gas_class, \
               table[static_cast<std::size_t>(Op::base)].traits | kCompressed);
#include "isa/riscv/instructions.inc"
  return table;
}

}  // namespace detail

inline constexpr std::array<InstructionInfo, kOpCount> kInstructions = detail::make_table();

// The row of `op`, which must be a value of the enumeration.
constexpr const InstructionInfo& info(Op op) { return kInstructions[static_cast<std::size_t>(op)]; }

// Rows by the number of their Op: kIllegalWord is the row of words that no other matches, and one more follows them for such
// compressed encodings.
using RowNumber = std::uint8_t;
inline constexpr std::size_t kRowCount = kOpCount + 1;
inline constexpr RowNumber kIllegalWord = 0, kIllegalCompressed = static_cast<RowNumber>(kOpCount);
static_assert(kIllegalCompressed == kOpCount, "RowNumber is too small");

// The CSRs that a user program sees: fcsr and its parts, and the counters. Any other access is an illegal encoding, and
// so is writing a counter ("Zicsr", "Zicntr"), so decode() answers kIllegal and tiers meet no other number.
enum class Csr : std::uint16_t {
  kFflags = 0x001,
  kFrm = 0x002,
  kFcsr = 0x003,
  kCycle = 0xC00,
  kTime = 0xC01,
  kInstret = 0xC02,
};

// Whether a user program may access CSR `number`; `writes` is false for csrrs/csrrc with rs1 = x0 or an immediate of 0.
constexpr bool is_legal_csr_access(std::uint32_t number, bool writes) {
  if (number >= 0x001 && number <= 0x003) return true;
  return number >= 0xC00 && number <= 0xC02 && !writes;
}

}  // namespace caisson::riscv
