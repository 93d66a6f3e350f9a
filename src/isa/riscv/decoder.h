// Decoding: bytes to a Decoded instruction, from the one table (instructions.inc).
//
// Compressed instructions decode to the base instruction that they stand for, with length 2, so that tiers implement
// base instructions only; `row` still names the compressed row for the disassembler.
// Pure functions of their arguments; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "isa/riscv/instructions.h"

namespace caisson::riscv {

struct Decoded {
  // The base instruction, and the table row that matched (a kC... row for compressed encodings). Both are kIllegal for
  // anything that the table does not list or the specification reserves: also rounding modes 5 and 6, and CSRs that a
  // user program may not access so (is_legal_csr_access). All other members but `length` are then 0.
  Op op = Op::kIllegal;
  Op row = Op::kIllegal;
  // 2 or 4; for illegal encodings what the low two bits say.
  std::uint8_t length = 4;
  // Integer or floating-point register numbers; 0 where the form has none. CSR immediates (csrrwi ...) stand in rs1.
  std::uint8_t rd = 0, rs1 = 0, rs2 = 0, rs3 = 0;
  // The rounding-mode field where the row has one (traits::kRoundingMode): 0 ... 4, or 7 for the mode in fcsr.
  std::uint8_t rm = 0;
  // aq (2) | rl (1) of atomics; predecessors << 4 | successors of fence.
  std::uint8_t ordering = 0;
  // Sign-extended immediate: offsets in bytes, for lui and auipc the value added (imm << 12), shift amounts, CSR
  // numbers.
  std::int32_t imm = 0;
};

// Whether a fence with this `ordering` keeps earlier stores before later loads, which x86 does not by itself. Bits of its
// predecessor and successor sets: input, output, read, write.
constexpr bool orders_store_before_load(std::uint8_t ordering) {
  constexpr std::uint8_t kWrites = 0b0101, kReads = 0b1010;
  return (ordering >> 4 & kWrites) != 0 && (ordering & kReads) != 0;
}

// Decodes the instruction whose low 16 bits are in `bits`; for 2-byte encodings the upper half is ignored.
Decoded decode(std::uint32_t bits);

// 2 or 4, from the low two bits of the first half-word (longer formats count as 4 and are illegal).
inline std::uint8_t instruction_length(std::uint16_t low) { return (low & 3) == 3 ? 4 : 2; }

// Text in objdump's canonical form without aliases ("addi\ta0,a0,1"); branch and jump targets as absolute hexadecimal
// from pc.
std::string disassemble(std::uint32_t bits, std::uint64_t pc);

}  // namespace caisson::riscv
