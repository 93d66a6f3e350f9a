// Reads a unit: follows branches and jumps from the entry, and takes in what belongs together.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "gas/gas_schedule.h"
#include "isa/riscv/hart_state.h"
#include "optimized/llvm/dispatch_copies.h"
#include "optimized/llvm/entry_loop.h"
#include "optimized/llvm/guest_unit.h"
#include "optimized/llvm/loop_unrolling.h"
#include "optimized/llvm/unit_facts.h"

namespace caisson::optimized {

using riscv::Decoded;
using riscv::Op;
namespace traits = riscv::traits;

namespace {

constexpr std::uint32_t kPage = 4096;

// Calls that are taken in: of functions of so many instructions, so deep, so many. Over the kernels of `caisson bench compute`, 40 and 3
// were better than 24 and 80, and 1 and 2: larger functions have more state than there are registers.
constexpr std::uint32_t kLargestInlined = 40, kDeepestInlining = 3;
constexpr std::size_t kMostInlined = 32;

// Blocks that only an indirect jump leads to, and the edges of all such jumps to all such blocks.
constexpr std::size_t kMostJumpTargets = 128, kMostJumpEdges = 1024;

// Bytes of loops that blocks before them go on in. Over the kernels of `caisson bench compute`, 40 and 64 took the same, 100 more: what larger loops have
// live at their header does not fit into registers.
constexpr std::uint32_t kLargestRound = 40;

constexpr bool is_branch(Op op) { return riscv::info(op).gas_class == riscv::GasClass::kBranch; }

class UnitReader {
 public:
  UnitReader(const GuestCode& code, const UnitLimits& limits) : code_(code), limits_(limits) {}

  std::optional<GuestUnit> read(std::uint32_t entry) {
    if (add(entry, 0) != 0) return std::nullopt;
    unit_.is_metered = limits_.is_metered;
    // Breadth first, so that what is near the entry is in.
    std::size_t index = 0;
    do {
      for (; index < unit_.blocks.size(); ++index) follow(index);
    } while (add_jump_targets());
    settle_jumps();
    settle_returns();
    split_at_loops();
    const std::size_t root = separate_entry_loop(unit_);
    copy_dispatch(unit_);
    unroll_loops(unit_, root);
    find_facts(unit_, root);
    return std::move(unit_);
  }

 private:
  // Adds what the block's edges lead to. Blocks may move meanwhile.
  void follow(std::size_t index) {
    const UnitBlock& block = unit_.blocks[index];
    const std::uint32_t context = block.context;
    const std::uint64_t target = block.target, next = block.next;
    const std::uint8_t link = block.instructions.empty() ? std::uint8_t{0} : block.instructions.back().decoded.rd;
    int next_block = UnitBlock::kOutside, target_block = UnitBlock::kOutside;
    switch (block.end) {
      case BlockEnd::kBranch:
        next_block = add(next, context);
        target_block = add(target, context);
        break;
      case BlockEnd::kCall:
        if (is_worth_inlining(target, context)) {
          contexts_.push_back({.parent = context, .depth = contexts_[context].depth + 1, .link = link, .next = next});
          next_block = add(target, static_cast<std::uint32_t>(contexts_.size() - 1));
          if (next_block != UnitBlock::kOutside) {
            unit_.blocks[index].end = BlockEnd::kInlinedCall;
            break;
          }
        }
        next_block = add(next, context);
        break;
      case BlockEnd::kGoOn:
      case BlockEnd::kIndirectCall:
        next_block = add(next, context);
        break;
      case BlockEnd::kReturn:
        if (context == 0) break;
        unit_.blocks[index].end = BlockEnd::kInlinedReturn;
        unit_.blocks[index].next = contexts_[context].next;
        next_block = add(contexts_[context].next, contexts_[context].parent);
        break;
      default:
        break;
    }
    unit_.blocks[index].next_block = next_block;
    unit_.blocks[index].target_block = target_block;
  }

