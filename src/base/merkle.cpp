#include "base/merkle.h"

#include <algorithm>
#include <vector>

namespace caisson::base {
namespace {

// Trees of so many chunks take no memory from the heap: containers have at most 17 fields.
constexpr std::size_t kFewChunks = 32;

Sha256 mix_in(const Sha256& root, std::uint64_t number) {
  Sha256 chunk{};
  for (unsigned index = 0; index < sizeof number; ++index)
    chunk[index] = static_cast<std::uint8_t>(number >> (8 * index));
  return hash_pair(root, chunk);
}

}  // namespace

Sha256 hash_pair(const Sha256& left, const Sha256& right) {
  const std::array<Sha256, 2> pair = {left, right};
  Sha256 digest;
  const Sha256Job job{pair.front().data(), &digest};
  sha256_batch(std::span(&job, 1), sizeof pair);
  return digest;
}

const Sha256& zero_subtree(unsigned level) {
  static const auto kRoots = [] {
    std::array<Sha256, kMostMerkleLevels + 1> roots{};
    for (unsigned index = 1; index < roots.size(); ++index)
      roots[index] = hash_pair(roots[index - 1], roots[index - 1]);
    return roots;
  }();
  return kRoots[level];
}

Sha256 merkleize(std::span<const Sha256> chunks, std::uint64_t limit) {
  const unsigned levels = limit <= 1 ? 0 : static_cast<unsigned>(std::bit_width(limit - 1));
  // Zeros at the end are as if they were missing.
  while (!chunks.empty() && chunks.back() == Sha256{}) chunks = chunks.first(chunks.size() - 1);
  if (chunks.empty()) return zero_subtree(levels);
  std::array<Sha256, kFewChunks + 1> few;
  std::vector<Sha256> many;
  if (chunks.size() > kFewChunks) many.resize(chunks.size() + 1);
  Sha256* const nodes = many.empty() ? few.data() : many.data();
  std::ranges::copy(chunks, nodes);
  std::size_t count = chunks.size();
  PairHasher hasher;
  for (unsigned level = 0; level < levels; ++level) {
    if (count % 2 != 0) nodes[count] = zero_subtree(level);
    count = (count + 1) / 2;
    // A parent takes the place of a node that is hashed with it or was before.
    for (std::size_t index = 0; index < count; ++index) hasher.add(nodes + 2 * index, nodes[index]);
    hasher.finish();
  }
  return nodes[0];
}

Sha256 mix_in_length(const Sha256& root, std::uint64_t length) { return mix_in(root, length); }
Sha256 mix_in_selector(const Sha256& root, std::uint8_t selector) { return mix_in(root, selector); }

}  // namespace caisson::base
