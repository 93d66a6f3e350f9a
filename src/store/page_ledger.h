// What capabilities take in memory, where copies of a Data share nodes and pages: each counts once, for as long as somebody has it.
//
// Shared is what is the same memory: pages that are equal, and came from elsewhere, count each.
//
// Thread safety: every function may be called from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "capability/data_nodes.h"
#include "store/pointer_counts.h"

namespace caisson::store {

class PageLedger {
 public:
  // The bytes that were not there before, and those that nobody has any more. What was added must stay as it is, and alive, until it was
  // removed. A node that is known is not looked into, so a copy with k other pages costs O(k log n).
  std::uint64_t add(const Capability& capability);
  std::uint64_t remove(const Capability& capability);

 private:
  enum class Change : std::uint8_t { kAdd, kRemove };
  // Whether it is the first, or was the last.
  template <Change change>
  bool count(const void* item);
  template <Change change>
  std::uint64_t walk(const capability::Node& node, unsigned height);
  // The pages of leaves that were first, or last.
  template <Change change>
  std::uint64_t count_pages();
  template <Change change>
  std::uint64_t account(const Capability& capability);

  // One lock for the whole walk: it takes microseconds where hashing the same Data took tens of them.
  std::mutex mutex_;
  PointerCounts counts_;  // guarded by mutex_, as is what follows
  // Leaves whose pages are counted a little later, when their entries have come from memory.
  std::array<const capability::Leaf*, 32> leaves_{};
  std::size_t leaf_count_ = 0;
};

// What one takes alone, pages and nodes included.
std::uint64_t memory_bytes(const Capability& capability);

}  // namespace caisson::store
