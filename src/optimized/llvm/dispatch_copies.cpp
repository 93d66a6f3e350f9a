#include "optimized/llvm/dispatch_copies.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "optimized/llvm/guest_loops.h"

namespace caisson::optimized {
namespace {

// Instructions of a copy, copies, and edges of all their tables: what they add to a unit is bounded.
constexpr std::size_t kLargest = 32, kMostCopies = 16, kMostEdges = 256;

// Copies of `jump` and of the only block before it.
void copy_one(std::vector<UnitBlock>& blocks, std::size_t jump) {
  const auto predecessors = find_predecessors(blocks);
  const std::size_t first = predecessors[jump].size() == 1 ? predecessors[jump].front() : jump;
  const bool has_two = first != jump;
  if (blocks[jump].instructions.size() + (has_two ? blocks[first].instructions.size() : 0) > kLargest) return;
  std::vector<std::size_t> from;
  for (const std::size_t block : predecessors[first]) {
    const bool is_new = std::ranges::find(from, block) == from.end();
    if (is_new && block != first && block != jump && blocks[block].targets.empty()) from.push_back(block);
  }
  if (from.size() < 2 || from.size() > kMostCopies || from.size() * blocks[jump].targets.size() > kMostEdges) return;
  std::vector<bool> copied(blocks.size());
  copied[first] = copied[jump] = true;
  for (const std::size_t block : from) {
    copied.resize(blocks.size());
    const std::vector<int> places = copy_blocks(blocks, copied);
    UnitBlock& made = blocks[static_cast<std::size_t>(places[first])];
    // Every way around passes here.
    made.checked_from = {block};
    for (int* const edge : {&made.next_block, &made.target_block}) {
      if (has_two && *edge == static_cast<int>(jump)) *edge = places[jump];
    }
    for (int* const edge : {&blocks[block].next_block, &blocks[block].target_block}) {
      if (*edge == static_cast<int>(first)) *edge = places[first];
    }
  }
}

}  // namespace

void copy_dispatch(GuestUnit& unit) {
  // One has to be enough: an interpreter has one loop.
  const auto jump = std::ranges::find_if(unit.blocks, [](const UnitBlock& block) { return !block.targets.empty(); });
  if (jump != unit.blocks.end()) copy_one(unit.blocks, static_cast<std::size_t>(jump - unit.blocks.begin()));
}

}  // namespace caisson::optimized
