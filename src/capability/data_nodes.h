// capability/: the values of caisson/capability.h: their pages, hashes, encodings and rules. Start reading here, then encoding.cpp.
//
// How a Data keeps its pages: a tree whose nodes have 16 children each, shared by values. A Leaf (height 1) has pages, a node of height h
// has nodes of height h - 1; a value's root is as high as its page count needs. A null page or node is zeros. Each node has the part of the
// merkle tree that is over its children (base/merkle.h), and marks of the children that were changed since the hashes were made.
//
// Who may change a node. Handles (Data) of one State share it; a handle changes its State in place where it has it alone, and makes a State
// of its own otherwise, which begins with the same root. A node names the State that made it as its owner; only that one changes it, all
// others replace it by a copy of their own. When a State is copied, it gets a new number, so that what both have from then on is nobody's.
// Its hashes are made before, so that nodes of several States are never written, not even by hash().
//
// Thread safety: as the values. The mutex of a State keeps const functions, which make hashes when they are first asked, from each other.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/merkle.h"
#include "caisson/capability.h"

namespace caisson::capability {

inline constexpr unsigned kNodeLevels = 4;  // of the merkle tree
inline constexpr std::uint32_t kNodeChildren = 1U << kNodeLevels;
inline constexpr unsigned kDataLevels = 20;
inline constexpr unsigned kMostHeight = kDataLevels / kNodeLevels;
static_assert(1U << kDataLevels == kMostDataPages && kMostHeight * kNodeLevels == kDataLevels);

struct Node {
  Node(std::uint64_t owning_state, unsigned height) : owner(owning_state), hashes(kNodeLevels * (height - 1)) {}

  std::uint64_t owner;
  base::MerkleTree<kNodeLevels> hashes;
  std::uint16_t changed = 0;  // a bit for each child
};

struct Leaf : Node {
  explicit Leaf(std::uint64_t owning_state) : Node(owning_state, 1) {}
  std::array<std::shared_ptr<const Data::Page>, kNodeChildren> pages{};
};

struct Inner : Node {
  Inner(std::uint64_t owning_state, unsigned height) : Node(owning_state, height) {}
  std::array<std::shared_ptr<Node>, kNodeChildren> nodes{};
};

// The height of the root over so many pages, 1…kMostHeight.
unsigned height_for(std::uint32_t page_count);

// Which child of a node of height `height` leads to a page.
constexpr std::uint32_t child_index(std::uint32_t page, unsigned height) {
  return (page >> (kNodeLevels * (height - 1))) % kNodeChildren;
}

class DataAccess {
 public:
  static Data::State& state(const Data& data) { return *data.state_; }
  static Data::State& own_state(Data& data) { return data.own_state(); }
};

// Sets a page that is not zeros and whose hash is known; `hash` is believed. `index` < page_count().
void set_hashed_page(Data& data, std::uint32_t index, std::shared_ptr<const Data::Page> page, const base::Sha256& hash);

// The State of a value with its hashes made: those of all nodes are right.
const Data::State& hashed_state(const Data& data);

}  // namespace caisson::capability

namespace caisson {

struct Data::State {
  explicit State(std::uint32_t pages);
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Null where all its pages are zeros.
  const capability::Leaf* find_leaf(std::uint32_t page) const;
  // The leaf of a page, made or copied so that this State may change it, and marked on the way.
  capability::Leaf& own_leaf(std::uint32_t page);
  // Makes what hashes are missing.
  void make_hashes();
  // Another State with the same pages.
  std::unique_ptr<State> copy();

  const std::uint32_t page_count;
  const unsigned height;
  std::atomic<std::uint64_t> handles{1};
  std::uint64_t number;
  std::shared_ptr<capability::Node> root;
  std::mutex mutex;  // of making hashes
  std::atomic<bool> is_hashed{false};
  Hash hash;
};

}  // namespace caisson
