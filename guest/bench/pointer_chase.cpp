// Walks a ring of 16 384 nodes in random order: each load's address is the result of the one before.
#include "kernel.h"

namespace {

constexpr std::uint32_t kNodes = 16'384;

struct Node {
  Node* next;
  std::uint64_t value;
};
Node nodes[kNodes];

// Links all nodes into one cycle (Sattolo's shuffle of the order of visits).
void link_ring() {
  static std::uint32_t order[kNodes];
  for (std::uint32_t index = 0; index < kNodes; ++index) order[index] = index;
  kernel::Random random(7);
  for (std::uint32_t index = kNodes - 1; index > 0; --index) {
    const auto other = static_cast<std::uint32_t>(random.below(index));
    const std::uint32_t kept = order[index];
    order[index] = order[other];
    order[other] = kept;
  }
  for (std::uint32_t index = 0; index < kNodes; ++index) {
    nodes[order[index]] = {&nodes[order[(index + 1) % kNodes]], order[index]};
  }
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  link_ring();
  std::uint64_t checksum = 0;
  const Node* node = nodes;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::uint32_t step = 0; step < kNodes + 1; ++step) {
      checksum += node->value;
      node = node->next;
    }
    checksum = kernel::mix(checksum, node->value);
  }
  return checksum;
}
