#include "optimized/llvm/loop_unrolling.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "optimized/llvm/counted_loops.h"
#include "optimized/llvm/guest_loops.h"

namespace caisson::optimized {
namespace {

// Instructions of an unrolled loop, and most copies. Measured with `caisson bench compute`: more makes units larger and little faster.
constexpr std::size_t kInstructions = 64, kCopies = 8;
// Of larger loops the branches cost little, and copies of both kinds take the place of other loops' copies.
constexpr std::size_t kLargestCounted = 10, kCopiesOfRest = 2;
// What all copies may add to a unit: instructions, blocks.
constexpr std::size_t kMostAdded = 1024, kMostBlocks = 160;

class Unroller {
 public:
  Unroller(GuestUnit& unit, std::size_t root) : blocks_(unit.blocks), root_(root) {}

  void run() {
    find_loops();
    std::size_t added = 0;
    const std::size_t blocks = blocks_.size();
    for (const GuestLoop& loop : loops_) {
      if (!is_innermost(loop)) continue;
      const std::size_t size = size_of(loop);
      const std::size_t copies = size == 0 ? 1 : std::min(kCopies, kInstructions / size);
      if (copies < 2) continue;
      const auto in_loop = static_cast<std::size_t>(std::ranges::count(loop.body, true));
      const auto fits = [&](std::size_t more) {
        return added + size * more <= kMostAdded && blocks_.size() - blocks + in_loop * more <= kMostBlocks;
      };
      std::optional<CountedLoop> counted = find_count(blocks_, loop);
      if (size > kLargestCounted || !fits(copies + kCopiesOfRest)) counted.reset();
      const std::size_t more = counted ? copies + kCopiesOfRest : copies - 1;
      if (!fits(more)) continue;
      added += size * more;
      if (counted) {
        unroll_counted(loop, *counted, copies);
      } else {
        unroll(loop, copies);
      }
    }
  }

 private:
  void find_loops() {
    const auto predecessors = find_predecessors(blocks_);
    for (const BackwardEdge& edge : find_backward_edges(blocks_, root_)) {
      const GuestLoop found = find_loop(edge, predecessors);
      const auto loop = std::ranges::find(loops_, edge.to, &GuestLoop::header);
      if (loop == loops_.end()) {
        loops_.push_back(found);
      } else {
        for (std::size_t block = 0; block < found.body.size(); ++block)
          loop->body[block] = loop->body[block] || found.body[block];
      }
    }
    // Where the unit's entry lies in the body, but is not the header, the body is entered elsewhere as well.
    std::erase_if(loops_, [](const GuestLoop& loop) { return loop.header != 0 && loop.body[0]; });
  }

  bool is_innermost(const GuestLoop& loop) const {
    return std::ranges::none_of(
        loops_, [&](const GuestLoop& other) { return other.header != loop.header && loop.body[other.header]; });
  }

  // In instructions; 0 where the loop makes calls, or jumps by a table.
  std::size_t size_of(const GuestLoop& loop) const {
    std::size_t size = 0;
    for (std::size_t block = 0; block < loop.body.size(); ++block) {
      if (!loop.body[block]) continue;
      const BlockEnd end = blocks_[block].end;
      if (end == BlockEnd::kCall || end == BlockEnd::kIndirectCall || end == BlockEnd::kIndirectJump) return 0;
      size += blocks_[block].instructions.size();
    }
    return size;
  }

  // In the place of the header comes a block that looks how often the loop goes around. It leads to copies that follow each other, of which
  // only the last may leave by the latch's branch, and looks for itself whether all go around once more; where that is not sure, to copies that
  // all may leave.
  void unroll_counted(const GuestLoop& loop, const CountedLoop& counted, std::size_t copies) {
    const std::size_t header = loop.header;
    std::vector<std::vector<int>> places(copies);
    for (std::vector<int>& of_copy : places) of_copy = copy_blocks(blocks_, loop.body);
    for (std::size_t copy = 0; copy < copies; ++copy) {
      const bool is_last = copy + 1 == copies;
      const auto follow = [&](int& edge) {
        if (edge < 0) return;
        const auto to = static_cast<std::size_t>(edge);
        if (to != header) {
          edge = places[copy][to];
        } else if (!is_last) {
          edge = places[copy + 1][to];
        }
      };
      for (std::size_t block = 0; block < loop.body.size(); ++block) {
        if (!loop.body[block]) continue;
        UnitBlock& made = blocks_[static_cast<std::size_t>(places[copy][block])];
        if (block == counted.latch && !is_last) {
          made.end = BlockEnd::kGoOn;
          made.next = made.target;
          made.next_block = made.target_block;
          made.target_block = UnitBlock::kOutside;
        }
        follow(made.next_block);
        follow(made.target_block);
      }
    }
    const std::size_t copies_of_rest = blocks_.size();
    unroll(loop, kCopiesOfRest);
    UnitBlock look;
    look.pc = look.behind = blocks_[header].pc;
    look.next = look.target = look.pc;
    look.context = blocks_[header].context;
    look.end = BlockEnd::kCounted;
    look.count = counted.count;
    look.count.rounds = static_cast<std::uint32_t>(copies);
    look.used =
        (integer_bit(look.count.first) | integer_bit(look.count.second) | integer_bit(look.count.step_register));
    look.target_block = places[0][header];
    look.next_block = static_cast<int>(blocks_.size());
    UnitBlock& last = blocks_[static_cast<std::size_t>(places[copies - 1][counted.latch])];
    last.count = look.count;
    last.again_block = look.target_block;
    last.target_block = look.next_block;
    last.used |= look.used & ~last.defined;
    blocks_.push_back(std::move(blocks_[header]));
    blocks_[header] = std::move(look);
    // What is left becomes less: the rest goes around without a look.
    for (std::size_t block = 0; block < blocks_.size(); ++block) {
      const bool is_rest = block < loop.body.size() ? block != header && loop.body[block] : block >= copies_of_rest;
      if (!is_rest) continue;
      for (int* const edge : {&blocks_[block].next_block, &blocks_[block].target_block}) {
        if (*edge == static_cast<int>(header)) *edge = blocks_[header].next_block;
      }
    }
  }

  // The edges to the header lead to the header of the next copy, those of the last copy to the first.
  void unroll(const GuestLoop& loop, std::size_t copies) {
    std::vector<std::vector<int>> places(copies);
    for (std::size_t copy = 0; copy < copies; ++copy)
      places[copy] = copy_blocks(blocks_, copy == 0 ? std::vector<bool>(loop.body.size()) : loop.body);
    for (std::size_t copy = 0; copy < copies; ++copy) {
      const auto follow = [&](int& edge) {
        if (edge < 0) return;
        const auto to = static_cast<std::size_t>(edge);
        edge = to == loop.header ? places[(copy + 1) % copies][to] : places[copy][to];
      };
      for (std::size_t block = 0; block < loop.body.size(); ++block) {
        if (!loop.body[block]) continue;
        UnitBlock& made = blocks_[static_cast<std::size_t>(places[copy][block])];
        follow(made.next_block);
        follow(made.target_block);
      }
    }
  }

  std::vector<UnitBlock>& blocks_;
  const std::size_t root_;
  std::vector<GuestLoop> loops_;
};

}  // namespace

void unroll_loops(GuestUnit& unit, std::size_t root) { Unroller(unit, root).run(); }

}  // namespace caisson::optimized
