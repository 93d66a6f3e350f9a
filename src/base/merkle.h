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
#include "base/sha256_batch.h"

namespace caisson::base {

// Levels of the highest tree: 2^40 leaves.
inline constexpr unsigned kMostMerkleLevels = 40;

// The SHA-256 of both, one behind the other.
Sha256 hash_pair(const Sha256& left, const Sha256& right);

// The root of 2^`level` leaves of zeros; `level` <= kMostMerkleLevels. At level 0 the leaf itself.
const Sha256& zero_subtree(unsigned level);

// The root over `chunks`, as many as `limit` at most, in a tree that has room for `limit`. At least 1, at most 2^kMostMerkleLevels.
Sha256 merkleize(std::span<const Sha256> chunks, std::uint64_t limit);

// A list's root and how many it holds; a union's root and which of its kinds it is.
Sha256 mix_in_length(const Sha256& root, std::uint64_t length);
Sha256 mix_in_selector(const Sha256& root, std::uint8_t selector);

// Hashes pairs that do not wait for each other, many at once.
class PairHasher {
 public:
  // `to` will be the SHA-256 of pair[0] and pair[1]. All must last, and stay, until finish().
  void add(const Sha256* pair, Sha256& to) {
    if (count_ == jobs_.size()) finish();
    jobs_[count_++] = {pair->data(), &to};
  }
  void finish() {
    sha256_batch(std::span(jobs_).first(count_), 2 * sizeof(Sha256));
    count_ = 0;
  }

 private:
  std::array<Sha256Job, 64> jobs_;
  std::size_t count_ = 0;
};

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
    MerkleTree* const self = this;
    make_roots(std::span(&self, 1));
    return nodes_[1];
  }

  // Makes the roots of all: their nodes are hashed level by level (sha256_batch.h).
  static void make_roots(std::span<MerkleTree* const> trees) {
    PairHasher hasher;
    for (unsigned level = 0; level < kLevels; ++level) {
      for (MerkleTree* const tree : trees) tree->add_changed_parents(level, hasher);
      hasher.finish();
    }
    for (MerkleTree* const tree : trees) tree->changed_ = {};
  }

 private:
  static_assert(kLevels >= 1 && kLevels <= 15);

  // Of what changed at `level`, counted from the leaves; node n has the children 2n and 2n + 1. Then `changed_` says which parents did.
  void add_changed_parents(unsigned level, PairHasher& hasher) {
    std::array<std::uint64_t, kWords> parents{};
    const std::size_t first_parent = kLeaves >> (level + 1);
    for (std::size_t word = 0; word < kWords; ++word) {
      for (std::uint64_t rest = changed_[word]; rest != 0;) {
        const std::size_t parent = (64 * word + static_cast<unsigned>(std::countr_zero(rest))) / 2;
        rest &= ~(std::uint64_t{3} << (2 * parent % 64));
        parents[parent / 64] |= std::uint64_t{1} << (parent % 64);
        hasher.add(&nodes_[2 * (first_parent + parent)], nodes_[first_parent + parent]);
      }
    }
    changed_ = parents;
  }

  static constexpr std::size_t kWords = (kLeaves + 63) / 64;
  std::array<Sha256, 2 * kLeaves> nodes_{};
  std::array<std::uint64_t, kWords> changed_{};
};

}  // namespace caisson::base
