// The store of a process: shards by hash, each with a table and a mutex. Nothing holds two shards at a time.
//
// What nobody refers to is idle: it stands in its shard's list, the one that became idle first in front. Stamps of one clock order all
// shards' lists; a shard shows the stamp of its first without a lock, so that finding the oldest of all reads one number per shard.
//
// A capability refers to others by their counts: they are counted up before it is in the table and down after it has left it.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <array>
#include <atomic>
#include <list>
#include <mutex>
#include <unordered_map>

#include "caisson/store.h"
#include "store/page_ledger.h"

namespace caisson::store {

class MemoryCapabilityStore final : public CapabilityStore {
 public:
  explicit MemoryCapabilityStore(const CapabilityStoreOptions& options);

  Result<Hash> put(const Capability& capability) override;
  Result<void> put_with_hash(const Hash& hash, const Capability& capability) override;
  Result<std::shared_ptr<const Capability>> get(const Hash& hash) override;
  bool contains(const Hash& hash) override;
  Result<void> retain(const Hash& hash) override;
  Result<void> release(const Hash& hash) override;
  Result<std::uint64_t> gc() override;
  Result<std::uint64_t> verify(
      const std::function<void(const StoredCapability&, const std::string& reason)>& each) override;
  Result<std::vector<StoredCapability>> list() override;
  CapabilityStoreStats stats() override;

 private:
  static constexpr std::size_t kShards = 64;
  static constexpr std::uint64_t kNothingIdle = UINT64_MAX;

  struct Entry {
    Hash hash;
    std::shared_ptr<const Capability> capability;
    std::uint64_t callers = 0;  // references of callers
    std::uint64_t capabilities = 0;  // references of other capabilities
    std::uint64_t stamp = 0;  // when it became idle or was last used as such
    std::list<Entry*>::iterator place;  // in one of the shard's lists
    bool is_idle() const { return callers == 0 && capabilities == 0; }
  };
  // Hashes come from outside; which of them meet in a bucket must not.
  struct TableHash {
    std::uint64_t seed;
    std::size_t operator()(const Hash& hash) const;
  };
  struct alignas(64) Shard {
    explicit Shard(std::uint64_t seed) : entries(0, TableHash{seed}) {}
    std::mutex mutex;
    std::unordered_map<Hash, Entry, TableHash> entries;
    std::list<Entry*> idle;
    std::list<Entry*> referenced;
    CapabilityStoreStats stats;
    std::atomic<std::uint64_t> first_stamp{kNothingIdle};
  };

  Shard& shard_of(const Hash& hash) { return *shards_[hash.bytes[0] % kShards]; }
  std::uint64_t now() { return clock_.fetch_add(1, std::memory_order_relaxed); }

  // Of a locked shard.
  static Entry* find(Shard& shard, const Hash& hash);
  void reference(Shard& shard, Entry& entry, std::uint64_t Entry::* count);
  void unreference(Shard& shard, Entry& entry, std::uint64_t Entry::* count);
  void make_newest(Shard& shard, Entry& entry);
  static void show_first(Shard& shard);

  bool put_again(const Hash& hash);
  Result<void> insert(const Hash& hash, const Capability& capability);
  Result<void> reference_all(const std::vector<CNode::Reference>& references);
  void unreference_all(std::span<const CNode::Reference> references);
  Result<void> make_room();
  bool evict_oldest();
  void discard(const Capability& capability);

  const CapabilityStoreOptions options_;
  std::vector<std::unique_ptr<Shard>> shards_;
  PageLedger ledger_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> clock_{0};
};

}  // namespace caisson::store
