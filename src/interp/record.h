// What the interpreter executes: 16-byte records, and the context that they are found in.
//
// A record is one guest instruction, lowered: the handler that performs it, the operands that the handler needs, and the
// gas of the block that begins at it. Records of consecutive instructions are neighbours, so a handler continues with the
// next record; control transfers find theirs through the code map.
//
// The code map is directly indexed by the pc, in two steps without a hash: the pc's 1 KiB chunk, then its half-word.
// Everything a transfer needs lies at fixed offsets from the Context, in one reserved range of host memory of which only what
// is touched is committed: a chunk never executed costs nothing, and offset 0 everywhere means "not decoded" (record 0 then
// leads to the decoder), so a transfer has no special cases.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "isa/riscv/hart_state.h"
#include "memory/fault_recovery.h"

namespace caisson::interp {

struct Record;

// Integer registers of the guest that live in host registers while the interpreter runs: arguments of every handler. Which guest registers
// these are is chosen per instance from the code that it runs most (pinning.h). Seven is what measurement favours
// (docs/interpreter.md): with fewer the store-to-load latency of the others shows, with more the handlers outgrow the caches.
inline constexpr unsigned kPinCount = 7;
// Operand class: 0 … kPinCount-1 are pins, kMemoryClass reads or writes HartState::x.
inline constexpr unsigned kMemoryClass = kPinCount;
inline constexpr unsigned kClassCount = kPinCount + 1;

// The same for double-precision registers.
inline constexpr unsigned kFloatPinCount = 4;
inline constexpr unsigned kFloatMemoryClass = kFloatPinCount;
inline constexpr unsigned kFloatClassCount = kFloatPinCount + 1;

// A choice of pins: which guest registers.
struct Pins {
  std::array<std::uint8_t, kPinCount> integers;  // never x0
  std::array<std::uint8_t, kFloatPinCount> floats;
};

// preserve_none puts all of these into fixed host registers: r12, r13, r14, r15, rdi, rsi, rdx, rcx, r8, r9, r11, and
// xmm0 … xmm3 (enter.S and guest_access.h rely on it).
#define CAISSON_INTERP_PARAMETERS                                                                                  \
  [[maybe_unused]] ::caisson::riscv::HartState *hart, [[maybe_unused]] const ::caisson::interp::Record *ip,        \
      [[maybe_unused]] std::int64_t gas, [[maybe_unused]] std::uint8_t *window, [[maybe_unused]] std::uint64_t p0, \
      [[maybe_unused]] std::uint64_t p1, [[maybe_unused]] std::uint64_t p2, [[maybe_unused]] std::uint64_t p3,     \
      [[maybe_unused]] std::uint64_t p4, [[maybe_unused]] std::uint64_t p5, [[maybe_unused]] std::uint64_t p6,     \
      [[maybe_unused]] double q0, [[maybe_unused]] double q1, [[maybe_unused]] double q2, [[maybe_unused]] double q3
#define CAISSON_INTERP_ARGUMENTS hart, ip, gas, window, p0, p1, p2, p3, p4, p5, p6, q0, q1, q2, q3

using Handler = __attribute__((preserve_none)) void (*)(CAISSON_INTERP_PARAMETERS);

struct Record {
  Handler handler = nullptr;
  std::uint16_t cost = 0;  // gas from this instruction to its block's terminator, inclusive
  std::uint8_t a = 0;  // rd; rs2 of stores and branches
  std::uint8_t b = 0;  // rs1
  std::int32_t imm = 0;  // immediate; byte distance to the target record (near transfers) or target pc (far ones)

  // What instructions without an immediate keep in its place.
  std::uint8_t c() const { return static_cast<std::uint8_t>(imm); }  // rs2
  std::uint8_t d() const { return static_cast<std::uint8_t>(imm >> 8); }  // rs3
  std::uint16_t e() const { return static_cast<std::uint16_t>(imm >> 16); }  // rounding mode, CSR number
  void set_operands(std::uint8_t rs2, std::uint8_t rs3, std::uint16_t extra) {
    imm = static_cast<std::int32_t>(std::uint32_t{extra} << 16 | std::uint32_t{rs3} << 8 | rs2);
  }
};
static_assert(sizeof(Record) == 16);

inline constexpr std::uint64_t kChunkBytes = 1024;  // of guest code
inline constexpr std::uint64_t kChunkSlots = kChunkBytes / 2;  // half-words
inline constexpr std::uint64_t kChunkTableEntries = (std::uint64_t{1} << 32) / kChunkBytes;
inline constexpr std::uint64_t kChunkCapacity = 16384;  // decoded at most 16 MiB of code, then the cache starts anew
inline constexpr std::uint64_t kRecordCapacity = std::uint64_t{1} << 22;

// Byte offsets from the Context. Table entries are offsets from kChunkPoolOffset, chunk entries offsets from kRecordsOffset.
inline constexpr std::uint64_t kChunkTableOffset = 4096;
inline constexpr std::uint64_t kChunkPoolOffset = kChunkTableOffset + kChunkTableEntries * 4;
inline constexpr std::uint64_t kRecordPcsOffset = kChunkPoolOffset + kChunkCapacity * kChunkSlots * 4;
inline constexpr std::uint64_t kRecordsOffset = kRecordPcsOffset + kRecordCapacity * 4;
inline constexpr std::uint64_t kContextBytes = kRecordsOffset + kRecordCapacity * sizeof(Record);

// Why the handlers returned to run().
enum class ExitKind : std::uint8_t {
  kTrap,  // hart.trap and hart.pc are set
  kSliceEnd,  // the block at hart.pc costs exit_cost, more than was left of the slice
};

class Interpreter;

struct Context {
  std::array<std::uint8_t, 8> pins{};  // guest register of each pin; enter.S reads this at offset 0
  std::array<std::uint8_t, 8> float_pins{};  // and this at offset 8
  memory::GuestScope scope;
  std::int64_t slice_gas = 0;  // left when the handlers returned
  ExitKind exit_kind = ExitKind::kTrap;
  std::uint32_t exit_cost = 0;
  void* owner = nullptr;  // Interpreter::Impl, for the paths that leave the handlers

  std::uint8_t* at(std::uint64_t offset) { return reinterpret_cast<std::uint8_t*>(this) + offset; }
  std::uint32_t* chunk_table() { return reinterpret_cast<std::uint32_t*>(at(kChunkTableOffset)); }
  std::uint32_t* chunk(std::uint32_t table_entry) {
    return reinterpret_cast<std::uint32_t*>(at(kChunkPoolOffset + table_entry));
  }
  std::uint32_t* record_pcs() { return reinterpret_cast<std::uint32_t*>(at(kRecordPcsOffset)); }
  Record* records() { return reinterpret_cast<Record*>(at(kRecordsOffset)); }

  // The record at which execution enters `pc` (below 2^32); records()[0] where nothing is decoded.
  const Record* find(std::uint32_t pc) {
    const std::uint32_t entry = chunk_table()[pc / kChunkBytes];
    const std::uint32_t offset = chunk(entry)[(pc / 2) % kChunkSlots];
    return reinterpret_cast<const Record*>(at(kRecordsOffset + offset));
  }
  std::uint32_t pc_of(const Record* record) { return record_pcs()[record - records()]; }
};
static_assert(sizeof(Context) <= kChunkTableOffset);

inline Context* context_of(const riscv::HartState* hart) { return static_cast<Context*>(hart->tier_context); }

}  // namespace caisson::interp