  // Jump tables are data, of which a unit knows nothing. But what nothing leads to, behind code that does not go on, is there for an indirect
  // jump of the same function: such blocks are taken in, and the jump looks whether its pc is that of one. Whether any was added.
  bool add_jump_targets() {
    if (std::ranges::none_of(unit_.blocks, &UnitReader::is_indirect_jump)) return false;
    std::uint32_t highest = 0;
    for (const UnitBlock& block : unit_.blocks) {
      if (block.context == 0) highest = std::max(highest, block.pc);
    }
    bool added = false;
    for (std::size_t index = 0; index < unit_.blocks.size() && jump_targets_.size() < kMostJumpTargets; ++index) {
      const UnitBlock& block = unit_.blocks[index];
      const bool goes_on = block.end == BlockEnd::kGoOn ? block.next == block.behind
                                                        : !is_indirect_jump(block) && block.end != BlockEnd::kReturn;
      if (block.context != 0 || goes_on) continue;
      // Behind a return and a jump to elsewhere there may be another function.
      const bool is_inside = is_indirect_jump(block) || block.next_block != UnitBlock::kOutside;
      const std::uint32_t pc = block.behind;
      if ((!is_inside && pc > highest) || indices_.contains({0, pc}) || begins_function(pc)) continue;
      const int target = add(pc, 0);
      if (target == UnitBlock::kOutside) continue;
      jump_targets_.push_back(target);
      added = true;
    }
    return added;
  }

  static bool is_indirect_jump(const UnitBlock& block) { return block.end == BlockEnd::kIndirectJump; }

  // Whether a stack frame is made there.
  bool begins_function(std::uint32_t pc) const {
    const std::size_t offset = pc - code_.base;
    if (offset >= code_.bytes.size()) return true;
    std::uint32_t bits = 0;
    std::memcpy(&bits, code_.bytes.data() + offset, std::min(code_.bytes.size() - offset, sizeof bits));
    const Decoded decoded = riscv::decode(bits);
    return decoded.op == Op::kAddi && decoded.rd == riscv::kSp && decoded.rs1 == riscv::kSp && decoded.imm < 0;
  }

  // Each jump may lead to each target: what that takes is bounded.
  void settle_jumps() {
    const auto jumps = static_cast<std::size_t>(std::ranges::count_if(unit_.blocks, is_indirect_jump));
    if (jumps * jump_targets_.size() > kMostJumpEdges) return;
    std::ranges::sort(jump_targets_, {},
                      [this](int target) { return unit_.blocks[static_cast<std::size_t>(target)].pc; });
    for (UnitBlock& block : unit_.blocks) {
      if (is_indirect_jump(block)) block.targets = jump_targets_;
    }
  }

  // Calls are taken in where the function is small and leaves by returns alone.
  bool is_worth_inlining(std::uint64_t pc, std::uint32_t context) {
    if (contexts_[context].depth == kDeepestInlining || contexts_.size() == kMostInlined) return false;
    if (pc - code_.base >= code_.bytes.size()) return false;
    const auto at = static_cast<std::uint32_t>(pc);
    const auto [found, is_new] = inlined_sizes_.try_emplace(at, 0);
    if (is_new) found->second = size_of_function(at);
    return found->second != 0 && instructions_ + found->second <= limits_.most_instructions;
  }

  // In instructions; 0 where it is large or leaves by other ways.
  std::uint32_t size_of_function(std::uint32_t entry) {
    std::uint32_t size = 0;
    std::vector<std::uint64_t> left{entry};
    std::set<std::uint64_t> seen{entry};
    while (!left.empty()) {
      const std::uint64_t pc = left.back();
      left.pop_back();
      UnitBlock block;
      if (pc - code_.base >= code_.bytes.size() || !fill(block, static_cast<std::uint32_t>(pc))) return 0;
      size += static_cast<std::uint32_t>(block.instructions.size());
      if (size > kLargestInlined || block.end == BlockEnd::kLeave || block.end == BlockEnd::kIndirectJump) return 0;
      if (block.end == BlockEnd::kReturn) continue;
      if (seen.insert(block.next).second) left.push_back(block.next);
      if (block.end == BlockEnd::kBranch && seen.insert(block.target).second) left.push_back(block.target);
    }
    return size;
  }

  // A function that does not write the register it returns by goes back to where it was called.
  void settle_returns() {
    std::vector<RegisterSet> defined(contexts_.size());
    for (const UnitBlock& block : unit_.blocks) defined[block.context] |= block.defined;
    // Calls write more than their own block does.
    for (const UnitBlock& block : unit_.blocks) {
      if (block.end == BlockEnd::kCall || block.end == BlockEnd::kIndirectCall)
        defined[block.context] = ~RegisterSet{0};
    }
    for (std::size_t context = contexts_.size(); context-- > 1;) defined[contexts_[context].parent] |= defined[context];
    for (UnitBlock& block : unit_.blocks) {
      if (block.end != BlockEnd::kInlinedReturn) continue;
      const std::uint8_t reg = block.instructions.back().decoded.rs1;
      const bool is_link = reg == contexts_[block.context].link;
      if (is_link && (defined[block.context] & integer_bit(reg)) == 0) block.end = BlockEnd::kGoOn;
    }
  }

