// What a store keeps in LMDB's tables, within one transaction: containers, their sizes, and the order in which they are evicted.
//
// Nothing of the tables is authenticated but the containers themselves. Wrong facts can make the store evict too early or too late.
//
// Functions that return int give 0 or LMDB's code; the caller undoes the transaction then.
//
// Thread safety: as the transaction.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "store/lmdb_environment.h"

namespace caisson::store {

// What is known of an artifact beside its container.
struct ArtifactFacts {
  std::uint64_t order = 0;  // lowest is evicted first; a new one with each change of the artifact
  std::uint64_t bytes = 0;  // of the container
  std::int64_t stored_at = 0;  // seconds since 1970
};

class ArtifactTables {
 public:
  explicit ArtifactTables(const Transaction& transaction) : transaction_(transaction) {}

  // The container, within the map: gone with the transaction, and other processes can change it. MDB_NOTFOUND: there is none.
  int find(const CodeKey& key, std::span<const std::uint8_t>& container) const;
  int find_facts(const CodeKey& key, ArtifactFacts& facts) const;
  int all_keys(std::vector<CodeKey>& keys) const;

  // Replaces. The facts' order is given here.
  int put(const CodeKey& key, std::span<const std::uint8_t> container, std::int64_t stored_at) const;
  // Without effect where there is none.
  int erase(const CodeKey& key) const;
  // Makes it the last to be evicted. Without effect where there is none.
  int touch(const CodeKey& key) const;
  // Erases the first of the order until there is room for `room` bytes within `budget`, or nothing is left.
  int evict(std::uint64_t budget, std::uint64_t room, std::uint64_t& evicted) const;
  int clear() const;
  // Makes facts, order and total agree with the containers, and erases what has no valid key.
  int rebuild(std::int64_t now) const;

  int total_bytes(std::uint64_t& bytes) const;

 private:
  int set_total_bytes(std::uint64_t bytes) const;
  int next_order(std::uint64_t& order) const;
  int put_facts(const CodeKey& key, const ArtifactFacts& facts) const;
  int erase_facts(const CodeKey& key, const ArtifactFacts& facts) const;
  int put_value(Table table, std::span<const std::uint8_t> key, std::span<const std::uint8_t> value) const;
  int get_value(Table table, std::span<const std::uint8_t> key, std::span<const std::uint8_t>& value) const;
  int erase_value(Table table, std::span<const std::uint8_t> key) const;
  int for_each_container(
      const std::function<int(std::span<const std::uint8_t> key, std::span<const std::uint8_t> container)>& each) const;

  const Transaction& transaction_;
};

}  // namespace caisson::store
