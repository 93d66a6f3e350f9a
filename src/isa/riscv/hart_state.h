// The architectural state of one hart, and how a tier gives control back.
//
// One plain struct: every tier, and later compiled code through one register, addresses it by fixed offsets.
// A tier may keep parts of it elsewhere while it runs (host registers, MXCSR); at every exit the struct is exact.
// Owned and used by one host thread at a time; only `interrupt` may be set from another thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace caisson::riscv {

// Register numbers of the psABI that the engine itself uses.
enum Register : std::uint8_t {
  kZero = 0,
  kRa = 1,
  kSp = 2,
  kGp = 3,
  kTp = 4,
  kT0 = 5,
  kT1 = 6,
  kT2 = 7,
  kS0 = 8,
  kS1 = 9,
  kA0 = 10,
  kA1 = 11,
  kA2 = 12,
  kA3 = 13,
  kA4 = 14,
  kA5 = 15,
  kA6 = 16,
  kA7 = 17,
};

// Writes to x0 are sent to this slot of HartState::x, so no tier needs a special case for them.
inline constexpr std::uint8_t kDiscardSlot = 32;

// The pc to which an endpoint call returns (design: guest-riscv, "Results and exits"); weight 0, never mapped.
inline constexpr std::uint64_t kTrampolineAddress = 0xFFFF0000;

// Why a tier stopped.
enum class TrapKind : std::uint8_t {
  kNone,
  kOutOfGas,          // pc at the start of the block that could not be paid; nothing charged for it
  kInterrupted,       // HartState::interrupt was set; pc at a block start that is not yet charged
  kEcall,             // pc at the ecall, its block charged
  kEbreak,            // pc at the ebreak, its block charged
  kIllegal,           // pc at an encoding that is not an instruction (or a dynamic rounding mode of 5..7)
  kLoadFault,         // pc at the load; address = first inaccessible byte modulo 2^32; bus_error see below
  kStoreFault,        // pc at the store, AMO or SC; nothing written
  kFetchFault,        // pc at the instruction; address = the byte that cannot be fetched
  kMisalignedAtomic,  // pc at a misaligned LR, SC or AMO; address = its address
  kTrampoline,        // a call returned to kTrampolineAddress
  kEcallAnswered,     // an ecall was answered within the run (baseline: EcallHook), which asked to end the run
};

struct Trap {
  TrapKind kind = TrapKind::kNone;
  bool bus_error = false;      // the host raised SIGBUS (a file mapping past the end of its file)
  std::uint64_t address = 0;   // see TrapKind
};

// Standard IEEE flag bits of fcsr (unprivileged specification, section 11.2).
enum FloatFlag : std::uint32_t { kInexact = 1, kUnderflow = 2, kOverflow = 4, kDivideByZero = 8, kInvalid = 16 };

// Rounding modes as frm and the rm field encode them (section 11.2).
enum class RoundingMode : std::uint8_t {
  kNearestEven = 0,
  kTowardZero = 1,
  kDown = 2,
  kUp = 3,
  kNearestMaxMagnitude = 4,
  kDynamic = 7,
};

struct HartState {
  // x[0] stays 0; x[32] swallows writes to x0, and compiled code keeps a word of its own there.
  std::array<std::uint64_t, 33> x{};
  std::array<std::uint64_t, 32> f{};  // single precision is NaN-boxed
  std::uint64_t pc = 0;
  std::uint64_t gas = 0;              // left; UINT64_MAX granted = unlimited
  std::uint64_t gas_granted = 0;      // ever granted; used = gas_granted - gas (modulo 2^64)
  std::uint32_t frm = 0;              // 0..7
  std::uint32_t fflags = 0;           // FloatFlag bits
  std::uint64_t reservation_address = 0;
  std::uint64_t reservation_value = 0;
  std::uint32_t reservation_width = 0;  // 4, 8, or 0 for none
  std::atomic<std::uint32_t> interrupt{0};  // set from any thread: stop at the next slice end or block entry
  Trap trap;
  void* tier_context = nullptr;  // the running tier's own context
  std::array<std::uint64_t, 9> tier_words{};  // the same in words, for what compiled code wants near its registers

  std::uint64_t gas_used() const { return gas_granted - gas; }

  // Starts a run with `amount` of gas while gas_used() goes on counting.
  void grant_gas(std::uint64_t amount) {
    gas_granted = gas_used() + amount;
    gas = amount;
  }

  // Pays `amount` before an effect takes place; false (and nothing charged) where it does not suffice.
  bool charge(std::uint64_t amount) {
    if (gas < amount) return false;
    gas -= amount;
    return true;
  }
};

}  // namespace caisson::riscv