  // A block that runs into a loop has the loop's first block in it once more. Where the loop is small, the block goes on in that instead: else the
  // first round would be no part of the loop, or the loop be entered in its middle.
  void split_at_loops() {
    std::vector<UnitBlock>& blocks = unit_.blocks;
    // How many bytes the innermost loop has that begins there.
    using At = std::pair<std::uint32_t, std::uint32_t>;  // context, pc
    std::map<At, std::uint32_t> sizes;
    for (const UnitBlock& block : blocks) {
      unit_.for_each_successor(block, [&](const UnitBlock& next) {
        if (next.context != block.context || next.pc >= block.behind) return;
        std::uint32_t& size = sizes.try_emplace({next.context, next.pc}, ~std::uint32_t{0}).first->second;
        size = std::min(size, block.behind - next.pc);
      });
    }
    const auto is_worth_it = [&](const UnitBlock& block) {
      auto last = sizes.lower_bound({block.context, block.behind});
      if (last == sizes.begin()) return false;
      const auto& [at, size] = *--last;
      if (at.first != block.context || at.second <= block.pc || size > kLargestRound) return false;
      return std::ranges::none_of(blocks, [&](const UnitBlock& other) {
        return (other.is_call() || other.end == BlockEnd::kInlinedCall) && other.context == block.context &&
               other.behind > at.second && other.behind - at.second <= size;
      });
    };
    for (UnitBlock& block : blocks) {
      if (!is_worth_it(block)) continue;
      const auto header = sizes.upper_bound({block.context, block.pc});
      const auto begin = std::ranges::find(block.instructions, header->first.second, &UnitInstruction::pc);
      if (begin == block.instructions.end()) continue;
      block.next_block = indices_.at(header->first);
      block.end = BlockEnd::kGoOn;
      block.behind = header->first.second;
      block.next = block.behind;
      block.target_block = UnitBlock::kOutside;
      block.targets.clear();
      block.instructions.erase(begin, block.instructions.end());
      block.used = block.defined = 0;
      block.cost = block.refund = 0;
      for (const UnitInstruction& instruction : block.instructions) {
        note_registers(block, instruction.decoded);
        block.cost += gas::weight(instruction.decoded.op);
      }
    }
  }

  // The block at `pc`, or kOutside.
  int add(std::uint64_t pc, std::uint32_t context) {
    if (pc - code_.base >= code_.bytes.size()) return UnitBlock::kOutside;
    const std::pair at{context, static_cast<std::uint32_t>(pc)};
    if (const auto found = indices_.find(at); found != indices_.end()) return found->second;
    if (unit_.blocks.size() >= limits_.most_blocks || instructions_ >= limits_.most_instructions)
      return UnitBlock::kOutside;
    UnitBlock block;
    block.context = context;
    if (!fill(block, at.second)) {
      indices_.emplace(at, UnitBlock::kOutside);
      return UnitBlock::kOutside;
    }
    instructions_ += static_cast<std::uint32_t>(block.instructions.size());
    const int index = static_cast<int>(unit_.blocks.size());
    indices_.emplace(at, index);
    unit_.blocks.push_back(std::move(block));
    return index;
  }

  // False where the block is better left to other tiers.
  bool fill(UnitBlock& block, std::uint32_t pc) {
    block.pc = pc;
    std::uint32_t at = pc;
    bool leaves = false;
    for (;;) {
      if (at / kPage != pc / kPage) {
        if (!leaves) block.next = at;
        if (!leaves) block.end = BlockEnd::kGoOn;
        break;
      }
      std::uint16_t halves[2] = {};
      const std::size_t offset = at - code_.base;
      if (code_.bytes.size() - offset < 2) return false;
      std::memcpy(&halves[0], code_.bytes.data() + offset, 2);
      const std::uint8_t length = riscv::instruction_length(halves[0]);
      if (code_.bytes.size() - offset < length) return false;
      if (length == 4) std::memcpy(&halves[1], code_.bytes.data() + offset + 2, 2);
      const Decoded decoded = riscv::decode(std::uint32_t{halves[1]} << 16 | halves[0]);
      const bool ends = riscv::info(decoded.op).has(traits::kTerminator);
      const std::uint32_t weight = gas::weight(decoded.op);
      if (!leaves && !is_lifted(decoded)) {
        leaves = true;
        block.end = BlockEnd::kLeave;
        block.next = at;
      }
      block.cost += weight;
      if (leaves) {
        block.refund += weight;
      } else {
        block.instructions.push_back({at, decoded});
        note_registers(block, decoded);
        if (ends) end_block(block, decoded, at);
      }
      at += length;
      block.behind = at;
      if (ends) break;
    }
    note_wide_words(block);
    return !block.instructions.empty() && block.cost <= static_cast<std::uint32_t>(kGasReserve) / 2;
  }

