// CapabilityStore: capabilities by hash, in memory or in a directory.
//
//   std::shared_ptr<caisson::CapabilityStore> store = caisson::CapabilityStore::in_memory();
//   caisson::Hash hash = store->put(data).value();
//   std::shared_ptr<const caisson::Capability> again = store->get(hash).value();
//   store->release(hash);
//
// Each put() counts one reference of the caller's; release() gives it back. What a capability refers to stays with it. What nobody refers
// to stays until the budget needs its room, the least recently used first.
//
// Thread safety: every function may be called from any thread; puts and gets of different capabilities do not wait for each other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caisson/capability.h"
#include "caisson/result.h"

namespace caisson {

struct CapabilityStoreOptions {
  // Bytes of capabilities (pages once, whoever shares them) in memory. What is referred to counts, but is never dropped: a put() that does
  // not fit is kLimit.
  std::uint64_t byte_budget = std::uint64_t{1} << 30;
  // Of a directory: bytes on disk.
  std::uint64_t disk_budget = std::uint64_t{16} << 30;
  // Whether put_with_hash() believes the hash.
  bool trusted = false;
  // Of a directory: whether it is made where there is none.
  bool create = true;
};

struct CapabilityStoreStats {
  std::uint64_t capabilities = 0, bytes = 0, referenced = 0;
  std::uint64_t puts = 0, put_hits = 0, gets = 0, get_misses = 0, evicted = 0, rejected = 0;
};

struct StoredCapability {
  Hash hash;
  CapabilityKind kind = CapabilityKind::kData;
  std::uint64_t bytes = 0;
  std::uint64_t references = 0;  // of callers and of other capabilities
};

class CapabilityStore {
 public:
  static std::shared_ptr<CapabilityStore> in_memory(const CapabilityStoreOptions& options = {});
  // In a directory, as artifacts are (caisson/artifact_store.h): the effective user's own, several processes may share it, a process that is
  // killed loses nothing that put() returned. References of callers are durable there. Errors as open_artifact_store().
  static Result<std::shared_ptr<CapabilityStore>> open(const std::string& directory,
                                                       const CapabilityStoreOptions& options = {});
  virtual ~CapabilityStore() = default;

  // Checks, hashes, keeps; one reference more. Errors: kInvalidArgument (check()), kNotFound (it refers to what is not here), kLimit, kIo, kBusy.
  virtual Result<Hash> put(const Capability& capability) = 0;
  // The same where the hash is known: on a hit one lookup and a count. On a miss the hash is checked (kInvalidArgument where it is another's),
  // unless the store trusts its callers. `capability` is only copied on a miss.
  virtual Result<void> put_with_hash(const Hash& hash, const Capability& capability) = 0;
  // Null where it is not here. Errors: kIo, kBusy, kInvalidImage (damaged on disk: counted as rejected and treated as absent from then on).
  virtual Result<std::shared_ptr<const Capability>> get(const Hash& hash) = 0;
  virtual bool contains(const Hash& hash) = 0;
  // One reference more or fewer. Errors: kNotFound; release: kInvalidArgument (no reference of a caller's is left).
  virtual Result<void> retain(const Hash& hash) = 0;
  virtual Result<void> release(const Hash& hash) = 0;

  // Drops everything that nobody refers to. Returns how many. Errors: kIo, kBusy.
  virtual Result<std::uint64_t> gc() = 0;
  // Reads everything and checks each hash and each reference; `each` (may be null) is told of what is damaged. Returns how many are.
  virtual Result<std::uint64_t> verify(
      const std::function<void(const StoredCapability&, const std::string& reason)>& each) = 0;
  virtual Result<std::vector<StoredCapability>> list() = 0;
  virtual CapabilityStoreStats stats() = 0;
};

}  // namespace caisson
