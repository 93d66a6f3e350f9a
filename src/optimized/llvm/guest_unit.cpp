#include "optimized/llvm/guest_unit.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "gas/gas_schedule.h"
#include "isa/riscv/float_semantics.h"
#include "isa/riscv/hart_state.h"
#include "optimized/llvm/entry_loop.h"
#include "optimized/llvm/guest_loops.h"
#include "optimized/llvm/loop_unrolling.h"

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

constexpr bool is_branch(Op op) { return riscv::info(op).gas_class == riscv::GasClass::kBranch; }

FloatKind merge(FloatKind a, FloatKind b) {
  if (a == b || b == FloatKind::kUnvisited) return a;
  if (a == FloatKind::kUnvisited) return b;
  if (is_single(a) && is_single(b)) return FloatKind::kSingle;
  const auto either = [&](FloatKind kind) { return a == kind || b == kind; };
  if (either(FloatKind::kNumber) && either(FloatKind::kComputed)) return FloatKind::kComputed;
  return FloatKind::kExact;
}

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
    root_ = separate_entry_loop(unit_);
    unroll_loops(unit_, root_);
    count_predecessors();
    place_checks();
    find_loops();
    find_dues();
    choose_homed();
    find_settled();
    find_dirty();
    find_needed();
    find_live();
    find_kinds();
    find_words();
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
      for_each_successor(block, [&](const UnitBlock& next) {
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
        return (is_call(other) || other.end == BlockEnd::kInlinedCall) && other.context == block.context && other.behind > at.second && other.behind - at.second <= size;
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

  static constexpr std::uint32_t kLargestRound = 40;

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

  template <class Each>
  void for_each_successor(const UnitBlock& block, const Each& each) {
    for (std::size_t number = 0; number < block.successor_count(); ++number) {
      if (const int next = block.successor(number); next != UnitBlock::kOutside)
        each(unit_.blocks[static_cast<std::size_t>(next)]);
    }
  }
  static bool is_call(const UnitBlock& block) {
    return block.end == BlockEnd::kCall || block.end == BlockEnd::kIndirectCall;
  }

  void count_predecessors() {
    unit_.blocks[0].predecessors = 1;
    for (const UnitBlock& block : unit_.blocks) {
      unit_.makes_calls |= is_call(block);
      for_each_successor(block, [](UnitBlock& next) { ++next.predecessors; });
    }
  }

  // Checks stand at the entry, behind calls, on backward edges, and wherever paths without one would be too dear.
  void place_checks() {
    std::vector<UnitBlock>& blocks = unit_.blocks;
    blocks[0].is_checked = true;
    for (std::size_t index = 0; index < blocks.size(); ++index) {
      if (is_call(blocks[index]))
        for_each_successor(blocks[index], [&](UnitBlock& next) { next.checked_from.push_back(index); });
    }
    // A cycle that has a check needs no other: the search goes along the other edges.
    enum : std::uint8_t { kNew, kOpen, kDone };
    std::vector<std::uint8_t> state(blocks.size(), kNew);
    std::vector<std::int64_t> dearest(blocks.size(), 0);  // path from the block to the next check
    struct Step {
      std::size_t block;
      std::size_t successor;
    };
    std::vector<Step> path;
    std::vector<std::size_t> order{root_};
    for (std::size_t index = 0; index < blocks.size(); ++index) order.push_back(index);
    for (const std::size_t first : order) {
      if (state[first] != kNew) continue;
      path.push_back({first, 0});
      state[first] = kOpen;
      while (!path.empty()) {
        Step& step = path.back();
        UnitBlock& block = blocks[step.block];
        if (step.successor < block.successor_count()) {
          const int successor = block.successor(step.successor++);
          if (successor == UnitBlock::kOutside) continue;
          const auto next = static_cast<std::size_t>(successor);
          if (unit_.is_checked_between(step.block, next)) continue;
          if (state[next] == kOpen) blocks[next].checked_from.push_back(step.block);
          if (state[next] != kNew) continue;
          state[next] = kOpen;
          path.push_back({next, 0});
          continue;
        }
        state[step.block] = kDone;
        std::int64_t behind = 0;
        for_each_successor(block, [&](UnitBlock& next) {
          const auto to = static_cast<std::size_t>(&next - blocks.data());
          if (unit_.is_checked_between(step.block, to)) return;
          const std::int64_t path_cost = dearest[to];
          if (path_cost + block.cost > kGasReserve) {
            next.is_checked = true;
          } else {
            behind = std::max(behind, path_cost);
          }
        });
        dearest[step.block] = behind + block.cost;
        path.pop_back();
      }
    }
  }

  void find_loops() {
    std::vector<UnitBlock>& blocks = unit_.blocks;
    const auto predecessors = find_predecessors(blocks);
    std::vector<GuestLoop> loops;
    for (const BackwardEdge& edge : find_backward_edges(blocks, root_)) loops.push_back(find_loop(edge, predecessors));
    // A loop that contains another one of the same header is around it: a unit that begins in an inner loop has all loops there. But where it
    // jumps by a table it is most likely what the others are exceptions of.
    const auto dispatches = [&](const GuestLoop& loop) {
      for (std::size_t index = 0; index < blocks.size(); ++index) {
        if (loop.body[index] && !blocks[index].targets.empty()) return true;
      }
      return false;
    };
    for (const GuestLoop& one : loops) {
      const bool is_outer = std::ranges::any_of(
          loops, [&](const GuestLoop& other) { return other.header == one.header && is_around(one, other); });
      if (is_outer && !dispatches(one)) continue;
      std::vector<bool>& loop = blocks[one.header].loop;
      loop.resize(blocks.size());
      for (std::size_t index = 0; index < blocks.size(); ++index) loop[index] = loop[index] || one.body[index];
    }
    depths_.resize(blocks.size());
    for (const UnitBlock& block : blocks) {
      for (std::size_t index = 0; index < block.loop.size(); ++index) depths_[index] += block.loop[index] ? 1 : 0;
    }
    for (UnitBlock& block : blocks) {
      for (std::size_t index = 0; index < block.loop.size(); ++index) {
        if (!block.loop[index]) continue;
        block.loop_kept |= blocks[index].defined | blocks[index].used;
        if (is_call(blocks[index])) block.loop_kept |= kPassed;
      }
    }
  }

  // Shortest paths: where some meet, those that cost more pay the difference. Nothing is due behind a call.
  void find_dues() {
    constexpr std::uint32_t kUnknown = 0xFFFFFFFF;
    for (std::size_t index = 0; index < unit_.blocks.size(); ++index) {
      UnitBlock& block = unit_.blocks[index];
      block.due = block.is_checked || block.checked_from.size() >= block.predecessors ? 0 : kUnknown;
    }
    for (const UnitBlock& block : unit_.blocks) {
      if (is_call(block)) for_each_successor(block, [](UnitBlock& next) { next.due = 0; });
    }
    for (bool changes = true; changes;) {
      changes = false;
      for (const UnitBlock& block : unit_.blocks) {
        if (block.due == kUnknown) continue;
        const auto from = static_cast<std::size_t>(&block - unit_.blocks.data());
        for_each_successor(block, [&](UnitBlock& next) {
          const auto to = static_cast<std::size_t>(&next - unit_.blocks.data());
          if (block.due + block.cost >= next.due || unit_.is_checked_between(from, to)) return;
          next.due = block.due + block.cost;
          changes = true;
        });
      }
    }
    for (UnitBlock& block : unit_.blocks) {
      if (block.due == kUnknown) block.due = 0;  // nothing leads there
    }
  }

  // The registers that are used least, where more are written than there are host registers.
  void choose_homed() {
    // Over the kernels of `caisson bench compute`, of 6, 8, 9, 10, 11, 12 and all, 9 to 11 integers were best; of 8, 10, 12 and all, 12 floats.
    constexpr std::size_t kKeptIntegers = 10, kKeptFloats = 12;
    std::array<double, 64> weights{};
    RegisterSet defined = 0;
    for (std::size_t index = 0; index < unit_.blocks.size(); ++index) {
      const double weight = static_cast<double>(1U << 3 * std::min(depths_[index], 4U));
      defined |= unit_.blocks[index].defined;
      if (is_call(unit_.blocks[index])) {
        for (const std::uint8_t reg : kPassedRegisters) weights[reg] += weight;
      }
      for (const UnitInstruction& instruction : unit_.blocks[index].instructions) {
        const RegisterUse use = registers_of(instruction.decoded);
        for (RegisterSet left = use.reads | use.writes; left != 0; left &= left - 1)
          weights[static_cast<std::size_t>(std::countr_zero(left))] += weight;
      }
    }
    home_least_used((defined & kIntegers) | kPassed, weights, kKeptIntegers);
    home_least_used(defined & ~kIntegers, weights, kKeptFloats);
  }

  void home_least_used(RegisterSet among, const std::array<double, 64>& weights, std::size_t kept) {
    std::vector<std::uint8_t> registers;
    for (RegisterSet left = among; left != 0; left &= left - 1)
      registers.push_back(static_cast<std::uint8_t>(std::countr_zero(left)));
    if (registers.size() <= kept) return;
    std::ranges::stable_sort(registers, std::greater{}, [&](std::uint8_t reg) { return weights[reg]; });
    for (std::size_t rank = kept; rank < registers.size(); ++rank) unit_.homed |= RegisterSet{1} << registers[rank];
  }

  void find_settled() {
    constexpr RegisterSet kWrittenByExits = ~kPassed;
    for (UnitBlock& block : unit_.blocks) block.settled = kWrittenByExits;
    for (bool changes = true; changes;) {
      changes = false;
      for (std::size_t index = unit_.blocks.size(); index-- > 0;) {
        UnitBlock& block = unit_.blocks[index];
        RegisterSet behind = kWrittenByExits;
        if (!is_call(block)) {
          for_each_successor(block, [&](UnitBlock& next) {
            behind &=
                next.settled | unit_.flushed_between(index, static_cast<std::size_t>(&next - unit_.blocks.data()));
          });
        }
        const RegisterSet settled = behind & ~block.used & ~block.defined;
        changes |= settled != block.settled;
        block.settled = settled;
      }
    }
    for (UnitBlock& block : unit_.blocks) {
      if (block.predecessors == 1) block.settled = 0;
    }
  }

  void find_dirty() {
    unit_.blocks[0].dirty = kPassed & ~unit_.homed & ~unit_.flushed_at_entry();
    for (bool changes = true; changes;) {
      changes = false;
      for (std::size_t index = 0; index < unit_.blocks.size(); ++index) {
        const UnitBlock& block = unit_.blocks[index];
        const RegisterSet made = (is_call(block) ? kPassed : block.dirty | block.defined) & ~unit_.homed;
        for_each_successor(block, [&](UnitBlock& next) {
          const RegisterSet out =
              made & ~unit_.flushed_between(index, static_cast<std::size_t>(&next - unit_.blocks.data()));
          changes |= (out & ~next.dirty) != 0;
          next.dirty |= out;
        });
      }
    }
  }

  void find_needed() {
    for (bool changes = true; changes;) {
      changes = false;
      for (auto block = unit_.blocks.rbegin(); block != unit_.blocks.rend(); ++block) {
        RegisterSet behind = 0;
        if (!is_call(*block)) for_each_successor(*block, [&](UnitBlock& next) { behind |= next.needed; });
        const RegisterSet needed = (block->dirty | block->used | (behind & ~block->defined)) & ~unit_.homed;
        changes |= needed != block->needed;
        block->needed = needed;
      }
    }
  }

  void find_live() {
    for (bool changes = true; changes;) {
      changes = false;
      for (auto block = unit_.blocks.rbegin(); block != unit_.blocks.rend(); ++block) {
        const RegisterSet live = block->used | (unit_.live_behind(*block) & ~block->defined);
        changes |= live != block->live;
        block->live = live;
      }
    }
  }

  void find_kinds() {
    unit_.blocks[0].kinds.fill(FloatKind::kExact);
    for (bool changes = true; changes;) {
      changes = false;
      for (const UnitBlock& block : unit_.blocks) {
        FloatKinds kinds = block.kinds;
        if (kinds[0] == FloatKind::kUnvisited) continue;  // all are, or none
        for (const UnitInstruction& instruction : block.instructions) follow_kinds(kinds, instruction.decoded);
        for (unsigned reg = 0; reg < 32; ++reg) {
          if (is_call(block) || (unit_.homed & float_bit(reg)) != 0) kinds[reg] = FloatKind::kExact;
        }
        for_each_successor(block, [&](UnitBlock& next) {
          for (std::size_t reg = 0; reg < kinds.size(); ++reg) {
            const FloatKind merged = merge(next.kinds[reg], kinds[reg]);
            changes |= merged != next.kinds[reg];
            next.kinds[reg] = merged;
          }
        });
      }
    }
  }

  // The kinds are ordered: a path can only make a register wider.
  void find_words() {
    unit_.blocks[0].words.fill(WordKind::kWide);
    unit_.blocks[0].words[0] = WordKind::kShort;
    for (bool changes = true; changes;) {
      changes = false;
      for (const UnitBlock& block : unit_.blocks) {
        WordKinds words = block.words;
        if (words[0] == WordKind::kUnvisited) continue;  // all are, or none
        for (const UnitInstruction& instruction : block.instructions) follow_words(words, instruction);
        for (unsigned reg = 1; reg < 32; ++reg) {
          if (is_call(block) || (unit_.homed & integer_bit(reg)) != 0) words[reg] = WordKind::kWide;
        }
        for_each_successor(block, [&](UnitBlock& next) {
          for (std::size_t reg = 0; reg < words.size(); ++reg) {
            changes |= words[reg] > next.words[reg];
            next.words[reg] = std::max(words[reg], next.words[reg]);
          }
        });
      }
    }
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
  std::vector<unsigned> depths_;  // of blocks: in how many loops they are
  std::size_t root_ = 0;  // the block from which loops are found
};

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
    return at(block.next_block) | at(block.target_block);
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

std::optional<GuestUnit> read_unit(const GuestCode& code, std::uint32_t entry, const UnitLimits& limits) {
  return UnitReader(code, limits).read(entry);
}

}  // namespace caisson::optimized
