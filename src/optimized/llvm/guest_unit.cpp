#include "optimized/llvm/guest_unit.h"

#include <algorithm>

#include "isa/riscv/float_semantics.h"

namespace caisson::optimized {

using riscv::Decoded;
using riscv::Op;
namespace traits = riscv::traits;

namespace {

// Instructions that are performed under static rounding modes, but by host instructions of their own.
bool converts_by_truncation(const Decoded& decoded) {
  const bool truncates = decoded.rm == static_cast<std::uint8_t>(riscv::RoundingMode::kTowardZero);
  const bool converts =
      decoded.op == Op::kFcvtWD || decoded.op == Op::kFcvtLD || decoded.op == Op::kFcvtWS || decoded.op == Op::kFcvtLS;
  return truncates && converts;
}

}  // namespace

RegisterUse registers_of(const Decoded& decoded) {
  const riscv::InstructionInfo& row = riscv::info(decoded.op);
  RegisterUse use;
  const auto read = [&](std::uint32_t reads, std::uint32_t is_float, std::uint8_t reg) {
    if (row.has(reads)) use.reads |= row.has(is_float) ? float_bit(reg) : integer_bit(reg);
  };
  read(traits::kReadsRs1, traits::kFloatRs1, decoded.rs1);
  read(traits::kReadsRs2, traits::kFloatRs2, decoded.rs2);
  read(traits::kReadsRs3, traits::kFloatRs3, decoded.rs3);
  if (row.has(traits::kWritesRd))
    use.writes = row.has(traits::kFloatRd) ? float_bit(decoded.rd) : integer_bit(decoded.rd);
  return use;
}

RegisterSet GuestUnit::live_behind(const UnitBlock& block) const {
  constexpr RegisterSet kAll = ~RegisterSet{0};
  const auto at = [&](int index) { return index < 0 ? kAll : blocks[static_cast<std::size_t>(index)].live; };
  if (block.end == BlockEnd::kGoOn || block.end == BlockEnd::kInlinedCall) return at(block.next_block);
  if (block.end == BlockEnd::kBranch || block.end == BlockEnd::kCounted)
    return at(block.next_block) | at(block.target_block) |
           (block.again_block == UnitBlock::kOutside ? 0 : at(block.again_block));
  return kAll;
}

bool is_lifted(const Decoded& decoded) {
  const riscv::InstructionInfo& row = riscv::info(decoded.op);
  if (is_for_other_tiers(row.gas_class)) return false;
  if (row.gas_class != riscv::GasClass::kFloat && row.gas_class != riscv::GasClass::kFloatDivide) return true;
  switch (decoded.op) {
    case Op::kFclassS:
    case Op::kFclassD:
    case Op::kFcvtWuS:
    case Op::kFcvtLuS:
    case Op::kFcvtWuD:
    case Op::kFcvtLuD:
    case Op::kFcvtSLu:
    case Op::kFcvtDLu:
      return false;
    default:
      return riscv::uses_host_rounding(decoded.op, decoded.rm) || converts_by_truncation(decoded);
  }
}

void follow_kinds(FloatKinds& kinds, const Decoded& decoded) {
  const riscv::InstructionInfo& row = riscv::info(decoded.op);
  if (!row.has(traits::kWritesRd) || !row.has(traits::kFloatRd)) return;
  FloatKind& kind = kinds[decoded.rd];
  switch (decoded.op) {
    case Op::kFld:
    case Op::kFmvDX:
    case Op::kFsgnjD:
    case Op::kFsgnjnD:
    case Op::kFsgnjxD:
    case Op::kFminD:
    case Op::kFmaxD:
      // A move of what is computed stays so.
      if (decoded.op == Op::kFsgnjD && decoded.rs1 == decoded.rs2 && !is_single(kinds[decoded.rs1])) {
        kind = kinds[decoded.rs1];
      } else {
        kind = decoded.op == Op::kFmvDX && decoded.rs1 == 0 ? FloatKind::kNumber : FloatKind::kExact;
      }
      return;
    case Op::kFcvtDW:
    case Op::kFcvtDWu:
    case Op::kFcvtDL:
      kind = FloatKind::kNumber;
      return;
    case Op::kFlw:
    case Op::kFmvWX:
    case Op::kFsgnjS:
    case Op::kFsgnjnS:
    case Op::kFsgnjxS:
    case Op::kFminS:
    case Op::kFmaxS:
    case Op::kFcvtSW:
    case Op::kFcvtSWu:
    case Op::kFcvtSL:
      kind = FloatKind::kSingle;
      return;
    case Op::kFcvtDS:
      kind = FloatKind::kComputed;
      return;
    case Op::kFcvtSD:
      kind = FloatKind::kComputedSingle;
      return;
    default:
      // Arithmetic: the format is in the mnemonic.
      kind = row.mnemonic.ends_with(".d") ? FloatKind::kComputed : FloatKind::kComputedSingle;
      return;
  }
}

WordKind word_kind_of(const WordKinds& words, const UnitInstruction& instruction) {
  const Decoded& decoded = instruction.decoded;
  const WordKind first = words[decoded.rs1], second = words[decoded.rs2];
  switch (decoded.op) {
    case Op::kLui:
    case Op::kSlt:
    case Op::kSlti:
    case Op::kSltu:
    case Op::kSltiu:
    case Op::kClz:
    case Op::kCtz:
    case Op::kCpop:
    case Op::kClzw:
    case Op::kCtzw:
    case Op::kCpopw:
    case Op::kSextB:
    case Op::kSextH:
    case Op::kZextH:
    case Op::kBext:
    case Op::kBexti:
    case Op::kLb:
    case Op::kLbu:
    case Op::kLh:
    case Op::kLhu:
    case Op::kFeqS:
    case Op::kFltS:
    case Op::kFleS:
    case Op::kFeqD:
    case Op::kFltD:
    case Op::kFleD:
      return WordKind::kShort;
    case Op::kLw:
      return instruction.is_wanted_wide ? WordKind::kShort : WordKind::kWord;
    case Op::kAddi:
      if (decoded.rs1 == 0) return WordKind::kShort;
      return decoded.imm == 0 ? first : WordKind::kWide;
    case Op::kAndi:
      return decoded.imm >= 0 ? WordKind::kShort : first;
    case Op::kXori:
    case Op::kOri:
      return first;
    case Op::kSrli:
      return decoded.imm > 32 ? WordKind::kShort : WordKind::kWide;
    case Op::kSrai:
      return decoded.imm >= 32 ? WordKind::kShort : first;
    case Op::kAnd:
    case Op::kOr:
    case Op::kXor:
    case Op::kAndn:
    case Op::kOrn:
    case Op::kXnor:
    case Op::kMax:
    case Op::kMaxu:
    case Op::kMin:
    case Op::kMinu:
      return std::max(first, second);
    case Op::kCzeroEqz:
    case Op::kCzeroNez:
      return first;
    case Op::kAddiw:
    case Op::kSlliw:
    case Op::kSrliw:
    case Op::kSraiw:
    case Op::kAddw:
    case Op::kSubw:
    case Op::kSllw:
    case Op::kSrlw:
    case Op::kSraw:
    case Op::kMulw:
    case Op::kDivw:
    case Op::kDivuw:
    case Op::kRemw:
    case Op::kRemuw:
    case Op::kRolw:
    case Op::kRorw:
    case Op::kRoriw:
    case Op::kFcvtWS:
    case Op::kFcvtWD:
    case Op::kFmvXW:
      return WordKind::kWord;
    default:
      return WordKind::kWide;
  }
}

void follow_words(WordKinds& words, const UnitInstruction& instruction) {
  const Decoded& decoded = instruction.decoded;
  const riscv::InstructionInfo& row = riscv::info(decoded.op);
  if (!row.has(traits::kWritesRd) || row.has(traits::kFloatRd) || decoded.rd == 0) return;
  words[decoded.rd] = word_kind_of(words, instruction);
}

void follow_constants(Constants& constants, const UnitInstruction& instruction) {
  const Decoded& decoded = instruction.decoded;
  const RegisterSet writes = registers_of(decoded).writes & kIntegers;
  if (writes == 0) return;
  const bool first_known = decoded.rs1 == 0 || (constants.known & integer_bit(decoded.rs1)) != 0;
  const bool second_known = decoded.rs2 == 0 || (constants.known & integer_bit(decoded.rs2)) != 0;
  const std::uint64_t first = constants.values[decoded.rs1], second = constants.values[decoded.rs2];
  const auto imm = static_cast<std::uint64_t>(std::int64_t{decoded.imm});
  const auto extended = [](std::uint64_t value) {
    return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(value)});
  };
  constants.known &= ~writes;
  const auto put = [&](bool is_known, std::uint64_t value) {
    if (!is_known) return;
    constants.known |= writes;
    constants.values[decoded.rd] = value;
  };
  // What constants are made and copied by.
  switch (decoded.op) {
    case Op::kLui:
      return put(true, imm);
    case Op::kAuipc:
      return put(true, instruction.pc + imm);
    case Op::kAddi:
      return put(first_known, first + imm);
    case Op::kAddiw:
      return put(first_known, extended(first + imm));
    case Op::kXori:
      return put(first_known, first ^ imm);
    case Op::kSlli:
      return put(first_known, first << imm);
    case Op::kSrli:
      return put(first_known, first >> imm);
    case Op::kBseti:
      return put(first_known, first | std::uint64_t{1} << imm);
    case Op::kAdd:
      return put(first_known && second_known, first + second);
    default:
      return;
  }
}

}  // namespace caisson::optimized
