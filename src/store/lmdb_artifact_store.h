// The store of a directory: containers (artifact_container.h) in LMDB's tables (artifact_tables.h) under a budget.
//
// Loading copies a container out of the map within the transaction, and checks the copy: who can write to the map cannot change what
// was checked. What fails is not touched; collect_artifact_garbage() removes it.
//
// Which artifacts were loaded is remembered in memory and written with the next artifact that is stored, so that loading never waits
// for the disk; a process that only loads leaves the order of eviction as it was.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "caisson/artifact_store.h"
#include "store/artifact_tables.h"
#include "store/lmdb_environment.h"

namespace caisson::store {

// A container as it was found.
struct RawArtifact {
  std::vector<std::uint8_t> container;
  ArtifactFacts facts;
  bool is_too_large = false;  // and was not copied
};

class LmdbArtifactStore final : public ArtifactStore {
 public:
  static Result<std::shared_ptr<LmdbArtifactStore>> open(const std::string& path, const ArtifactStoreOptions& options);

  Result<std::uint64_t> load_all(const ArtifactContext& context, const std::function<void(Artifact&&)>& each) override;
  Result<std::optional<Artifact>> load(const CodeKey& key, const ArtifactContext& context, bool* rejected) override;
  Result<void> store(const Artifact& artifact) override;
  Result<void> remove(const CodeKey& key) override;
  Result<void> clear() override;

  Result<std::vector<CodeKey>> keys() const;
  // Nothing where there is none.
  Result<std::optional<RawArtifact>> read_raw(const CodeKey& key) const;
  const StoreKey& key() const { return environment_->key(); }
  ContainerLimits limits() const { return {.body_bytes = options_.max_artifact_bytes}; }

  // One key that is to go unless it has changed since its facts were read.
  struct Condemned {
    CodeKey key;
    std::uint64_t order = 0;
  };
  struct Sweep {
    std::vector<bool> removed;  // for each of the condemned
    std::uint64_t evicted = 0;
    std::uint64_t bytes_before = 0;
    std::uint64_t bytes_after = 0;
  };
  // Removes the condemned, puts facts and totals right, and evicts what is beyond the budget, in one transaction.
  Result<Sweep> sweep(const std::vector<Condemned>& condemned);

 private:
  LmdbArtifactStore(LmdbEnvironment::Handle environment, const ArtifactStoreOptions& options)
      : environment_(std::move(environment)), options_(options) {}

  Deadline deadline() const;
  std::uint64_t map_limit() const;
  Result<void> write(const Work& work);
  Result<std::optional<Artifact>> load_checked(const CodeKey& key, const ArtifactContext& context,
                                               bool& was_there) const;
  void remember_use(const CodeKey& key);

  const LmdbEnvironment::Handle environment_;
  const ArtifactStoreOptions options_;
  std::mutex used_mutex_;
  std::set<CodeKey> used_;  // since the last store()
};

}  // namespace caisson::store
