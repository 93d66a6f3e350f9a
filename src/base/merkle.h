// Merkle trees of SHA-256 as SSZ defines them (github.com/ethereum/consensus-specs, ssz/simple-serialize.md, "Merkleization"): a node is the
// SHA-256 of its two children; where leaves are missing, up to a power of two, stand subtrees of 32-byte zeros.
//
// Thread safety: functions of their arguments; a tree as any value.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/hash.h"

namespace caisson::base {

// Levels of the highest tree: 2^40 leaves.
inline constexpr unsigned kMostMerkleLevels = 40;

// The SHA-256 of both, one behind the other. Several times as fast as sha256() of 64 bytes.
Sha256 hash_pair(const Sha256& left, const Sha256& right);

// The root of 2^`level` leaves of zeros; `level` <= kMostMerkleLevels. At level 0 the leaf itself.
const Sha256& zero_subtree(unsigned level);

// The root over `chunks`, as many as `limit` at most, in a tree that has room for `limit`. At least 1, at most 2^kMostMerkleLevels.
Sha256 merkleize(std::span<const Sha256> chunks, std::uint64_t limit);

// A list's root and how many it holds; a union's root and which of its kinds it is.
Sha256 mix_in_length(const Sha256& root, std::uint64_t length);
Sha256 mix_in_selector(const Sha256& root, std::uint8_t selector);

// A tree of 2^kLevels leaves that remembers its nodes: after k leaves were set, root() costs O(k * kLevels).
template <unsigned kLevels>
class MerkleTree {
 public:
  static constexpr std::size_t kLeaves = std::size_t{1} << kLevels;

  // All leaves are roots of `leaf_level` levels of zeros.
  explicit MerkleTree(unsigned leaf_level) {
    for (unsigned level = 0; level <= kLevels; ++level) {
      const std::size_t first = kLeaves >> level;
      for (std::size_t node = first; node < 2 * first; ++node) nodes_[node] = zero_subtree(leaf_level + level);
    }
  }

  const Sha256& leaf(std::size_t index) const { return nodes_[kLeaves + index]; }

  void set_leaf(std::size_t index, const Sha256& hash) {
    nodes_[kLeaves + index] = hash;
    changed_[index / 64] |= std::uint64_t{1} << (index % 64);
  }

  // The root as root() gave it last.
  const Sha256& known_root() const { return nodes_[1]; }

  const Sha256& root() {
    // Node n has the children 2n and 2n + 1. Changed nodes ascend, so that those with one parent stand together.
    std::array<std::uint16_t, kLeaves> nodes;
    std::size_t count = 0;
    for (std::size_t word = 0; word < changed_.size(); ++word) {
      for (std::uint64_t rest = changed_[word]; rest != 0; rest &= rest - 1)
        nodes[count++] =
            static_cast<std::uint16_t>(kLeaves + 64 * word + static_cast<unsigned>(std::countr_zero(rest)));
      changed_[word] = 0;
    }
    for (unsigned level = 0; level < kLevels && count != 0; ++level) {
      std::size_t parents = 0;
      for (std::size_t index = 0; index < count; ++index) {
        const auto parent = static_cast<std::uint16_t>(nodes[index] / 2);
        if (parents != 0 && nodes[parents - 1] == parent) continue;
        nodes_[parent] = hash_pair(nodes_[2 * parent], nodes_[2 * parent + 1]);
        nodes[parents++] = parent;
      }
      count = parents;
    }
    return nodes_[1];
  }

 private:
  static_assert(kLevels >= 1 && kLevels <= 15);
  std::array<Sha256, 2 * kLeaves> nodes_{};
  std::array<std::uint64_t, (kLeaves + 63) / 64> changed_{};
};

}  // namespace caisson::base
