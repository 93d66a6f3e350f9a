#include "optimized/llvm/unit_facts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <vector>

#include "optimized/llvm/guest_loops.h"

namespace caisson::optimized {
namespace {

FloatKind merge(FloatKind a, FloatKind b) {
  if (a == b || b == FloatKind::kUnvisited) return a;
  if (a == FloatKind::kUnvisited) return b;
  if (is_single(a) && is_single(b)) return FloatKind::kSingle;
  const auto either = [&](FloatKind kind) { return a == kind || b == kind; };
  if (either(FloatKind::kNumber) && either(FloatKind::kComputed)) return FloatKind::kComputed;
  return FloatKind::kExact;
}

class FactFinder {
 public:
  FactFinder(GuestUnit& unit, std::size_t root) : unit_(unit), root_(root) {}

  void run() {
    count_predecessors();
    place_checks();
    find_loops();
    find_dues();
    find_constants();
    choose_homed();
    find_settled();
    find_dirty();
    find_needed();
    find_live();
    find_kinds();
    find_words();
  }

 private:
  void count_predecessors() {
    unit_.blocks[0].predecessors = 1;
    for (const UnitBlock& block : unit_.blocks) {
      unit_.makes_calls |= block.is_call();
      unit_.for_each_successor(block, [](UnitBlock& next) { ++next.predecessors; });
    }
  }

  // Checks stand at the entry, behind calls, on backward edges, and wherever paths without one would be too dear.
  void place_checks() {
    std::vector<UnitBlock>& blocks = unit_.blocks;
    blocks[0].is_checked = true;
    for (std::size_t index = 0; index < blocks.size(); ++index) {
      if (blocks[index].is_call())
        unit_.for_each_successor(blocks[index], [&](UnitBlock& next) { next.checked_from.push_back(index); });
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
        unit_.for_each_successor(block, [&](UnitBlock& next) {
          const auto to = unit_.index_of(next);
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
        if (blocks[index].is_call()) block.loop_kept |= kPassed;
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
      if (block.is_call()) unit_.for_each_successor(block, [](UnitBlock& next) { next.due = 0; });
    }
    for (bool changes = true; changes;) {
      changes = false;
      for (const UnitBlock& block : unit_.blocks) {
        if (block.due == kUnknown) continue;
        const auto from = unit_.index_of(block);
        unit_.for_each_successor(block, [&](UnitBlock& next) {
          const auto to = unit_.index_of(next);
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

  void find_constants() {
    std::vector<bool> is_visited(unit_.blocks.size());
    is_visited[0] = true;
    for (bool changes = true; changes;) {
      changes = false;
      for (std::size_t index = 0; index < unit_.blocks.size(); ++index) {
        if (!is_visited[index]) continue;
        Constants constants = unit_.blocks[index].constants;
        for (const UnitInstruction& instruction : unit_.blocks[index].instructions)
          follow_constants(constants, instruction);
        if (unit_.blocks[index].is_call()) constants = {};
        unit_.for_each_successor(unit_.blocks[index], [&](UnitBlock& next) {
          const auto to = unit_.index_of(next);
          if (!is_visited[to]) {
            is_visited[to] = changes = true;
            next.constants = constants;
            return;
          }
          for (RegisterSet left = next.constants.known; left != 0; left &= left - 1) {
            const auto reg = static_cast<std::size_t>(std::countr_zero(left));
            if ((constants.known >> reg & 1) != 0 && constants.values[reg] == next.constants.values[reg]) continue;
            next.constants.known &= ~(RegisterSet{1} << reg);
            changes = true;
          }
        });
      }
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
      if (unit_.blocks[index].is_call()) {
        for (const std::uint8_t reg : kPassedRegisters) weights[reg] += weight;
      }
      Constants constants = unit_.blocks[index].constants;
      for (const UnitInstruction& instruction : unit_.blocks[index].instructions) {
        const RegisterUse use = registers_of(instruction.decoded);
        const RegisterSet known = constants.known;
        follow_constants(constants, instruction);
        for (RegisterSet left = (use.reads & ~known) | use.writes; left != 0; left &= left - 1)
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
        if (!block.is_call()) {
          unit_.for_each_successor(block, [&](UnitBlock& next) {
            behind &= next.settled | unit_.flushed_between(index, unit_.index_of(next));
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
        const RegisterSet made = (block.is_call() ? kPassed : block.dirty | block.defined) & ~unit_.homed;
        unit_.for_each_successor(block, [&](UnitBlock& next) {
          const RegisterSet out = made & ~unit_.flushed_between(index, unit_.index_of(next));
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
        if (!block->is_call()) unit_.for_each_successor(*block, [&](UnitBlock& next) { behind |= next.needed; });
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
          if (block.is_call() || (unit_.homed & float_bit(reg)) != 0) kinds[reg] = FloatKind::kExact;
        }
        unit_.for_each_successor(block, [&](UnitBlock& next) {
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
          if (block.is_call() || (unit_.homed & integer_bit(reg)) != 0) words[reg] = WordKind::kWide;
        }
        unit_.for_each_successor(block, [&](UnitBlock& next) {
          for (std::size_t reg = 0; reg < words.size(); ++reg) {
            changes |= words[reg] > next.words[reg];
            next.words[reg] = std::max(words[reg], next.words[reg]);
          }
        });
      }
    }
  }

  GuestUnit& unit_;
  const std::size_t root_;
  std::vector<unsigned> depths_;  // of blocks: in how many loops they are
};

}  // namespace

void find_facts(GuestUnit& unit, std::size_t root) { FactFinder(unit, root).run(); }

}  // namespace caisson::optimized
