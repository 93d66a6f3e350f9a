// A store that ends with its process. It holds artifacts as they were given, since nobody else can change them.
#include <fmt/format.h>

#include <map>
#include <mutex>

#include "caisson/artifact_store.h"
#include "store/artifact_container.h"

namespace caisson {
namespace {

class MemoryArtifactStore final : public ArtifactStore {
 public:
  explicit MemoryArtifactStore(std::uint64_t byte_budget) : byte_budget_(byte_budget) {}

  Result<std::uint64_t> load_all(const ArtifactContext& context, const std::function<void(Artifact&&)>& each) override {
    // Copies of pointers, so that `each` may use the store.
    std::vector<std::shared_ptr<const Artifact>> all;
    {
      const std::scoped_lock lock(mutex_);
      for (const auto& [key, row] : rows_) all.push_back(row.artifact);
    }
    std::uint64_t rejected = 0;
    for (const std::shared_ptr<const Artifact>& artifact : all) {
      if (fits(artifact->context, context)) {
        each(Artifact(*artifact));
      } else {
        ++rejected;
      }
    }
    return rejected;
  }

  Result<std::optional<Artifact>> load(const CodeKey& key, const ArtifactContext& context, bool* rejected) override {
    const std::scoped_lock lock(mutex_);
    const auto found = rows_.find(key);
    const bool is_there = found != rows_.end();
    const bool is_given = is_there && fits(found->second.artifact->context, context);
    if (rejected != nullptr) *rejected = is_there && !is_given;
    if (!is_given) return std::nullopt;
    order_.erase(found->second.order);
    found->second.order = next_order_++;
    order_.emplace(found->second.order, key);
    return *found->second.artifact;
  }

  Result<void> store(const Artifact& artifact) override {
    const std::uint64_t bytes = store::body_bytes(artifact.blob);
    if (bytes > byte_budget_) {
      return fail(ErrorCode::kLimit,
                  fmt::format("{} bytes are more than the store's budget of {}", bytes, byte_budget_));
    }
    auto copy = std::make_shared<const Artifact>(artifact);
    const std::scoped_lock lock(mutex_);
    erase(artifact.key);
    while (bytes_ + bytes > byte_budget_) erase(CodeKey(order_.begin()->second));
    rows_.emplace(artifact.key, Row{std::move(copy), bytes, next_order_});
    order_.emplace(next_order_++, artifact.key);
    bytes_ += bytes;
    return {};
  }

  Result<void> remove(const CodeKey& key) override {
    const std::scoped_lock lock(mutex_);
    erase(key);
    return {};
  }

  Result<void> clear() override {
    const std::scoped_lock lock(mutex_);
    rows_.clear();
    order_.clear();
    bytes_ = 0;
    return {};
  }

 private:
  struct Row {
    std::shared_ptr<const Artifact> artifact;
    std::uint64_t bytes = 0;
    std::uint64_t order = 0;
  };

  void erase(const CodeKey& key) {
    const auto found = rows_.find(key);
    if (found == rows_.end()) return;
    bytes_ -= found->second.bytes;
    order_.erase(found->second.order);
    rows_.erase(found);
  }

  const std::uint64_t byte_budget_;
  std::mutex mutex_;
  std::map<CodeKey, Row> rows_;
  std::map<std::uint64_t, CodeKey> order_;  // lowest is evicted first
  std::uint64_t next_order_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace

std::shared_ptr<ArtifactStore> memory_artifact_store(std::uint64_t byte_budget) {
  return std::make_shared<MemoryArtifactStore>(byte_budget);
}

}  // namespace caisson
