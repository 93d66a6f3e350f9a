#include "store/lmdb_capability_store.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "store/lmdb_values.h"
#include "store/store_counters.h"

namespace caisson::store {
namespace {

constexpr std::chrono::seconds kLockTimeout{10};
// What the map holds besides the budget: LMDB's own pages, versions that readers still see, gaps.
constexpr std::uint64_t kMapAllowance = 64U << 20U;
constexpr std::uint64_t kDroppedAtOnce = 64;   // in one transaction of gc(), so that others can write in between
constexpr std::size_t kMostDamaged = 4096;     // remembered
constexpr unsigned kMostAttempts = 8;          // to make room in a map that cannot grow

Deadline deadline() { return std::chrono::steady_clock::now() + kLockTimeout; }

Error error_of(ErrorCode code, std::string message, const Hash& hash) {
  return {code, std::move(message), hash.to_string()};
}

}  // namespace

// --- the cache

std::shared_ptr<const Capability> CapabilityCache::find(const Hash& hash) {
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(hash);
  if (entry == entries_.end()) return nullptr;
  order_.splice(order_.end(), order_, entry->second.place);
  return entry->second.capability;
}

void CapabilityCache::add(const Hash& hash, std::shared_ptr<const Capability> capability) {
  const std::scoped_lock lock(mutex_);
  if (entries_.contains(hash)) return;
  bytes_ += ledger_.add(*capability);
  entries_[hash] = {std::move(capability), order_.insert(order_.end(), hash)};
  while (bytes_ > byte_budget_ && !order_.empty()) drop(entries_.find(order_.front()));
}

void CapabilityCache::remove(const Hash& hash) {
  const std::scoped_lock lock(mutex_);
  if (const auto entry = entries_.find(hash); entry != entries_.end()) drop(entry);
}

void CapabilityCache::drop(Entries::iterator entry) {
  bytes_ -= ledger_.remove(*entry->second.capability);
  order_.erase(entry->second.place);
  entries_.erase(entry);
}

// --- the store

Result<std::shared_ptr<CapabilityStore>> LmdbCapabilityStore::open(const std::string& path,
                                                                   const CapabilityStoreOptions& options) {
  Result<LmdbEnvironment::Handle> environment =
      LmdbEnvironment::Handle::open(path, options.create, deadline(), kCapabilityLayout);
  if (!environment) return std::unexpected(environment.error());
  return std::shared_ptr<CapabilityStore>(new LmdbCapabilityStore(*std::move(environment), options));
}

Result<void> LmdbCapabilityStore::write(const Work& work, const Error& stop) {
  // Where the map cannot grow, the oldest of what is idle makes room, more with each attempt.
  for (unsigned attempt = 0; attempt < kMostAttempts; ++attempt) {
    int last = 0;
    const auto remember = [&](const Transaction& transaction) { return last = work(transaction); };
    const std::uint64_t map_limit = 2 * options_.disk_budget + kMapAllowance;
    const Result<WriteOutcome> outcome = environment_->write(remember, deadline(), map_limit);
    if (last == kStopped) return std::unexpected(stop);
    if (!outcome) return std::unexpected(outcome.error());
    if (*outcome == WriteOutcome::kDone) return {};
    std::uint64_t dropped = 0;
    const auto make_room = [&](const Transaction& transaction) {
      const CapabilityTables tables(transaction);
      for (dropped = 0; dropped < kDroppedAtOnce << attempt; ++dropped) {
        if (const int code = tables.evict_oldest(); code != 0) return unless_absent(code);
      }
      return 0;
    };
    const Result<WriteOutcome> made = environment_->write(make_room, deadline(), map_limit);
    if (!made) return std::unexpected(made.error());
    if (*made == WriteOutcome::kMapFull || dropped == 0) break;
    evicted_ += dropped;
  }
  return fail(ErrorCode::kLimit, "the store's file is as large as its budget allows");
}

Result<void> LmdbCapabilityStore::read(const Work& work) { return environment_->read(work, deadline()); }

bool LmdbCapabilityStore::is_damaged(const Hash& hash) {
  const std::scoped_lock lock(damaged_mutex_);
  return damaged_.contains(hash);
}

Result<bool> LmdbCapabilityStore::put_again(const Hash& hash, const Capability& capability) {
  CAISSON_PERF_SNIPPET(hit, put_hit_counter);
  ++puts_;
  const bool repair = is_damaged(hash);
  // What was said to be damaged is made good only by what has the hash.
  if (repair && hash_of(capability) != hash)
    return fail(ErrorCode::kInvalidArgument, "the capability has another hash", hash.to_string());
  bool was_there = false;
  const Result<void> done = write(
      [&](const Transaction& transaction) {
        const CapabilityTables tables(transaction);
        const int code = tables.reference(hash, &CapabilityFacts::callers);
        was_there = code == 0;
        if (code != 0) return unless_absent(code);
        return repair ? tables.repair(hash, capability) : 0;
      },
      {});
  if (!done) return std::unexpected(done.error());
  if (repair) {
    const std::scoped_lock lock(damaged_mutex_);
    damaged_.erase(hash);
  }
  if (was_there) {
    ++put_hits_;
  } else {
    CAISSON_PERF_DROP(hit);
  }
  return was_there;
}

Result<Hash> LmdbCapabilityStore::put(const Capability& capability) {
  if (Result<void> checked = check(capability); !checked) return std::unexpected(checked.error());
  const Hash hash = hash_of(capability);
  const Result<bool> again = put_again(hash, capability);
  if (!again) return std::unexpected(again.error());
  if (*again) return hash;
  if (Result<void> inserted = insert(hash, capability); !inserted) return std::unexpected(inserted.error());
  return hash;
}

Result<void> LmdbCapabilityStore::put_with_hash(const Hash& hash, const Capability& capability) {
  const Result<bool> again = put_again(hash, capability);
  if (!again) return std::unexpected(again.error());
  if (*again) return {};
  if (Result<void> checked = check(capability); !checked) return checked;
  if (!options_.trusted && hash_of(capability) != hash)
    return fail(ErrorCode::kInvalidArgument, "the capability has another hash", hash.to_string());
  return insert(hash, capability);
}

int LmdbCapabilityStore::insert_within(const CapabilityTables& tables, const Hash& hash, const Capability& capability,
                                       Error& stop, std::uint64_t& evicted) const {
  evicted = 0;
  for (const CNode::Reference& target : references_of(capability)) {
    CapabilityFacts facts;
    int code = tables.find_facts(target.hash, facts);
    if (code == MDB_NOTFOUND || (code == 0 && facts.kind != static_cast<std::uint64_t>(target.kind))) {
      stop = error_of(ErrorCode::kNotFound,
                      fmt::format("refers to a {} that is not in the store", to_string(target.kind)), target.hash);
      return kStopped;
    }
    if (code == 0) code = tables.reference(target.hash, &CapabilityFacts::capabilities);
    if (code != 0) return code;
  }
  if (const int code = tables.insert(hash, capability); code != 0) return code;
  for (;;) {
    std::uint64_t total = 0;
    if (const int code = tables.total_bytes(total); code != 0) return code;
    if (total <= options_.disk_budget) return 0;
    const int code = tables.evict_oldest();
    if (code == MDB_NOTFOUND) {
      stop = error_of(
          ErrorCode::kLimit,
          fmt::format("the store's budget of {} bytes is taken by what is referred to", options_.disk_budget), hash);
      return kStopped;
    }
    if (code != 0) return code;
    ++evicted;
  }
}

Result<void> LmdbCapabilityStore::insert(const Hash& hash, const Capability& capability) {
  CAISSON_PERF_SCOPE(put_counter);
  Error stop;
  bool was_there = false;
  std::uint64_t evicted = 0;
  const Result<void> done = write(
      [&](const Transaction& transaction) {
        const CapabilityTables tables(transaction);
        // Another process or thread may have been faster.
        const int code = tables.reference(hash, &CapabilityFacts::callers);
        was_there = code == 0;
        if (code != MDB_NOTFOUND) return code;
        return insert_within(tables, hash, capability, stop, evicted);
      },
      stop);
  if (!done) return done;
  if (was_there) {
    ++put_hits_;
  } else {
    evicted_ += evicted;
  }
  cache_.add(hash, std::make_shared<const Capability>(capability));
  return {};
}

Result<std::shared_ptr<const Capability>> LmdbCapabilityStore::load(const Hash& hash) {
  auto capability = std::make_shared<Capability>();
  std::string reason;
  int last = 0;
  const Result<void> done = read([&](const Transaction& transaction) {
    last = CapabilityTables(transaction).load(hash, *capability, reason);
    return last == kStopped || last == MDB_NOTFOUND ? 0 : last;
  });
  if (!done) return std::unexpected(done.error());
  if (last == MDB_NOTFOUND) return nullptr;
  if (last == kStopped) return fail(ErrorCode::kInvalidImage, reason, hash.to_string());
  return capability;
}

Result<std::shared_ptr<const Capability>> LmdbCapabilityStore::get(const Hash& hash) {
  CAISSON_PERF_SCOPE(get_counter);
  ++gets_;
  if (is_damaged(hash)) {
    ++get_misses_;
    return nullptr;
  }
  Result<std::shared_ptr<const Capability>> found;
  if (std::shared_ptr<const Capability> cached = cache_.find(hash)) {
    // Another process may have dropped it.
    CapabilityFacts facts;
    int code = 0;
    const Result<void> done = read([&](const Transaction& transaction) {
      code = CapabilityTables(transaction).find_facts(hash, facts);
      return unless_absent(code);
    });
    if (!done) return std::unexpected(done.error());
    if (code == 0) return cached;
    cache_.remove(hash);
    found = nullptr;
  } else {
    found = load(hash);
  }
  if (!found) {
    if (found.error().code != ErrorCode::kInvalidImage) return found;
    ++rejected_;
    const std::scoped_lock lock(damaged_mutex_);
    if (damaged_.size() < kMostDamaged) damaged_.insert(hash);
    return found;
  }
  if (*found) {
    cache_.add(hash, *found);
  } else {
    ++get_misses_;
  }
  return found;
}

bool LmdbCapabilityStore::contains(const Hash& hash) {
  if (is_damaged(hash)) return false;
  bool is_there = false;
  const Result<void> done = read([&](const Transaction& transaction) {
    CapabilityFacts facts;
    const int code = CapabilityTables(transaction).find_facts(hash, facts);
    is_there = code == 0;
    return unless_absent(code);
  });
  return done && is_there;
}

Result<void> LmdbCapabilityStore::retain(const Hash& hash) {
  return write(
      [&](const Transaction& transaction) {
        const int code = CapabilityTables(transaction).reference(hash, &CapabilityFacts::callers);
        return code == MDB_NOTFOUND ? kStopped : code;
      },
      error_of(ErrorCode::kNotFound, "is not in the store", hash));
}

Result<void> LmdbCapabilityStore::release(const Hash& hash) {
  Error stop = error_of(ErrorCode::kInvalidArgument, "was released as often as it was put", hash);
  return write(
      [&](const Transaction& transaction) {
        const int code = CapabilityTables(transaction).unreference(hash, &CapabilityFacts::callers);
        if (code == MDB_NOTFOUND) stop = error_of(ErrorCode::kNotFound, "is not in the store", hash);
        return code == MDB_NOTFOUND ? kStopped : code;
      },
      stop);
}

Result<std::uint64_t> LmdbCapabilityStore::gc() {
  // What becomes idle by this counts among what was there.
  const std::uint64_t most = stats().capabilities;
  std::uint64_t dropped = 0;
  for (std::uint64_t at_once = kDroppedAtOnce; dropped < most && at_once == kDroppedAtOnce; dropped += at_once) {
    const Result<void> done = write(
        [&](const Transaction& transaction) {
          const CapabilityTables tables(transaction);
          for (at_once = 0; at_once < kDroppedAtOnce; ++at_once) {
            if (const int code = tables.evict_oldest(); code != 0) return unless_absent(code);
          }
          return 0;
        },
        {});
    if (!done) return std::unexpected(done.error());
  }
  evicted_ += dropped;
  return dropped;
}

Result<std::vector<StoredCapability>> LmdbCapabilityStore::list() {
  std::vector<StoredCapability> all;
  const Result<void> done = read([&](const Transaction& transaction) {
    all.clear();
    return CapabilityTables(transaction).for_each([&all](const Hash& hash, const CapabilityFacts& facts) {
      all.push_back({.hash = hash,
                     .kind = static_cast<CapabilityKind>(facts.kind),
                     .bytes = facts.bytes,
                     .references = facts.callers + facts.capabilities});
      return 0;
    });
  });
  if (!done) return std::unexpected(done.error());
  return all;
}

Result<std::uint64_t> LmdbCapabilityStore::verify(
    const std::function<void(const StoredCapability&, const std::string& reason)>& each) {
  const Result<std::vector<StoredCapability>> all = list();
  if (!all) return std::unexpected(all.error());
  std::uint64_t damaged = 0;
  for (const StoredCapability& stored : *all) {
    std::string reason;
    // One transaction for each, which sees the targets as they were with it.
    const Result<void> done = read([&](const Transaction& transaction) {
      const CapabilityTables tables(transaction);
      Capability capability;
      const int loaded = tables.load(stored.hash, capability, reason);
      if (loaded == kStopped) return 0;
      if (loaded != 0) return unless_absent(loaded);  // dropped meanwhile
      if (kind_of(capability) != stored.kind) reason = "it is listed as another kind";
      for (const CNode::Reference& target : references_of(capability)) {
        CapabilityFacts facts;
        const int code = tables.find_facts(target.hash, facts);
        if (unless_absent(code) != 0) return code;
        if (code == MDB_NOTFOUND) reason = fmt::format("it refers to {}, which is not here", target.hash.to_string());
        if (code == 0 && facts.capabilities == 0)
          reason = fmt::format("it refers to {}, which does not count it", target.hash.to_string());
      }
      return 0;
    });
    if (!done) return std::unexpected(done.error());
    if (reason.empty()) continue;
    ++damaged;
    if (each) each(stored, reason);
  }
  return damaged;
}

CapabilityStoreStats LmdbCapabilityStore::stats() {
  CapabilityStoreStats stats{.puts = puts_,
                             .put_hits = put_hits_,
                             .gets = gets_,
                             .get_misses = get_misses_,
                             .evicted = evicted_,
                             .rejected = rejected_};
  std::uint64_t idle = 0;
  const Result<void> done = read([&](const Transaction& transaction) {
    const CapabilityTables tables(transaction);
    if (const int code = tables.count(stats.capabilities, idle); code != 0) return code;
    return tables.total_bytes(stats.bytes);
  });
  if (done) stats.referenced = stats.capabilities - std::min(stats.capabilities, idle);
  return stats;
}

}  // namespace caisson::store

namespace caisson {

Result<std::shared_ptr<CapabilityStore>> CapabilityStore::open(const std::string& directory,
                                                               const CapabilityStoreOptions& options) {
  return store::LmdbCapabilityStore::open(directory, options);
}

}  // namespace caisson
