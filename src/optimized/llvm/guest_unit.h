// The guest code of a unit as a graph of blocks, and what is known of registers at block entries. Nothing of LLVM is here.
//
// Blocks are those of the gas schedule: from an entry to the terminator or the page's end. Two blocks may share instructions; each has
// its own copy. Execution leaves the unit where an instruction is not compiled here, and where a jump leads out of what was taken in.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "isa/riscv/decoder.h"
#include "optimized/guest_code.h"
#include "optimized/unit_format.h"

namespace caisson::optimized {

// Bits 1 … 31 are x1 … x31, bits 32 … 63 are f0 … f31.
using RegisterSet = std::uint64_t;
constexpr RegisterSet integer_bit(unsigned reg) { return reg == 0 ? 0 : RegisterSet{1} << reg; }
constexpr RegisterSet kIntegers = 0xFFFFFFFF;
constexpr RegisterSet float_bit(unsigned reg) { return RegisterSet{1} << (32 + reg); }

// What units are passed and return: the hart may have old values of these.
inline constexpr RegisterSet kPassed = [] {
  RegisterSet set = 0;
  for (const std::uint8_t reg : kPassedRegisters) set |= integer_bit(reg);
  return set;
}();

// What a float register is known to hold.
enum class FloatKind : std::uint8_t {
  kUnvisited,  // no path was seen
  kNumber,  // a double that is no NaN
  kComputed,  // a double; a NaN in it may be any, and means the canonical one
  kExact,  // these 64 bits
  kSingle,  // a boxed single, these 32 bits
  kComputedSingle,  // a boxed single; a NaN means the canonical one
};
using FloatKinds = std::array<FloatKind, 32>;
constexpr bool is_single(FloatKind kind) { return kind == FloatKind::kSingle || kind == FloatKind::kComputedSingle; }

// What an integer register is known to hold.
enum class WordKind : std::uint8_t {
  kUnvisited,  // no path was seen
  kShort,  // the sign extension of 32 bits, best kept as 64
  kWord,  // the sign extension of 32 bits, which are kept
  kWide,  // any 64 bits
};
using WordKinds = std::array<WordKind, 32>;

// Which integer registers are known to hold what.
struct Constants {
  RegisterSet known = 0;
  std::array<std::uint64_t, 32> values{};  // of these
};

enum class BlockEnd : std::uint8_t {
  kGoOn,  // at `next`
  kBranch,  // to `target` or `next`
  kCall,  // of `target`, then `next`
  kIndirectCall,  // then `next`
  kInlinedCall,  // of `target`, whose blocks are taken in for this call: goes on at next_block, the first of them
  kInlinedReturn,  // from these: to `next` if the register holds that, else as kReturn
  kReturn,  // to ra or t0, as the instruction says
  kIndirectJump,  // to one of `targets`, if the pc is that of one; else away
  kLeave,  // before the instruction at `next`, whose part of the block's price goes back
  kCounted,  // has no instructions: to `target` where a loop goes around so often, else to `next`
};

// When a loop goes around `rounds` times more at least, without a look at each: as long as a branch at its end finds two registers different,
// or the first less than the second, of which one is changed by the same each time and the other never.
struct LoopCount {
  riscv::Op branch = riscv::Op::kBne;  // bne, blt or bltu
  std::uint8_t first = 0, second = 0;  // registers, as the branch compares them
  bool first_changes = true;  // else the second
  std::uint8_t step_register = 0;  // what is added, if not 0
  std::int32_t step = 0;  // else this
  bool is_word = false;  // the register that changes is a word, and the branch a bne, for which 32 bits are enough
  std::uint32_t rounds = 0;
};

struct UnitInstruction {
  std::uint32_t pc = 0;
  riscv::Decoded decoded;
  bool is_wanted_wide = false;  // of lw: what reads the result next wants 64 bits
};

struct UnitBlock {
  static constexpr int kOutside = -1;

