#include "optimized/llvm/guest_loops.h"

#include <cstdint>
#include <utility>

namespace caisson::optimized {

std::vector<BackwardEdge> find_backward_edges(const std::vector<UnitBlock>& blocks, std::size_t root) {
  enum class State : std::uint8_t { kNew, kOpen, kDone };
  std::vector<State> states(blocks.size(), State::kNew);
  std::vector<BackwardEdge> edges;
  for (const std::size_t first : {root, std::size_t{0}}) {
    if (states[first] != State::kNew) continue;
    std::vector<std::pair<std::size_t, std::size_t>> path{{first, 0}};
    states[first] = State::kOpen;
    while (!path.empty()) {
      auto& [block, number] = path.back();
      if (number == blocks[block].successor_count()) {
        states[block] = State::kDone;
        path.pop_back();
        continue;
      }
      const int successor = blocks[block].successor(number++);
      if (successor == UnitBlock::kOutside) continue;
      const auto next = static_cast<std::size_t>(successor);
      if (states[next] == State::kOpen) edges.push_back({block, next});
      if (states[next] != State::kNew) continue;
      states[next] = State::kOpen;
      path.emplace_back(next, 0);
    }
  }
  return edges;
}

std::vector<std::vector<std::size_t>> find_predecessors(const std::vector<UnitBlock>& blocks) {
  std::vector<std::vector<std::size_t>> predecessors(blocks.size());
  for (std::size_t block = 0; block < blocks.size(); ++block) {
    for (std::size_t number = 0; number < blocks[block].successor_count(); ++number) {
      const int next = blocks[block].successor(number);
      if (next != UnitBlock::kOutside) predecessors[static_cast<std::size_t>(next)].push_back(block);
    }
  }
  return predecessors;
}

GuestLoop find_loop(const BackwardEdge& edge, const std::vector<std::vector<std::size_t>>& predecessors) {
  GuestLoop loop{.header = edge.to, .body = std::vector<bool>(predecessors.size())};
  loop.body[edge.to] = true;
  std::vector<std::size_t> left{edge.from};
  while (!left.empty()) {
    const std::size_t block = left.back();
    left.pop_back();
    if (loop.body[block]) continue;
    loop.body[block] = true;
    left.insert(left.end(), predecessors[block].begin(), predecessors[block].end());
  }
  return loop;
}

bool is_around(const GuestLoop& one, const GuestLoop& other) {
  if (one.body == other.body) return false;
  for (std::size_t block = 0; block < one.body.size(); ++block) {
    if (other.body[block] && !one.body[block]) return false;
  }
  return true;
}

std::vector<int> copy_blocks(std::vector<UnitBlock>& blocks, const std::vector<bool>& body) {
  std::vector<int> places(body.size());
  for (std::size_t block = 0; block < body.size(); ++block) {
    places[block] = static_cast<int>(body[block] ? blocks.size() : block);
    if (body[block]) blocks.push_back(UnitBlock(blocks[block]));
  }
  return places;
}

}  // namespace caisson::optimized
