#include "store/memory_capability_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include "capability/verify.h"
#include "store/store_counters.h"

namespace caisson::store {

std::size_t MemoryCapabilityStore::TableHash::operator()(const Hash& hash) const {
  std::uint64_t word = 0;
  std::memcpy(&word, hash.bytes.data() + 8, sizeof word);
  return (word ^ seed) * (seed | 1);
}

MemoryCapabilityStore::MemoryCapabilityStore(const CapabilityStoreOptions& options) : options_(options) {
  std::random_device random;
  for (std::size_t index = 0; index < kShards; ++index)
    shards_.push_back(std::make_unique<Shard>((std::uint64_t{random()} << 32) | random()));
}

MemoryCapabilityStore::Entry* MemoryCapabilityStore::find(Shard& shard, const Hash& hash) {
  const auto place = shard.entries.find(hash);
  return place == shard.entries.end() ? nullptr : &place->second;
}

void MemoryCapabilityStore::show_first(Shard& shard) {
  shard.first_stamp.store(shard.idle.empty() ? kNothingIdle : shard.idle.front()->stamp, std::memory_order_relaxed);
}

void MemoryCapabilityStore::make_newest(Shard& shard, Entry& entry) {
  entry.stamp = now();
  shard.idle.splice(shard.idle.end(), shard.idle, entry.place);
  show_first(shard);
}

void MemoryCapabilityStore::reference(Shard& shard, Entry& entry, std::uint64_t Entry::* count) {
  if (entry.is_idle()) {
    shard.referenced.splice(shard.referenced.end(), shard.idle, entry.place);
    show_first(shard);
  }
  ++(entry.*count);
}

void MemoryCapabilityStore::unreference(Shard& shard, Entry& entry, std::uint64_t Entry::* count) {
  --(entry.*count);
  if (!entry.is_idle()) return;
  shard.idle.splice(shard.idle.end(), shard.referenced, entry.place);
  make_newest(shard, entry);
}

bool MemoryCapabilityStore::put_again(const Hash& hash) {
  CAISSON_PERF_SNIPPET(hit, put_hit_counter);
  Shard& shard = shard_of(hash);
  const std::scoped_lock lock(shard.mutex);
  ++shard.stats.puts;
  Entry* const entry = find(shard, hash);
  if (entry == nullptr) {
    CAISSON_PERF_DROP(hit);
    return false;
  }
  ++shard.stats.put_hits;
  reference(shard, *entry, &Entry::callers);
  return true;
}

Result<Hash> MemoryCapabilityStore::put(const Capability& capability) {
  if (Result<void> checked = check(capability); !checked) return std::unexpected(checked.error());
  const Hash hash = hash_of(capability);
  if (put_again(hash)) return hash;
  if (Result<void> inserted = insert(hash, capability); !inserted) return std::unexpected(inserted.error());
  return hash;
}

Result<void> MemoryCapabilityStore::put_with_hash(const Hash& hash, const Capability& capability) {
  if (put_again(hash)) return {};
  if (Result<void> checked = check(capability); !checked) return checked;
  if (!options_.trusted && hash_of(capability) != hash)
    return fail(ErrorCode::kInvalidArgument, "the capability has another hash", hash.to_string());
  return insert(hash, capability);
}

Result<void> MemoryCapabilityStore::reference_all(const std::vector<CNode::Reference>& references) {
  for (std::size_t index = 0; index < references.size(); ++index) {
    const CNode::Reference& target = references[index];
    Shard& shard = shard_of(target.hash);
    {
      const std::scoped_lock lock(shard.mutex);
      Entry* const entry = find(shard, target.hash);
      if (entry != nullptr && kind_of(*entry->capability) == target.kind) {
        reference(shard, *entry, &Entry::capabilities);
        continue;
      }
    }
    unreference_all(std::span(references).first(index));
    return fail(ErrorCode::kNotFound, fmt::format("refers to a {} that is not in the store", to_string(target.kind)),
                target.hash.to_string());
  }
  return {};
}

void MemoryCapabilityStore::unreference_all(std::span<const CNode::Reference> references) {
  for (const CNode::Reference& target : references) {
    Shard& shard = shard_of(target.hash);
    const std::scoped_lock lock(shard.mutex);
    unreference(shard, *find(shard, target.hash), &Entry::capabilities);
  }
}

Result<void> MemoryCapabilityStore::insert(const Hash& hash, const Capability& capability) {
  CAISSON_PERF_SCOPE(put_counter);
  const std::vector<CNode::Reference> references = references_of(capability);
  if (Result<void> referenced = reference_all(references); !referenced) return referenced;
  const auto kept = std::make_shared<const Capability>(capability);
  bytes_.fetch_add(ledger_.add(*kept), std::memory_order_relaxed);
  const Result<void> room = make_room();
  bool is_inserted = false;
  if (room) {
    Shard& shard = shard_of(hash);
    const std::scoped_lock lock(shard.mutex);
    auto [place, is_new] = shard.entries.try_emplace(hash);
    Entry& entry = place->second;
    is_inserted = is_new;
    if (is_new) {
      entry.hash = hash;
      entry.capability = kept;
      entry.callers = 1;
      entry.place = shard.referenced.insert(shard.referenced.end(), &entry);
    } else {
      // Another thread was faster.
      ++shard.stats.put_hits;
      reference(shard, entry, &Entry::callers);
    }
  }
  if (!is_inserted) discard(*kept);
  return room;
}

// After it has left the table, or where it never came to be there.
void MemoryCapabilityStore::discard(const Capability& capability) {
  bytes_.fetch_sub(ledger_.remove(capability), std::memory_order_relaxed);
  unreference_all(references_of(capability));
}

Result<void> MemoryCapabilityStore::make_room() {
  while (bytes_.load(std::memory_order_relaxed) > options_.byte_budget) {
    if (!evict_oldest()) {
      return fail(ErrorCode::kLimit,
                  fmt::format("the store's budget of {} bytes is taken by what is referred to", options_.byte_budget));
    }
  }
  return {};
}

bool MemoryCapabilityStore::evict_oldest() {
  for (;;) {
    const auto oldest = std::ranges::min_element(
        shards_, {}, [](const auto& shard) { return shard->first_stamp.load(std::memory_order_relaxed); });
    Shard& shard = **oldest;
    if (shard.first_stamp.load(std::memory_order_relaxed) == kNothingIdle) return false;
    std::shared_ptr<const Capability> evicted;
    {
      const std::scoped_lock lock(shard.mutex);
      if (shard.idle.empty()) continue;  // somebody has come to refer to it meanwhile
      const Hash hash = shard.idle.front()->hash;
      evicted = std::move(shard.idle.front()->capability);
      shard.idle.pop_front();
      shard.entries.erase(hash);
      show_first(shard);
      ++shard.stats.evicted;
    }
    discard(*evicted);
    return true;
  }
}

Result<std::shared_ptr<const Capability>> MemoryCapabilityStore::get(const Hash& hash) {
  CAISSON_PERF_SCOPE(get_counter);
  Shard& shard = shard_of(hash);
  const std::scoped_lock lock(shard.mutex);
  ++shard.stats.gets;
  Entry* const entry = find(shard, hash);
  if (entry == nullptr) {
    ++shard.stats.get_misses;
    return nullptr;
  }
  if (entry->is_idle()) make_newest(shard, *entry);
  return entry->capability;
}

bool MemoryCapabilityStore::contains(const Hash& hash) {
  Shard& shard = shard_of(hash);
  const std::scoped_lock lock(shard.mutex);
  return find(shard, hash) != nullptr;
}

Result<void> MemoryCapabilityStore::retain(const Hash& hash) {
  Shard& shard = shard_of(hash);
  const std::scoped_lock lock(shard.mutex);
  Entry* const entry = find(shard, hash);
  if (entry == nullptr) return fail(ErrorCode::kNotFound, "is not in the store", hash.to_string());
  reference(shard, *entry, &Entry::callers);
  return {};
}

Result<void> MemoryCapabilityStore::release(const Hash& hash) {
  Shard& shard = shard_of(hash);
  const std::scoped_lock lock(shard.mutex);
  Entry* const entry = find(shard, hash);
  if (entry == nullptr) return fail(ErrorCode::kNotFound, "is not in the store", hash.to_string());
  if (entry->callers == 0)
    return fail(ErrorCode::kInvalidArgument, "was released as often as it was put", hash.to_string());
  unreference(shard, *entry, &Entry::callers);
  return {};
}

Result<std::uint64_t> MemoryCapabilityStore::gc() {
  // What becomes idle by this counts among what was there.
  const std::uint64_t most = stats().capabilities;
  std::uint64_t dropped = 0;
  while (dropped < most && evict_oldest()) ++dropped;
  return dropped;
}

Result<std::vector<StoredCapability>> MemoryCapabilityStore::list() {
  std::vector<StoredCapability> all;
  for (const auto& shard : shards_) {
    const std::scoped_lock lock(shard->mutex);
    for (const auto& [hash, entry] : shard->entries) {
      all.push_back({.hash = hash,
                     .kind = kind_of(*entry.capability),
                     .bytes = memory_bytes(*entry.capability),
                     .references = entry.callers + entry.capabilities});
    }
  }
  std::ranges::sort(all, {}, &StoredCapability::hash);
  return all;
}

Result<std::uint64_t> MemoryCapabilityStore::verify(
    const std::function<void(const StoredCapability&, const std::string& reason)>& each) {
  const Result<std::vector<StoredCapability>> all = list();
  std::uint64_t damaged = 0;
  for (const StoredCapability& stored : *all) {
    std::shared_ptr<const Capability> capability;
    {
      Shard& shard = shard_of(stored.hash);
      const std::scoped_lock lock(shard.mutex);
      if (const Entry* const entry = find(shard, stored.hash)) capability = entry->capability;
    }
    if (!capability) continue;  // dropped meanwhile
    std::string reason;
    if (capability::hash_afresh(*capability) != stored.hash) reason = "has another hash";
    for (const CNode::Reference& target : references_of(*capability)) {
      // It may have been dropped, with what it refers to.
      if (!contains(target.hash) && contains(stored.hash)) reason = "refers to what is not here";
    }
    if (reason.empty()) continue;
    ++damaged;
    if (each) each(stored, reason);
  }
  return damaged;
}

CapabilityStoreStats MemoryCapabilityStore::stats() {
  CapabilityStoreStats sum;
  for (const auto& shard : shards_) {
    const std::scoped_lock lock(shard->mutex);
    sum.capabilities += shard->entries.size();
    sum.referenced += shard->referenced.size();
    sum.puts += shard->stats.puts;
    sum.put_hits += shard->stats.put_hits;
    sum.gets += shard->stats.gets;
    sum.get_misses += shard->stats.get_misses;
    sum.evicted += shard->stats.evicted;
  }
  sum.bytes = bytes_.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace caisson::store

namespace caisson {

std::shared_ptr<CapabilityStore> CapabilityStore::in_memory(const CapabilityStoreOptions& options) {
  return std::make_shared<store::MemoryCapabilityStore>(options);
}

}  // namespace caisson
