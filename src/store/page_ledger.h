// What capabilities take in memory, where copies of a Data share nodes and pages: each counts once, for as long as somebody has it.
//
// Shared is what is the same memory: pages that are equal, and came from elsewhere, count each.
//
// Thread safety: every function may be called from any thread.
#pragma once

#include <array>
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
  static constexpr std::size_t kShards = 16;
  struct Shard {
    std::mutex mutex;
    PointerCounts counts;
  };

  Shard& shard_of(const void* item);
  // Whether it is the first.
  bool count_up(const void* item);
  // Whether it was the last.
  bool count_down(const void* item);
  template <bool (PageLedger::*count)(const void*)>
  std::uint64_t walk(const capability::Node& node, unsigned height);

  std::array<Shard, kShards> shards_;
};

// What one takes alone, pages and nodes included.
std::uint64_t memory_bytes(const Capability& capability);

}  // namespace caisson::store
