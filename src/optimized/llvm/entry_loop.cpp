#include "optimized/llvm/entry_loop.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "optimized/llvm/guest_loops.h"

namespace caisson::optimized {
namespace {

// What the copy may add to a unit.
constexpr std::size_t kMostInstructions = 256, kMostBlocks = 48;

bool is_small(const std::vector<UnitBlock>& blocks, const std::vector<bool>& body) {
  std::size_t instructions = 0, count = 0;
  for (std::size_t block = 0; block < body.size(); ++block) {
    if (!body[block]) continue;
    if (!blocks[block].targets.empty()) return false;
    instructions += blocks[block].instructions.size();
    ++count;
  }
  return instructions <= kMostInstructions && count <= kMostBlocks;
}

// Blocks to which, and from which, others lead from `block`, and that itself.
std::vector<bool> reached_from(std::size_t block, std::size_t count, const auto& next_of) {
  std::vector<bool> reached(count);
  std::vector<std::size_t> left{block};
  while (!left.empty()) {
    const std::size_t at = left.back();
    left.pop_back();
    if (reached[at]) continue;
    reached[at] = true;
    next_of(at, [&](std::size_t next) { left.push_back(next); });
  }
  return reached;
}

// The first block, in the order of addresses, of those that lie on a way from `block` to itself; compilers lay the outermost loop around
// the others.
std::size_t first_around(const std::vector<UnitBlock>& blocks, std::size_t block) {
  const auto predecessors = find_predecessors(blocks);
  const auto behind = reached_from(block, blocks.size(), [&](std::size_t at, const auto& add) {
    for (std::size_t number = 0; number < blocks[at].successor_count(); ++number) {
      if (const int next = blocks[at].successor(number); next != UnitBlock::kOutside)
        add(static_cast<std::size_t>(next));
    }
  });
  const auto before = reached_from(block, blocks.size(), [&](std::size_t at, const auto& add) {
    for (const std::size_t previous : predecessors[at]) add(previous);
  });
  std::size_t first = block;
  for (std::size_t at = 0; at < blocks.size(); ++at) {
    const bool is_around = behind[at] && before[at] && blocks[at].context == 0;
    if (is_around && blocks[at].pc < blocks[first].pc) first = at;
  }
  return first;
}

}  // namespace

std::size_t separate_entry_loop(GuestUnit& unit) {
  std::vector<UnitBlock>& blocks = unit.blocks;
  const auto predecessors = find_predecessors(blocks);
  struct Way {
    std::size_t from;
    GuestLoop loop;
  };
  std::vector<Way> ways;  // back to the entry
  for (const BackwardEdge& edge : find_backward_edges(blocks, 0)) {
    if (edge.to == 0) ways.push_back({edge.from, find_loop(edge, predecessors)});
  }
  // Loops around are those that come from before the entry; a loop may have several ways back of its own, one within the other.
  const auto comes_from_around = [&](const Way& way) {
    return blocks[way.from].pc < blocks[0].pc &&
           std::ranges::any_of(ways, [&](const Way& other) { return is_around(way.loop, other.loop); });
  };
  std::vector<bool> body(blocks.size()), is_around_edge(blocks.size());
  for (const Way& way : ways) {
    if (comes_from_around(way)) {
      is_around_edge[way.from] = true;
      continue;
    }
    for (std::size_t block = 0; block < body.size(); ++block) body[block] = body[block] || way.loop.body[block];
  }
  const auto around = std::ranges::find(is_around_edge, true);
  if (around == is_around_edge.end() || !is_small(blocks, body)) return first_around(blocks, 0);
  const std::vector<int> places = copy_blocks(blocks, body);
  const auto follow = [&](UnitBlock& block) {
    if (block.next_block >= 0) block.next_block = places[static_cast<std::size_t>(block.next_block)];
    if (block.target_block >= 0) block.target_block = places[static_cast<std::size_t>(block.target_block)];
  };
  // All but the entry's own loop lead to the copy.
  for (std::size_t block = body.size(); block < blocks.size(); ++block) follow(blocks[block]);
  for (std::size_t block = 0; block < body.size(); ++block) {
    if (!body[block]) follow(blocks[block]);
  }
  return first_around(blocks, static_cast<std::size_t>(around - is_around_edge.begin()));
}

}  // namespace caisson::optimized
