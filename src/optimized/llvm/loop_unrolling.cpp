#include "optimized/llvm/loop_unrolling.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace caisson::optimized {
namespace {

// Instructions of an unrolled loop, and most copies. Measured with `caisson bench compute`: more makes units larger and little faster.
constexpr std::size_t kInstructions = 64, kCopies = 8;
// What all copies may add to a unit: instructions, blocks.
constexpr std::size_t kMostAdded = 1024, kMostBlocks = 160;

struct Loop {
  std::size_t header = 0;
  std::vector<bool> body;  // by block
};

class Unroller {
 public:
  explicit Unroller(GuestUnit& unit) : blocks_(unit.blocks) {}

  void run() {
    find_loops();
    std::size_t added = 0;
    const std::size_t blocks = blocks_.size();
    for (const Loop& loop : loops_) {
      if (!is_innermost(loop)) continue;
      const std::size_t size = size_of(loop);
      const std::size_t copies = size == 0 ? 1 : std::min(kCopies, kInstructions / size);
      if (copies < 2 || added + size * (copies - 1) > kMostAdded) continue;
      const auto in_loop = static_cast<std::size_t>(std::ranges::count(loop.body, true));
      if (blocks_.size() - blocks + in_loop * (copies - 1) > kMostBlocks) continue;
      added += size * (copies - 1);
      unroll(loop, copies);
    }
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};

  std::size_t successor(std::size_t block, std::size_t number) const {
    const int index = blocks_[block].successor(number);
    return index < 0 ? kNone : static_cast<std::size_t>(index);
  }

  // Edges that lead back on the path of a depth-first search.
  std::vector<std::pair<std::size_t, std::size_t>> backward_edges() const {
    enum class State : std::uint8_t { kNew, kOpen, kDone };
    std::vector<State> states(blocks_.size(), State::kNew);
    std::vector<std::pair<std::size_t, std::size_t>> path{{0, 0}}, edges;
    states[0] = State::kOpen;
    while (!path.empty()) {
      auto& [block, number] = path.back();
      if (number == blocks_[block].successor_count()) {
        states[block] = State::kDone;
        path.pop_back();
        continue;
      }
      const std::size_t next = successor(block, number++);
      if (next == kNone) continue;
      if (states[next] == State::kOpen) edges.emplace_back(block, next);
      if (states[next] != State::kNew) continue;
      states[next] = State::kOpen;
      path.emplace_back(next, 0);
    }
    return edges;
  }

  void find_loops() {
    std::vector<std::vector<std::size_t>> predecessors(blocks_.size());
    for (std::size_t block = 0; block < blocks_.size(); ++block) {
      for (std::size_t number = 0; number < blocks_[block].successor_count(); ++number) {
        if (const std::size_t next = successor(block, number); next != kNone) predecessors[next].push_back(block);
      }
    }
    for (const auto& [latch, header] : backward_edges()) {
      auto loop = std::ranges::find(loops_, header, &Loop::header);
      if (loop == loops_.end()) {
        loop = loops_.insert(loops_.end(), {.header = header, .body = std::vector<bool>(blocks_.size())});
        loop->body[header] = true;
      }
      std::vector<std::size_t> left{latch};
      while (!left.empty()) {
        const std::size_t block = left.back();
        left.pop_back();
        if (loop->body[block]) continue;
        loop->body[block] = true;
        left.insert(left.end(), predecessors[block].begin(), predecessors[block].end());
      }
    }
    // Where the unit's entry lies in the body, but is not the header, the body is entered elsewhere as well.
    std::erase_if(loops_, [](const Loop& loop) { return loop.header != 0 && loop.body[0]; });
  }

  bool is_innermost(const Loop& loop) const {
    return std::ranges::none_of(
        loops_, [&](const Loop& other) { return other.header != loop.header && loop.body[other.header]; });
  }

  // In instructions; 0 where the loop makes calls, or jumps by a table.
  std::size_t size_of(const Loop& loop) const {
    std::size_t size = 0;
    for (std::size_t block = 0; block < loop.body.size(); ++block) {
      if (!loop.body[block]) continue;
      const BlockEnd end = blocks_[block].end;
      if (end == BlockEnd::kCall || end == BlockEnd::kIndirectCall || end == BlockEnd::kIndirectJump) return 0;
      size += blocks_[block].instructions.size();
    }
    return size;
  }

  // The edges to the header lead to the header of the next copy, those of the last copy to the first.
  void unroll(const Loop& loop, std::size_t copies) {
    std::vector<std::vector<int>> places(copies, std::vector<int>(loop.body.size()));
    for (std::size_t copy = 0; copy < copies; ++copy) {
      for (std::size_t block = 0; block < loop.body.size(); ++block) {
        places[copy][block] = static_cast<int>(block);
        if (copy == 0 || !loop.body[block]) continue;
        places[copy][block] = static_cast<int>(blocks_.size());
        blocks_.push_back(UnitBlock(blocks_[block]));
      }
    }
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
  std::vector<Loop> loops_;
};

}  // namespace

void unroll_loops(GuestUnit& unit) { Unroller(unit).run(); }

}  // namespace caisson::optimized
