#include "store/lmdb_artifact_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>

namespace caisson::store {
namespace {

constexpr std::size_t kMostRemembered = 4096;  // loaded artifacts between two that are stored
constexpr unsigned kMostAttempts = 8;          // to make room in a map that cannot grow
// What the map holds besides the budget: LMDB's own pages, versions that readers still see, gaps.
constexpr std::uint64_t kMapAllowance = 64U << 20U;

}  // namespace

Result<std::shared_ptr<LmdbArtifactStore>> LmdbArtifactStore::open(const std::string& path,
                                                                   const ArtifactStoreOptions& options) {
  const Deadline deadline = std::chrono::steady_clock::now() + options.lock_timeout;
  Result<LmdbEnvironment::Handle> environment = LmdbEnvironment::Handle::open(path, options.create, deadline);
  if (!environment) return std::unexpected(environment.error());
  return std::shared_ptr<LmdbArtifactStore>(new LmdbArtifactStore(*std::move(environment), options));
}

Deadline LmdbArtifactStore::deadline() const { return std::chrono::steady_clock::now() + options_.lock_timeout; }

std::uint64_t LmdbArtifactStore::map_limit() const { return 2 * options_.byte_budget + kMapAllowance; }

Result<void> LmdbArtifactStore::write(const Work& work) {
  const Result<WriteOutcome> outcome = environment_->write(work, deadline(), map_limit());
  if (!outcome) return std::unexpected(outcome.error());
  if (*outcome == WriteOutcome::kMapFull)
    return fail(ErrorCode::kLimit, "the store's file is as large as its budget allows");
  return {};
}

Result<std::vector<CodeKey>> LmdbArtifactStore::keys() const {
  std::vector<CodeKey> keys;
  const Result<void> done = environment_->read(
      [&keys](const Transaction& transaction) { return ArtifactTables(transaction).all_keys(keys); }, deadline());
  if (!done) return std::unexpected(done.error());
  return keys;
}

Result<std::optional<RawArtifact>> LmdbArtifactStore::read_raw(const CodeKey& key) const {
  std::optional<RawArtifact> found;
  const std::uint64_t most = most_container_bytes(options_.max_artifact_bytes);
  const Result<void> done = environment_->read(
      [&](const Transaction& transaction) {
        const ArtifactTables tables(transaction);
        std::span<const std::uint8_t> container;
        found.reset();
        int code = tables.find(key, container);
        if (code == MDB_NOTFOUND) return 0;
        if (code != 0) return code;
        found.emplace();
        found->is_too_large = container.size() > most;
        if (!found->is_too_large) found->container.assign(container.begin(), container.end());
        code = tables.find_facts(key, found->facts);
        found->facts.bytes = container.size();
        return code == MDB_NOTFOUND ? 0 : code;
      },
      deadline());
  if (!done) return std::unexpected(done.error());
  return found;
}

Result<std::optional<Artifact>> LmdbArtifactStore::load_checked(const CodeKey& key, const ArtifactContext& context,
                                                                bool& was_there) const {
  const Result<std::optional<RawArtifact>> raw = read_raw(key);
  was_there = raw && raw->has_value();
  if (!raw) return std::unexpected(raw.error());
  if (!was_there || (*raw)->is_too_large) return std::nullopt;
  Result<Artifact> artifact = decode_artifact((*raw)->container, this->key(), limits());
  // A good container under another's key would be another's code.
  if (!artifact || artifact->key != key || !fits(artifact->context, context)) return std::nullopt;
  return *std::move(artifact);
}

Result<std::optional<Artifact>> LmdbArtifactStore::load(const CodeKey& key, const ArtifactContext& context,
                                                        bool* rejected) {
  bool was_there = false;
  Result<std::optional<Artifact>> artifact = load_checked(key, context, was_there);
  const bool is_given = artifact && artifact->has_value();
  if (rejected != nullptr) *rejected = was_there && !is_given;
  if (is_given) remember_use(key);
  return artifact;
}

// One transaction for each: `each` may take its time, and use the store.
Result<std::uint64_t> LmdbArtifactStore::load_all(const ArtifactContext& context,
                                                  const std::function<void(Artifact&&)>& each) {
  const Result<std::vector<CodeKey>> all = keys();
  if (!all) return std::unexpected(all.error());
  std::uint64_t rejected = 0;
  for (const CodeKey& key : *all) {
    bool was_there = false;
    Result<std::optional<Artifact>> artifact = load_checked(key, context, was_there);
    if (!artifact) return std::unexpected(artifact.error());
    if (artifact->has_value()) {
      each(**std::move(artifact));
    } else {
      rejected += was_there ? 1 : 0;
    }
  }
  return rejected;
}

void LmdbArtifactStore::remember_use(const CodeKey& key) {
  const std::scoped_lock lock(used_mutex_);
  if (used_.size() < kMostRemembered) used_.insert(key);
}

Result<void> LmdbArtifactStore::store(const Artifact& artifact) {
  const Result<std::vector<std::uint8_t>> container = encode_artifact(artifact, key(), limits());
  if (!container) return std::unexpected(container.error());
  if (container->size() > options_.byte_budget) {
    return fail(ErrorCode::kLimit, fmt::format("an artifact of {} bytes is larger than the store's budget of {}",
                                               container->size(), options_.byte_budget));
  }
  std::set<CodeKey> used;
  {
    const std::scoped_lock lock(used_mutex_);
    used.swap(used_);
  }
  const auto put = [&](const Transaction& transaction) {
    const ArtifactTables tables(transaction);
    for (const CodeKey& key : used) {
      if (const int code = tables.touch(key); code != 0) return code;
    }
    std::uint64_t evicted = 0;
    if (const int code = tables.erase(artifact.key); code != 0) return code;
    if (const int code = tables.evict(options_.byte_budget, container->size(), evicted); code != 0) return code;
    return tables.put(artifact.key, *container, std::time(nullptr));
  };
  // A container needs neighbouring pages. Where the map cannot grow, more and more of the oldest make room.
  for (unsigned attempt = 0; attempt < kMostAttempts; ++attempt) {
    const Result<WriteOutcome> outcome = environment_->write(put, deadline(), map_limit());
    if (!outcome) return std::unexpected(outcome.error());
    if (*outcome == WriteOutcome::kDone) return {};
    const auto make_room = [&](const Transaction& transaction) {
      const ArtifactTables tables(transaction);
      std::uint64_t total = 0;
      std::uint64_t evicted = 0;
      if (const int code = tables.total_bytes(total); code != 0) return code;
      return tables.evict(total - total / 8, container->size(), evicted);
    };
    if (const Result<void> made = write(make_room); !made) return made;
  }
  return fail(ErrorCode::kLimit, "the store's file has no room left; readers keep old versions alive");
}

Result<void> LmdbArtifactStore::remove(const CodeKey& key) {
  return write([&key](const Transaction& transaction) { return ArtifactTables(transaction).erase(key); });
}

Result<void> LmdbArtifactStore::clear() {
  return write([](const Transaction& transaction) { return ArtifactTables(transaction).clear(); });
}

Result<LmdbArtifactStore::Sweep> LmdbArtifactStore::sweep(const std::vector<Condemned>& condemned) {
  Sweep sweep;
  const Result<void> done = write([&](const Transaction& transaction) {
    const ArtifactTables tables(transaction);
    sweep = {.removed = std::vector<bool>(condemned.size())};
    if (const int code = tables.total_bytes(sweep.bytes_before); code != 0) return code;
    for (std::size_t index = 0; index < condemned.size(); ++index) {
      ArtifactFacts facts;
      const int code = tables.find_facts(condemned[index].key, facts);
      if (code != 0 && code != MDB_NOTFOUND) return code;
      if (facts.order != condemned[index].order) continue;
      if (const int error = tables.erase(condemned[index].key); error != 0) return error;
      sweep.removed[index] = true;
    }
    if (const int code = tables.rebuild(std::time(nullptr)); code != 0) return code;
    if (const int code = tables.evict(options_.byte_budget, 0, sweep.evicted); code != 0) return code;
    return tables.total_bytes(sweep.bytes_after);
  });
  if (!done) return std::unexpected(done.error());
  return sweep;
}

}  // namespace caisson::store

namespace caisson {

Result<std::shared_ptr<ArtifactStore>> open_artifact_store(const std::string& path,
                                                           const ArtifactStoreOptions& options) {
  return store::LmdbArtifactStore::open(path, options);
}

}  // namespace caisson
