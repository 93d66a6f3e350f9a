// ArtifactStore: where compiled code is kept between processes.
//
//   auto store = caisson::open_artifact_store("/var/cache/plugins").value();
//   store->store(artifact);
//   Result<std::optional<Artifact>> found = store->load(key, context);
//
// Nothing that a store gives back is trusted: what does not match its checks is reported as rejected and treated as absent.
//
// Thread safety: every function may be called from any thread. Processes may share a directory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "caisson/code_blob.h"
#include "caisson/result.h"

namespace caisson {

// What a piece of code requires of the engine that loads it; an artifact with any other context is foreign and not used.
struct ArtifactContext {
  std::uint64_t cpu_features = 0;  // bits of the features that the code may use; the loader must have all
  std::array<std::uint8_t, 32> build_id{};  // of the engine and its compiler
  std::array<std::uint8_t, 32> abi_hash{};  // of the runtime ABI of the guest kind
  std::array<std::uint8_t, 32> gas_hash{};  // of the gas schedule's table
  std::array<std::uint8_t, 32> options_hash{};  // of the options of code generation
  friend bool operator==(const ArtifactContext&, const ArtifactContext&) = default;
};

struct Artifact {
  CodeKey key;
  CodeTier tier = CodeTier::kOptimized;
  std::string guest_kind;  // "riscv", "evm"; at most 32 bytes
  std::string label;  // for people: the module's name and the guest pc; at most 255 bytes
  ArtifactContext context;
  CodeBlob blob;
};

class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;
  // Gives every good artifact that fits `context` to `each`; answers how many were rejected. Errors: kIo.
  virtual Result<std::uint64_t> load_all(const ArtifactContext& context,
                                         const std::function<void(Artifact&&)>& each) = 0;
  // Nothing where there is none, or none that fits and is good; *rejected is set where one was there. Errors: kIo.
  virtual Result<std::optional<Artifact>> load(const CodeKey& key, const ArtifactContext& context, bool* rejected) = 0;
  // Replaces. Atomic and durable. Errors: kIo, kLimit (the store's budget, a full disk).
  virtual Result<void> store(const Artifact& artifact) = 0;
  virtual Result<void> remove(const CodeKey& key) = 0;
  virtual Result<void> clear() = 0;
};

}  // namespace caisson
