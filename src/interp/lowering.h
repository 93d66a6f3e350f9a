// Lowering: a decoded instruction becomes a record. Pure functions of their arguments.
#pragma once

#include <array>
#include <cstdint>

#include "interp/handler_select.h"
#include "interp/record.h"
#include "isa/riscv/decoder.h"

namespace caisson::interp {

// Operand class of each guest register under a choice of pins; x0 and the discard slot are never pinned.
struct ClassMap {
  std::array<std::uint8_t, 33> integers;
  std::array<std::uint8_t, 32> floats;

  explicit ClassMap(const Pins& pins);
  std::uint8_t operator[](std::uint8_t integer_register) const { return integers[integer_register]; }
};

// Up to three sources written back, the instruction, its result read again.
inline constexpr unsigned kMostRecordsPerInstruction = 5;

// The records of one instruction, executed in order, as they are written to where they will stay. The last one of a terminator
// is the one that transfers.
struct Lowered {
  Record* records;  // room for kMostRecordsPerInstruction
  unsigned count = 0;

  void add(const Record& record) { records[count++] = record; }
};

// Adds the records of `decoded` at `pc`, with cost 0. Branches and jal get one record, in its far form; near_handler() makes it near.
// The caller handles instructions that cannot be fetched whole.
void lower(const riscv::Decoded& decoded, std::uint32_t pc, const ClassMap& classes, Lowered& lowered);

// True for branches and jal whose target can be linked: their far record's imm is the target pc.
bool is_direct_transfer(const riscv::Decoded& decoded, std::uint32_t pc);
// The near handler of a direct transfer; imm must then be the byte distance to the target's record.
Handler near_handler(const riscv::Decoded& decoded, const ClassMap& classes);

// A record of the engine's own.
Record control_record(ControlRecord kind, std::int32_t imm = 0);

}  // namespace caisson::interp
