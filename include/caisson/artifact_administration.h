// Looking after a directory of artifacts: what `caisson store` does.
//
//   for (const caisson::StoredArtifact& artifact : caisson::list_artifacts("/var/cache/plugins", {}).value())
//     if (artifact.state != caisson::ArtifactState::kGood) std::cerr << artifact.reason << '\n';
//
// Thread safety: as the store: other threads and processes may use it meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "caisson/artifact_store.h"
#include "caisson/code_blob.h"
#include "caisson/result.h"

namespace caisson {

enum class ArtifactState : std::uint8_t {
  kGood,
  kForeign,   // whole, but of another format, or nothing for the engine that asks
  kRejected,  // damaged, forged, or beyond the limits
};

// The name of a state as it stands in reports: "good", "foreign", "rejected".
std::string_view to_string(ArtifactState state);

// One artifact of a store. Of a rejected one only the key, the bytes and the time are known.
struct StoredArtifact {
  CodeKey key;
  CodeTier tier = CodeTier::kOptimized;
  std::string guest_kind;
  std::string label;
  ArtifactContext context;
  std::uint64_t stored_bytes = 0;  // compressed, as they count against the budget
  std::uint64_t body_bytes = 0;    // code and tables, not compressed
  std::int64_t stored_at = 0;      // seconds since 1970
  ArtifactState state = ArtifactState::kRejected;
  std::string reason;  // why it is not good
};

struct ArtifactInspection {
  // Decompress and check code and tables as well. Without it the sums and the header are checked.
  bool is_full = false;
  // Whether the engine that asks could use an artifact that is whole; without it all are taken to be usable.
  std::function<bool(const StoredArtifact&)> is_usable;
  // Told after each artifact.
  std::function<void(std::uint64_t done, std::uint64_t count)> progress;
};

// In the order of keys. Never makes a store. Errors: those of open_artifact_store().
Result<std::vector<StoredArtifact>> list_artifacts(const std::string& path, const ArtifactInspection& inspection,
                                                   const ArtifactStoreOptions& options = {});

struct ArtifactGarbage {
  std::uint64_t rejected = 0;  // artifacts removed because they were rejected in a full inspection
  std::uint64_t foreign = 0;
  std::uint64_t evicted = 0;      // least recently used ones, beyond the budget
  std::uint64_t bytes_freed = 0;  // of stored artifacts; the file keeps its size and uses them again
  std::uint64_t bytes_kept = 0;
};

// Removes what is not good, and what is beyond the budget. An artifact that is replaced meanwhile stays. Never makes a store. Errors:
// those of open_artifact_store().
Result<ArtifactGarbage> collect_artifact_garbage(const std::string& path, const ArtifactInspection& inspection,
                                                 const ArtifactStoreOptions& options = {});

}  // namespace caisson
