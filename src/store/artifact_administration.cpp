#include "caisson/artifact_administration.h"

#include <algorithm>
#include <utility>

#include "store/lmdb_artifact_store.h"

namespace caisson {
namespace {

using store::ContainerHeader;
using store::LmdbArtifactStore;
using store::RawArtifact;

// What an inspection found, and the order that tells whether it is still the same artifact later.
struct Inspected {
  StoredArtifact artifact;
  std::uint64_t order = 0;
};

void set_state(StoredArtifact& artifact, ArtifactState state, std::string reason) {
  artifact.state = state;
  artifact.reason = std::move(reason);
}

StoredArtifact inspect_container(const LmdbArtifactStore& store, const CodeKey& key, const RawArtifact& raw,
                                 const ArtifactInspection& inspection) {
  StoredArtifact artifact{.key = key, .stored_bytes = raw.facts.bytes, .stored_at = raw.facts.stored_at};
  if (raw.is_too_large) {
    set_state(artifact, ArtifactState::kRejected, "larger than an artifact may be");
    return artifact;
  }
  Result<ContainerHeader> header = store::decode_header(raw.container, store.key(), store.limits());
  if (!header) {
    const bool is_foreign = header.error().code == ErrorCode::kUnsupported;
    set_state(artifact, is_foreign ? ArtifactState::kForeign : ArtifactState::kRejected, header.error().to_string());
    return artifact;
  }
  artifact.tier = header->tier;
  artifact.guest_kind = std::move(header->guest_kind);
  artifact.label = std::move(header->label);
  artifact.context = header->context;
  artifact.body_bytes = header->body_bytes;
  set_state(artifact, ArtifactState::kGood, "");
  if (header->key != key) {
    set_state(artifact, ArtifactState::kRejected, "key: stored under another's key");
  } else if (inspection.is_full) {
    if (const auto whole = store::decode_artifact(raw.container, store.key(), store.limits()); !whole)
      set_state(artifact, ArtifactState::kRejected, whole.error().to_string());
  }
  if (artifact.state == ArtifactState::kGood && inspection.is_usable && !inspection.is_usable(artifact))
    set_state(artifact, ArtifactState::kForeign, "made for another engine or processor");
  return artifact;
}

Result<std::vector<Inspected>> inspect(const LmdbArtifactStore& store, const ArtifactInspection& inspection) {
  const Result<std::vector<CodeKey>> keys = store.keys();
  if (!keys) return std::unexpected(keys.error());
  std::vector<Inspected> all;
  all.reserve(keys->size());
  std::uint64_t done = 0;
  for (const CodeKey& key : *keys) {
    const Result<std::optional<RawArtifact>> raw = store.read_raw(key);
    if (!raw) return std::unexpected(raw.error());
    // Another process may have removed it meanwhile.
    if (raw->has_value()) all.push_back({inspect_container(store, key, **raw, inspection), (*raw)->facts.order});
    if (inspection.progress) inspection.progress(++done, keys->size());
  }
  return all;
}

Result<std::shared_ptr<LmdbArtifactStore>> open_existing(const std::string& path, ArtifactStoreOptions options) {
  options.create = false;
  return LmdbArtifactStore::open(path, options);
}

}  // namespace

std::string_view to_string(ArtifactState state) {
  switch (state) {
    case ArtifactState::kGood:
      return "good";
    case ArtifactState::kForeign:
      return "foreign";
    case ArtifactState::kRejected:
      return "rejected";
  }
  return "unknown";
}

Result<std::vector<StoredArtifact>> list_artifacts(const std::string& path, const ArtifactInspection& inspection,
                                                   const ArtifactStoreOptions& options) {
  const Result<std::shared_ptr<LmdbArtifactStore>> store = open_existing(path, options);
  if (!store) return std::unexpected(store.error());
  Result<std::vector<Inspected>> all = inspect(**store, inspection);
  if (!all) return std::unexpected(all.error());
  std::vector<StoredArtifact> artifacts;
  artifacts.reserve(all->size());
  for (Inspected& inspected : *all) artifacts.push_back(std::move(inspected.artifact));
  return artifacts;
}

Result<ArtifactGarbage> collect_artifact_garbage(const std::string& path, const ArtifactInspection& inspection,
                                                 const ArtifactStoreOptions& options) {
  const Result<std::shared_ptr<LmdbArtifactStore>> store = open_existing(path, options);
  if (!store) return std::unexpected(store.error());
  ArtifactInspection full = inspection;
  full.is_full = true;
  const Result<std::vector<Inspected>> all = inspect(**store, full);
  if (!all) return std::unexpected(all.error());

  std::vector<LmdbArtifactStore::Condemned> condemned;
  std::vector<ArtifactState> states;
  for (const Inspected& inspected : *all) {
    if (inspected.artifact.state == ArtifactState::kGood) continue;
    condemned.push_back({inspected.artifact.key, inspected.order});
    states.push_back(inspected.artifact.state);
  }
  const Result<LmdbArtifactStore::Sweep> sweep = (*store)->sweep(condemned);
  if (!sweep) return std::unexpected(sweep.error());
  ArtifactGarbage garbage{.evicted = sweep->evicted,
                          .bytes_freed = sweep->bytes_before - std::min(sweep->bytes_before, sweep->bytes_after),
                          .bytes_kept = sweep->bytes_after};
  for (std::size_t index = 0; index < condemned.size(); ++index) {
    if (!sweep->removed[index]) continue;
    ++(states[index] == ArtifactState::kForeign ? garbage.foreign : garbage.rejected);
  }
  return garbage;
}

}  // namespace caisson
