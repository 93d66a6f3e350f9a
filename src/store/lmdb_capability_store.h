// The store of a directory: capabilities in LMDB's tables (capability_tables.h), and those that were used last in memory.
//
// Every change is one transaction, durable when it has returned: references of callers outlive their process. Reading waits for no writer,
// copies within a transaction, and checks every hash of the copy.
//
// Idle capabilities are evicted in the order in which they became idle; get() does not change it, so that reading never waits for the disk.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "caisson/store.h"
#include "store/capability_tables.h"
#include "store/page_ledger.h"

namespace caisson::store {

// Capabilities that were checked, within a budget; the least recently used make room. Thread-safe.
class CapabilityCache {
 public:
  explicit CapabilityCache(std::uint64_t byte_budget) : byte_budget_(byte_budget) {}
  std::shared_ptr<const Capability> find(const Hash& hash);
  void add(const Hash& hash, std::shared_ptr<const Capability> capability);
  void remove(const Hash& hash);

 private:
  struct Entry {
    std::shared_ptr<const Capability> capability;
    std::list<Hash>::iterator place;
  };
  using Entries = std::map<Hash, Entry>;
  void drop(Entries::iterator entry);

  const std::uint64_t byte_budget_;
  std::mutex mutex_;
  Entries entries_;
  std::list<Hash> order_;  // the least recently used first
  PageLedger ledger_;
  std::uint64_t bytes_ = 0;
};

class LmdbCapabilityStore final : public CapabilityStore {
 public:
  static Result<std::shared_ptr<CapabilityStore>> open(const std::string& path, const CapabilityStoreOptions& options);

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
  LmdbCapabilityStore(LmdbEnvironment::Handle environment, const CapabilityStoreOptions& options)
      : environment_(std::move(environment)), options_(options), cache_(options.byte_budget) {}

  // `stop` tells what a transaction that ended in kStopped could not do.
  Result<void> write(const Work& work, const Error& stop);
  Result<void> read(const Work& work);
  // Whether it was there; then it has a reference more.
  Result<bool> put_again(const Hash& hash, const Capability& capability);
  Result<void> insert(const Hash& hash, const Capability& capability);
  // kStopped where there is no room, or a target is missing; `stop` tells which.
  int insert_within(const CapabilityTables& tables, const Hash& hash, const Capability& capability, Error& stop,
                    std::uint64_t& evicted) const;
  // Null where it is not there; kInvalidImage where it is damaged.
  Result<std::shared_ptr<const Capability>> load(const Hash& hash);
  bool is_damaged(const Hash& hash);

  const LmdbEnvironment::Handle environment_;
  const CapabilityStoreOptions options_;
  CapabilityCache cache_;
  std::mutex damaged_mutex_;
  std::set<Hash> damaged_;  // found by get(): absent until they are put again
  std::atomic<std::uint64_t> puts_{0}, put_hits_{0}, gets_{0}, get_misses_{0}, evicted_{0}, rejected_{0};
};

}  // namespace caisson::store
