// Loops of a unit's graph, as natural loops of its backward edges.
#pragma once

#include <cstddef>
#include <vector>

#include "optimized/llvm/guest_unit.h"

namespace caisson::optimized {

struct BackwardEdge {
  std::size_t from = 0, to = 0;  // blocks
};

struct GuestLoop {
  std::size_t header = 0;
  std::vector<bool> body;  // by block
};

// Edges that lead back on the path of a depth-first search from `root`, and then from the unit's entry.
std::vector<BackwardEdge> find_backward_edges(const std::vector<UnitBlock>& blocks, std::size_t root);

std::vector<std::vector<std::size_t>> find_predecessors(const std::vector<UnitBlock>& blocks);

// The blocks from which the edge is reached without passing its target, and that.
GuestLoop find_loop(const BackwardEdge& edge, const std::vector<std::vector<std::size_t>>& predecessors);

// Whether `one` has all blocks of `other`, and more.
bool is_around(const GuestLoop& one, const GuestLoop& other);

// Appends copies of the blocks of `body`, with edges that lead where those of the originals do. Gives the copies' indices, by block; of other
// blocks their own.
std::vector<int> copy_blocks(std::vector<UnitBlock>& blocks, const std::vector<bool>& body);

}  // namespace caisson::optimized
