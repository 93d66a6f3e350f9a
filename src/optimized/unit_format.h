// What the compiler of units tells the runtime about their code: where a unit can leave from its middle, and where the guest's state is
// at each such place. It is the pc_map of a CodeBlob, so it comes from a store as well as from the compiler, and is read as hostile.
//
// A unit is compiled code with one guest entry. Its convention is that of LLVM 19 for regcall functions of this type:
//
//   struct State { i64 gas; u64 pc; u64 guest[6]; HartState* hart; };
//   State unit(State)  // by its members
//
// with the attribute no_callee_saved_registers. Arguments and results are in rax, rcx, rdx, rdi, rsi, r8, r9, r12, r13; of other
// registers rsp alone is preserved, which is a multiple of 8. The base of GS is the window's. On entry and on return the
// guest's state is in the hart, but for the registers that are passed: the hart may have old values of these. Execution goes on at the
// pc, of which bit 0 counts for nothing; units are entered with none. `gas` is what is left of the slice less kGasReserve. Whoever called the
// unit for a guest call goes on where the pc returned is its return address, and returns the same where it is not: so any return at any
// depth, for any reason, is right.
//
// In its middle, a unit keeps guest registers where its compiler put them. A site is a host instruction at which the unit may leave
// nevertheless: a load or store that faults, or a call of the hart's exit function because the gas does not suffice. Then the guest's state
// becomes that of a place before the instruction from which other tiers come to it again, nothing that was done since being lasting.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace caisson::optimized {

// A unit goes on from one check of its gas to the next without looking, for at most so much.
inline constexpr std::int64_t kGasReserve = 2048;

// Words of HartState::tier_words that units use.
enum class UnitWord : std::uint8_t {
  kEntryTable = 5,  // address of the slot of guest pc 0: an i32 for each half-word, the distance of code from kOrigin
  kOrigin,  // where slots that hold 0 lead: returns to the caller what it was given
  kStackLimit,  // a unit that is entered below it returns at once
  kExit,  // called at a site of kind kOutOfGas: leaves the unit, or preserves all registers but r11 and gives more gas in it
};

// Guest registers that units are passed and return, in this order: those that most calls read or write.
// ra, sp, a0, a1, s0, s1. With s2 and s3 json and regex were 3 % slower: where those are not in registers, each costs a load and a store a call.
inline constexpr std::array<std::uint8_t, 6> kPassedRegisters = {1, 2, 10, 11, 8, 9};

enum class SiteKind : std::uint8_t { kFault, kOutOfGas };

// Where a value is at a site. Host registers have the numbers of DWARF (System V ABI, AMD64 supplement, figure 3.36).
enum class LocationKind : std::uint8_t { kRegister, kStackSlot, kConstant, kLargeConstant };

// How the value becomes the guest register's 64 bits.
enum class ValueForm : std::uint8_t {
  kWord,  // as it is
  kComputed,  // a double of which a NaN is still to be made canonical
  kSingle,  // 32 bits that are still to be boxed
  kComputedSingle,  // both
  kSigned32,  // of an integer register: 32 bits that are still to be sign-extended
};

struct Location {
  std::uint8_t guest = 0;  // x1 … x31 are 1 … 31, f0 … f31 are 32 … 63
  LocationKind kind = LocationKind::kRegister;
  ValueForm form = ValueForm::kWord;
  std::uint8_t host = 0;  // register, or the base of a stack slot
  std::int32_t offset = 0;  // of a stack slot; a constant of 32 bits, sign-extended
  std::uint64_t constant = 0;  // a large one
  friend bool operator==(const Location&, const Location&) = default;
};

struct Site {
  std::uint32_t host = 0;  // offset of the instruction; of kOutOfGas, of what follows the call
  std::uint32_t guest = 0;  // pc at which execution goes on
  SiteKind kind = SiteKind::kFault;
  std::int32_t gas_due = 0;  // to be taken off what `gas` holds, so that nothing is paid for what comes from `guest` on
  std::int32_t repeated =
      0;  // of kFault: the gas from `guest` to the end of the block that faults; memory may be ahead of the hart until then
  Location gas;  // its `guest` means nothing
  std::vector<Location> registers;  // guest registers that the hart does not have; no register twice
  friend bool operator==(const Site&, const Site&) = default;
};

struct UnitTables {
  std::vector<std::uint32_t> pages;  // numbers of the guest pages that the unit was made from, ascending
  std::vector<Site> sites;  // in the order of host offsets
  friend bool operator==(const UnitTables&, const UnitTables&) = default;
};

std::vector<std::uint8_t> encode_tables(const UnitTables& tables);
// Nothing where the bytes are not what encode_tables() makes for code of `code_size` bytes.
std::optional<UnitTables> decode_tables(std::span<const std::uint8_t> bytes, std::size_t code_size);

}  // namespace caisson::optimized
