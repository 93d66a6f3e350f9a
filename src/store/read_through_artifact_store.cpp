// A store that looks up in a second one what it does not have.
#include <set>
#include <utility>

#include "caisson/artifact_store.h"

namespace caisson {
namespace {

class ReadThroughArtifactStore final : public ArtifactStore {
 public:
  ReadThroughArtifactStore(std::shared_ptr<ArtifactStore> local, std::shared_ptr<ArtifactStore> shared)
      : local_(std::move(local)), shared_(std::move(shared)) {}

  Result<std::uint64_t> load_all(const ArtifactContext& context, const std::function<void(Artifact&&)>& each) override {
    std::set<CodeKey> given;
    const Result<std::uint64_t> local = local_->load_all(context, [&](Artifact&& artifact) {
      given.insert(artifact.key);
      each(std::move(artifact));
    });
    if (!local) return local;
    const Result<std::uint64_t> shared = shared_->load_all(context, [&](Artifact&& artifact) {
      if (!given.contains(artifact.key)) each(std::move(artifact));
    });
    if (!shared) return shared;
    return *local + *shared;
  }

  Result<std::optional<Artifact>> load(const CodeKey& key, const ArtifactContext& context, bool* rejected) override {
    bool local_rejected = false;
    Result<std::optional<Artifact>> found = local_->load(key, context, &local_rejected);
    if (rejected != nullptr) *rejected = local_rejected;
    if (!found || found->has_value()) return found;
    bool shared_rejected = false;
    found = shared_->load(key, context, &shared_rejected);
    const bool is_given = found && found->has_value();
    if (rejected != nullptr) *rejected = !is_given && (local_rejected || shared_rejected);
    // Where it cannot be kept it is used all the same.
    if (is_given) {
      [[maybe_unused]] const Result<void> kept = local_->store(**found);
    }
    return found;
  }

  Result<void> store(const Artifact& artifact) override { return local_->store(artifact); }
  Result<void> remove(const CodeKey& key) override { return local_->remove(key); }
  Result<void> clear() override { return local_->clear(); }

 private:
  const std::shared_ptr<ArtifactStore> local_;
  const std::shared_ptr<ArtifactStore> shared_;
};

}  // namespace

std::shared_ptr<ArtifactStore> read_through_artifact_store(std::shared_ptr<ArtifactStore> local,
                                                           std::shared_ptr<ArtifactStore> shared) {
  return std::make_shared<ReadThroughArtifactStore>(std::move(local), std::move(shared));
}

}  // namespace caisson
