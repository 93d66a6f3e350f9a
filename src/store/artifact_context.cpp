// What belongs to every store: which artifacts fit, and where they are kept.
#include <cstdlib>
#include <string_view>

#include "caisson/artifact_store.h"

namespace caisson {
namespace {

// A variable that is unset and one that is empty are the same.
std::string_view environment_variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

}  // namespace

bool fits(const ArtifactContext& artifact, const ArtifactContext& engine) {
  ArtifactContext same_features = artifact;
  same_features.cpu_features = engine.cpu_features;
  return (artifact.cpu_features & ~engine.cpu_features) == 0 && same_features == engine;
}

Result<std::string> default_artifact_directory() {
  if (const std::string_view store = environment_variable("CAISSON_STORE"); !store.empty()) return std::string(store);
  // The XDG base directory specification has relative paths ignored.
  if (const std::string_view cache = environment_variable("XDG_CACHE_HOME"); cache.starts_with('/'))
    return std::string(cache) + "/caisson";
  if (const std::string_view home = environment_variable("HOME"); !home.empty())
    return std::string(home) + "/.cache/caisson";
  return fail(ErrorCode::kNotFound, "where artifacts are kept is not known: set CAISSON_STORE, or HOME");
}

}  // namespace caisson