  static bool wants_wide(Op op) {
    switch (op) {
      case Op::kAdd:
      case Op::kSub:
      case Op::kMul:
      case Op::kMulh:
      case Op::kMulhu:
      case Op::kMulhsu:
      case Op::kSlli:
      case Op::kSll:
      case Op::kSh1add:
      case Op::kSh2add:
      case Op::kSh3add:
      case Op::kSd:
      case Op::kFcvtDL:
        return true;
      default:
        return false;
    }
  }

  // A load may extend at no cost, an instruction of its own would not.
  static void note_wide_words(UnitBlock& block) {
    for (std::size_t at = 0; at < block.instructions.size(); ++at) {
      UnitInstruction& load = block.instructions[at];
      if (load.decoded.op != Op::kLw || load.decoded.rd == 0) continue;
      for (std::size_t next = at + 1; next < block.instructions.size(); ++next) {
        const Decoded& user = block.instructions[next].decoded;
        const riscv::InstructionInfo& row = riscv::info(user.op);
        const bool reads_first =
            row.has(traits::kReadsRs1) && !row.has(traits::kFloatRs1) && user.rs1 == load.decoded.rd;
        const bool reads_second =
            row.has(traits::kReadsRs2) && !row.has(traits::kFloatRs2) && user.rs2 == load.decoded.rd;
        if (reads_first || reads_second) {
          load.is_wanted_wide = wants_wide(user.op);
          break;
        }
        if (row.has(traits::kWritesRd) && !row.has(traits::kFloatRd) && user.rd == load.decoded.rd) break;
      }
    }
  }

  static void end_block(UnitBlock& block, const Decoded& decoded, std::uint32_t pc) {
    block.next = std::uint64_t{pc} + decoded.length;
    block.target = std::uint64_t{pc} + static_cast<std::uint64_t>(std::int64_t{decoded.imm});
    if (is_branch(decoded.op)) {
      block.end = BlockEnd::kBranch;
    } else if (decoded.op == Op::kJal) {
      block.end = decoded.rd == 0 ? BlockEnd::kGoOn : BlockEnd::kCall;
      if (decoded.rd == 0) block.next = block.target;
    } else if (decoded.rd != 0) {
      block.end = BlockEnd::kIndirectCall;
    } else {
      const bool is_link = decoded.rs1 == riscv::kRa || decoded.rs1 == riscv::kT0;
      block.end = is_link && decoded.imm == 0 ? BlockEnd::kReturn : BlockEnd::kIndirectJump;
    }
  }

  void note_registers(UnitBlock& block, const Decoded& decoded) {
    const riscv::InstructionInfo& row = riscv::info(decoded.op);
    const RegisterUse use = registers_of(decoded);
    block.used |= use.reads & ~block.defined;
    block.defined |= use.writes;
    constexpr std::uint32_t kFloats = traits::kFloatRs1 | traits::kFloatRs2 | traits::kFloatRd | traits::kRaisesFlags;
    if ((row.traits & kFloats) != 0) unit_.uses_floats = true;
  }

  const GuestCode code_;
  const UnitLimits limits_;
  GuestUnit unit_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, int> indices_;  // by context and pc
  // A call that is taken in, and where it returns to.
  struct Context {
    std::uint32_t parent = 0;
    std::uint32_t depth = 0;
    std::uint8_t link = 0;  // the register that has `next`
    std::uint64_t next = 0;
  };
  std::vector<Context> contexts_{1};
  std::map<std::uint32_t, std::uint32_t> inlined_sizes_;  // of functions, in instructions; 0: not to be inlined
  std::uint32_t instructions_ = 0;
  std::vector<int> jump_targets_;  // indices of blocks
};

}  // namespace

std::optional<GuestUnit> read_unit(const GuestCode& code, std::uint32_t entry, const UnitLimits& limits) {
  return UnitReader(code, limits).read(entry);
}

}  // namespace caisson::optimized
