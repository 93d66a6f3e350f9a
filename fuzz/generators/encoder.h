// Encoding: the other direction of the decoder, for generators. From the table's patterns, but with its own reading of where
// immediates stand, so that a mistake in the decoder does not hide behind the same one here.
#pragma once

#include <cstdint>

#include "isa/riscv/instructions.h"

namespace caisson::fuzz {

// Operands by the names of riscv::Decoded; what a row's form does not have is ignored. Registers of compressed forms that can
// name eight only must be 8 … 15.
struct Instruction {
  riscv::Op row = riscv::Op::kIllegal;  // base or compressed
  std::uint8_t rd = 0, rs1 = 0, rs2 = 0, rs3 = 0;
  std::uint8_t rm = 0;
  std::uint8_t ordering = 0;  // aq (2) | rl (1) of atomics; pred<<4|succ of fence
  std::int32_t imm = 0;  // as riscv::Decoded::imm; must be one that the form can express

  bool operator==(const Instruction&) const = default;
};

inline const riscv::InstructionInfo& info(const Instruction& instruction) { return riscv::info(instruction.row); }

// 2 or 4.
inline unsigned encoded_length(riscv::Op row) { return riscv::info(row).has(riscv::traits::kCompressed) ? 2 : 4; }

// The encoding, in the low half for two-byte rows.
std::uint32_t encode(const Instruction& instruction);

}  // namespace caisson::fuzz
