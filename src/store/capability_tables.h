// What a store of capabilities keeps in LMDB's tables, within one transaction.
//
//   record   of a Data: 1, the page count (4 bytes), the hash of its root node (32 bytes, absent where all pages are zeros)
//            of the others: the encoding (caisson/capability.h), whose first byte is the kind
//   node     of height 0: a page, but for its last 16 bytes, which stand with its count: LMDB puts 16 bytes before a value of its own pages
//            of height 1…5: which of 16 children are not zeros (2 bytes), and their hashes (32 bytes each), those of height - 1
//   count    how many records and nodes refer to a node (8 bytes); of a page also its end
//   facts    of a record: CapabilityFacts
//
// A node is there once, whoever refers to it, and takes its children with it: to store a Data that differs in k pages from one that is there
// writes k pages and O(k log n) nodes and counts.
//
// Nothing of the tables is trusted: loading checks every page's hash and the capability's. Wrong facts and counts can make the store drop too
// early or too late.
//
// Functions that return int give 0 or LMDB's code, kStopped among them; the caller undoes the transaction then.
//
// Thread safety: as the transaction.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "capability/data_nodes.h"
#include "store/lmdb_environment.h"

namespace caisson::store {

// What is known of a capability beside its record.
struct CapabilityFacts {
  std::uint64_t callers = 0;  // references of callers
  std::uint64_t capabilities = 0;  // references of other capabilities
  std::uint64_t bytes = 0;  // of the record; of a Data also those of its pages that are not zeros, as if it were alone
  std::uint64_t order = 0;  // of an idle one: lowest is evicted first
  std::uint64_t kind = 0;  // CapabilityKind
  bool is_idle() const { return callers == 0 && capabilities == 0; }
};

// A code of ours beside LMDB's: what was asked for cannot be done; the caller knows why.
inline constexpr int kStopped = -20'000;

class CapabilityTables {
 public:
  explicit CapabilityTables(const Transaction& transaction) : transaction_(transaction) {}

  // MDB_NOTFOUND: there is none, or it is no CapabilityFacts.
  int find_facts(const Hash& hash, CapabilityFacts& facts) const;
  // One reference more or fewer; keeps the order of eviction. MDB_NOTFOUND: it is not there. kStopped: there is no reference to give back.
  int reference(const Hash& hash, std::uint64_t CapabilityFacts::* count) const;
  int unreference(const Hash& hash, std::uint64_t CapabilityFacts::* count) const;

  // Puts one that is not there, with one reference of a caller's. What it refers to must have been referenced.
  int insert(const Hash& hash, const Capability& capability) const;
  // Writes the record and all nodes again, where they are missing or not what they should be.
  int repair(const Hash& hash, const Capability& capability) const;
  // Drops the first of the order. MDB_NOTFOUND: nothing is idle. One whose record is damaged may leave nodes behind.
  int evict_oldest() const;
  // The capability, every hash of it checked. MDB_NOTFOUND: it is not there; kStopped: it is damaged, `reason` tells how.
  int load(const Hash& hash, Capability& capability, std::string& reason) const;

  int for_each(const std::function<int(const Hash& hash, const CapabilityFacts& facts)>& each) const;
  int total_bytes(std::uint64_t& bytes) const;
  int count(std::uint64_t& all, std::uint64_t& idle) const;

 private:
  struct NodeKey;
  using Bytes = std::span<const std::uint8_t>;

  int put_value(CapabilityTable table, Bytes key, Bytes value) const;
  int get_value(CapabilityTable table, Bytes key, Bytes& value) const;
  int erase_value(CapabilityTable table, Bytes key) const;
  int put_facts(const Hash& hash, const CapabilityFacts& facts) const;
  int enter_order(const Hash& hash, CapabilityFacts& facts) const;
  int leave_order(const CapabilityFacts& facts) const;
  int change_total(std::int64_t by) const;

  int put_record(const Hash& hash, const Capability& capability, bool is_repair, CapabilityFacts& facts) const;
  int erase_record(const Hash& hash) const;
  int put_node(const capability::Node& node, unsigned height, const base::Sha256& hash, bool is_repair) const;
  int put_page(const Data::Page& page, const base::Sha256& hash, bool is_repair) const;
  int put_count(const NodeKey& key, std::uint64_t count, Bytes page_end) const;
  int release_node(unsigned height, const base::Sha256& hash) const;
  class Loader;

  const Transaction& transaction_;
};

}  // namespace caisson::store
