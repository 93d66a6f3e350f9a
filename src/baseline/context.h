// What compiled code reaches through HartState::tier_context, and how it leaves.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <tuple>

#include "baseline/register_map.h"
#include "isa/riscv/hart_state.h"
#include "memory/fault_recovery.h"

namespace caisson::baseline {

// Why compiled code returned to Baseline::run(). hart.pc is set but for kFault and kDeparture.
enum class ExitKind : std::uint32_t {
  kDeparture,  // Context::left_from says why
  kMissing,  // pc has no code
  kStale,  // the bytes of the block at pc are no longer those that were compiled; nothing charged
  kFault,  // a load or store; the scope describes it
  kTrampoline,  // where floats were live; otherwise the exit that should be quickest tells by a register (thunks.h)
  kEcall,
  kEbreak,
  kIllegal,
  kFetchFault,  // the second half of the instruction at pc
  kMisalignedAtomic,  // hart.trap.address is set
  kTrap,  // hart.trap is set
  kReenter,  // go on at pc, which is uncharged
};

// What an entry table has for a half-word of guest code: the distance of the block's code from the origin of all code. 0 where there is
// no code; what lies at the origin leaves with kMissing, so that nobody has to ask.
using EntrySlot = std::uint32_t;

// The entry table of a region as the lookup thunk reads it: the slot of guest address A is at biased_table + 2 × A.
struct RegionTable {
  std::uint64_t biased_table = 0;

  // 0 where `pc`, which lies in the region, has no code, and in the table of no region.
  EntrySlot slot(std::uint32_t pc) const {
    if (biased_table == 0) return 0;
    const std::uint64_t address = biased_table + std::uint64_t{pc & ~1U} * 2;
    return reinterpret_cast<const std::atomic<EntrySlot>*>(address)->load(std::memory_order_acquire);
  }
};

// What compiled code does behind an ecall.
enum class EcallAnswer : std::uint8_t {
  kGoOn = 0,
  kLeave = 1,  // the exit is set
  kGoOnWithOtherGas = 2,  // slice_gas is not what it was
};

// In kGasRegister.
inline constexpr std::uint64_t kMostGas = std::numeric_limits<std::int32_t>::max();

struct Context {
  memory::GuestScope scope;
  std::int64_t slice_gas = 0;  // left when compiled code called out, or before it is entered; at most kMostGas
  std::uint64_t slice_rest = 0;  // of a slice that compiled code cannot count; still the hart's
  std::int64_t held_gas = 0;  // of the slice, kept back so that the next block entry leaves
  ExitKind exit_kind = ExitKind::kTrap;
  std::array<std::uint64_t, kIntegerHosts.size()> fault_integers{};  // at kFault: the host registers of kIntegerHosts
  // At kDeparture: the return address of the call that left, and how many pushes before it were executed (departures.h).
  const void* left_from = nullptr;
  std::uint32_t pushes = 0;
  std::uint32_t guest_mxcsr = 0;  // rounding mode of hart.frm, no flag raised
  std::uint32_t host_mxcsr = 0;  // what to restore, while floats are live
  std::uint32_t left_mxcsr = 0;  // the guest's as compiled code left it
  const std::uint8_t* directory = nullptr;  // index of the region of each page; 0: none
  const RegionTable* regions = nullptr;
  // An ecall at hart.pc, its block charged.
  EcallAnswer (*ecall)(Context* context, riscv::HartState* hart) = nullptr;
  // Performs the instruction `bits` at `pc`, which compiled code has not inline. False: leave; the exit is set. `stays_in_block`: the
  // block goes on in compiled code whatever the rounding mode is now.
  bool (*perform)(Context* context, riscv::HartState* hart, std::uint32_t pc, std::uint32_t bits,
                  std::uint32_t stays_in_block) = nullptr;
  void* owner = nullptr;  // the Baseline

  // For C++ alone.
  const void* enter = nullptr;  // Thunks::enter() of the map in use
  // Code that was looked up, for harts that round as hosts do, by pc: the same few functions are called again and again, and to look
  // one up takes four loads, each waiting for the one before.
  struct KnownCode {
    std::uint64_t pc = 0;
    const void* entry = nullptr;  // null: nothing was
  };
  std::array<KnownCode, 8> known;
  KnownCode& known_at(std::uint64_t pc) { return known[pc / 16 % std::tuple_size_v<decltype(known)>]; }
  const void* known_entry(std::uint64_t pc) {
    const KnownCode& code = known_at(pc);
    return code.pc == pc ? code.entry : nullptr;
  }
  bool floats_changed = false;  // see Baseline::take_floats_changed()
  bool software_rounding = false;  // of the map in use
  std::uint64_t generation = 0;  // changes with every code that is dropped
  void* ecall_context = nullptr;  // of the hook (answer_ecall.h)
};

}  // namespace caisson::baseline