  std::uint32_t pc = 0;
  std::uint32_t context = 0;  // of calls that are taken in; 0: the unit itself
  std::uint32_t behind = 0;  // the address behind all that was priced
  std::vector<UnitInstruction> instructions;  // the terminator included; of kLeave, those before it
  BlockEnd end = BlockEnd::kLeave;
  std::uint64_t target = 0, next = 0;  // guest pcs
  int target_block = kOutside, next_block = kOutside;  // the same as indices
  LoopCount count;  // of kCounted, and of kBranch with again_block
  // Of kBranch: where it goes on, without a look at its condition, if that holds so often as `count` says.
  int again_block = kOutside;
  std::vector<int> targets;  // of kIndirectJump: blocks it may lead to, ascending by pc
  std::uint32_t cost = 0;  // of the whole block
  std::uint32_t refund = 0;  // of kLeave: the part that is not executed
  std::uint32_t predecessors = 0;
  bool is_checked = false;  // whoever enters looks at the gas
  std::vector<std::size_t> checked_from;  // else who comes from these blocks does
  std::uint32_t due = 0;  // at entry: what the cheapest path to here since the last look costs, which is not paid yet
  // Where backward edges lead here: the blocks of the innermost loops that begin here, and what they read or define. What else is
  // dirty is written to the hart where the loop is entered: in the loop no site has to keep it.
  std::vector<bool> loop;
  RegisterSet loop_kept = 0;
  // Where more than one edge leads here: what comes to the hart in any case before it is read or written again. It is written before
  // the edges meet, so that none that comes with the hart's value has to load it.
  RegisterSet settled = 0;
  RegisterSet used = 0;  // before they are defined
  RegisterSet defined = 0;
  RegisterSet dirty = 0;  // at entry: on some path to here defined, so that the hart may have an old value
  RegisterSet needed = 0;  // at entry: has to be out of the hart
  RegisterSet live = 0;  // at entry: may be read in the unit before it is defined, or seen by who comes after it
  FloatKinds kinds{};  // at entry
  WordKinds words{};  // at entry
  Constants constants;  // at entry

  bool is_call() const { return end == BlockEnd::kCall || end == BlockEnd::kIndirectCall; }
  // The indices of all blocks that may come next, by number; kOutside where there is none.
  std::size_t successor_count() const { return 3 + targets.size(); }
  int successor(std::size_t number) const {
    if (number >= 3) return targets[number - 3];
    return number == 0 ? next_block : number == 1 ? target_block : again_block;
  }
};

struct GuestUnit {
  // Calls each(UnitBlock&) for what may come behind `block` in the unit.
  template <class Each>
  void for_each_successor(const UnitBlock& block, const Each& each) {
    for (std::size_t number = 0; number < block.successor_count(); ++number) {
      if (const int next = block.successor(number); next != UnitBlock::kOutside)
        each(blocks[static_cast<std::size_t>(next)]);
    }
  }
  std::size_t index_of(const UnitBlock& block) const { return static_cast<std::size_t>(&block - blocks.data()); }

  // What is written to the hart between the blocks of these indices.
  RegisterSet flushed_between(std::size_t from, std::size_t to) const {
    const UnitBlock& block = blocks[to];
    return block.settled | (block.loop.empty() || block.loop[from] ? 0 : ~block.loop_kept);
  }
  // And where the unit is entered.
  RegisterSet flushed_at_entry() const { return blocks[0].loop.empty() ? 0 : ~blocks[0].loop_kept; }

  // Whether who goes from one of these blocks to the other looks at the gas.
  bool is_checked_between(std::size_t from, std::size_t to) const {
    const UnitBlock& block = blocks[to];
    return block.is_checked || std::ranges::find(block.checked_from, from) != block.checked_from.end();
  }

  // What is live where the block ends.
  RegisterSet live_behind(const UnitBlock& block) const;

  std::vector<UnitBlock> blocks;  // the first is the entry
  // Registers for which there are no host registers: the hart has them wherever blocks meet, and at anchors. Every site would
  // keep them otherwise, and LLVM, which takes that for uses, would move values about for each.
  RegisterSet homed = 0;
  bool makes_calls = false;
  bool uses_floats = false;
  bool is_metered = true;  // UnitLimits
};

// What the instruction reads and writes.
struct RegisterUse {
  RegisterSet reads = 0, writes = 0;
};
RegisterUse registers_of(const riscv::Decoded& decoded);

// Whether the lifter has the instruction inline, under a rounding mode that MXCSR expresses.
bool is_lifted(const riscv::Decoded& decoded);

// What `decoded` makes of the kinds of float registers.
void follow_kinds(FloatKinds& kinds, const riscv::Decoded& decoded);

// What an instruction makes of the kind of the integer register that it writes.
WordKind word_kind_of(const WordKinds& words, const UnitInstruction& instruction);
void follow_words(WordKinds& words, const UnitInstruction& instruction);

// What an instruction makes of known integer registers.
void follow_constants(Constants& constants, const UnitInstruction& instruction);

// Nothing where the entry's block begins with what is not lifted, or cannot be fetched.
std::optional<GuestUnit> read_unit(const GuestCode& code, std::uint32_t entry, const UnitLimits& limits = {});

}  // namespace caisson::optimized
