// The text of an instruction, in the form that GNU objdump gives with `-M no-aliases`.
//
// Like the rows, operands are data: each form has a template whose letters stand for an operand and whose other
// characters stand for themselves. Two deliberate differences from objdump: pause has its name (there it is an alias of
// fence), and shifts by 0 in compressed form keep their mnemonic (there c.slli64 and the like, which RV128 gave up).
#include <fmt/format.h>

#include <array>
#include <iterator>
#include <string>
#include <string_view>

#include "isa/riscv/decoder.h"

namespace caisson::riscv {
namespace {

// d a b c: registers rd, rs1, rs2, rs3; i: immediate; x: shift amount; u: upper immediate; t: jump target; r: CSR;
// z: CSR immediate; p s: sets of a fence.
constexpr std::string_view operand_template(Form form) {
  switch (form) {
    case Form::kNone:
    case Form::kCNone:
      return "";
    case Form::kR:
      return "d,a,b";
    case Form::kI:
      return "d,a,i";
    case Form::kLoad:
    case Form::kJalr:
    case Form::kCLoadWord:
    case Form::kCLoadDouble:
    case Form::kCLoadWordSp:
    case Form::kCLoadDoubleSp:
      return "d,i(a)";
    case Form::kStore:
    case Form::kCStoreWord:
    case Form::kCStoreDouble:
    case Form::kCStoreWordSp:
    case Form::kCStoreDoubleSp:
      return "b,i(a)";
    case Form::kB:
      return "a,b,t";
    case Form::kU:
    case Form::kCLui:
      return "d,u";
    case Form::kJ:
      return "d,t";
    case Form::kR4:
      return "d,a,b,c";
    case Form::kShift:
    case Form::kShiftW:
      return "d,a,x";
    case Form::kUnary:
      return "d,a";
    case Form::kCsr:
      return "d,r,a";
    case Form::kCsrImmediate:
      return "d,r,z";
    case Form::kFence:
      return "p,s";
    case Form::kAtomic:
      return "d,b,(a)";
    case Form::kLoadReserved:
      return "d,(a)";
    case Form::kCAddi:
    case Form::kCLi:
    case Form::kCAddi16sp:
    case Form::kCAndi:
      return "d,i";
    case Form::kCAddi4spn:
      return "d,a,i";
    case Form::kCShift:
    case Form::kCShiftShort:
      return "d,x";
    case Form::kCArithmetic:
    case Form::kCMove:
    case Form::kCAdd:
      return "d,b";
    case Form::kCJump:
      return "t";
    case Form::kCJumpRegister:
    case Form::kCJumpRegisterLink:
      return "a";
    case Form::kCBranch:
      return "a,t";
  }
  return "";
}

// "RISC-V ABIs Specification", register names.
constexpr std::array<std::string_view, 32> kIntegerRegisters = {
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
    "a6",   "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
constexpr std::array<std::string_view, 32> kFloatRegisters = {
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0",  "fa1",  "fa2", "fa3", "fa4",  "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};

// By rm; 5 and 6 do not decode, and 7 (dynamic) is left out.
constexpr std::array<std::string_view, 8> kRoundingModes = {",rne", ",rtz", ",rdn", ",rup", ",rmm", "", "", ""};

// By aq << 1 | rl.
constexpr std::array<std::string_view, 4> kOrderings = {"", ".rl", ".aq", ".aqrl"};

std::string_view csr_name(std::int32_t number) {
  switch (static_cast<Csr>(number)) {
    case Csr::kFflags:
      return "fflags";
    case Csr::kFrm:
      return "frm";
    case Csr::kFcsr:
      return "fcsr";
    case Csr::kCycle:
      return "cycle";
    case Csr::kTime:
      return "time";
    case Csr::kInstret:
      return "instret";
  }
  return "?";
}

// The letters of a fence's set of accesses, from its four bits.
std::string fence_set(unsigned set) {
  if (set == 0) return "0";
  std::string text;
  constexpr std::string_view kLetters = "iorw";
  for (unsigned index = 0; index < kLetters.size(); ++index) {
    if (set >> (3 - index) & 1) text += kLetters[index];
  }
  return text;
}

std::string_view register_name(std::uint8_t number, bool is_float) {
  return is_float ? kFloatRegisters[number] : kIntegerRegisters[number];
}

void append_operand(std::string& text, char letter, const Decoded& decoded, const InstructionInfo& row,
                    std::uint64_t pc) {
  const auto append = std::back_inserter(text);
  switch (letter) {
    case 'd':
      text += register_name(decoded.rd, row.has(traits::kFloatRd));
      break;
    case 'a':
      text += register_name(decoded.rs1, row.has(traits::kFloatRs1));
      break;
    case 'b':
      text += register_name(decoded.rs2, row.has(traits::kFloatRs2));
      break;
    case 'c':
      text += register_name(decoded.rs3, row.has(traits::kFloatRs3));
      break;
    case 'i':
      fmt::format_to(append, "{}", decoded.imm);
      break;
    case 'x':
      fmt::format_to(append, "{:#x}", decoded.imm);
      break;
    case 'u':
      fmt::format_to(append, "{:#x}", static_cast<std::uint32_t>(decoded.imm) >> 12);
      break;
    case 't':
      fmt::format_to(append, "{:#x}", pc + static_cast<std::uint64_t>(std::int64_t{decoded.imm}));
      break;
    case 'r':
      text += csr_name(decoded.imm);
      break;
    case 'z':
      fmt::format_to(append, "{}", decoded.rs1);
      break;
    case 'p':
      text += fence_set(decoded.ordering >> 4);
      break;
    case 's':
      text += fence_set(decoded.ordering & 15);
      break;
    default:
      text += letter;
      break;
  }
}

}  // namespace

std::string disassemble(std::uint32_t bits, std::uint64_t pc) {
  const Decoded decoded = decode(bits);
  if (decoded.op == Op::kIllegal) {
    return decoded.length == 2 ? fmt::format(".2byte\t{:#x}", bits & 0xFFFF) : fmt::format(".4byte\t{:#x}", bits);
  }
  const InstructionInfo& row = info(decoded.row);
  std::string text(row.mnemonic);
  if (row.has(traits::kAtomic)) text += kOrderings[decoded.ordering];
  const std::string_view operands = operand_template(row.form);
  if (!operands.empty()) text += '\t';
  for (char letter : operands) append_operand(text, letter, decoded, row, pc);
  // Where every result is exact, the assembler writes rne, and so it is not shown.
  const bool shows_rounding = row.has(traits::kRoundingMode) && !(row.has(traits::kExact) && decoded.rm == 0);
  if (shows_rounding) text += kRoundingModes[decoded.rm];
  return text;
}

}  // namespace caisson::riscv
