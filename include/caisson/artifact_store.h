// ArtifactStore: where compiled code is kept between processes.
//
//   std::shared_ptr<caisson::ArtifactStore> store = caisson::open_artifact_store("/var/cache/plugins").value();
//   store->store(artifact);
//   bool rejected = false;
//   Result<std::optional<Artifact>> found = store->load(key, context, &rejected);
//
// Nothing that a store gives back is trusted: what does not match its checks is reported as rejected and treated as absent.
//
// Thread safety: every function may be called from any thread. Processes may share a directory.
#pragma once

#include <array>
#include <chrono>
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

// Whether an engine of context `engine` may use what was made for `artifact`: the same hashes, and no feature that it lacks.
bool fits(const ArtifactContext& artifact, const ArtifactContext& engine);

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
  // Gives every good artifact that fits `context` to `each`, which may use the store; answers how many were there and not given: damaged
  // ones, and those of other contexts. Does not count as use. Errors: kIo, kBusy.
  virtual Result<std::uint64_t> load_all(const ArtifactContext& context,
                                         const std::function<void(Artifact&&)>& each) = 0;
  // Nothing where there is none, or none that fits and is good; *rejected tells whether one was there. `rejected` may be null. Errors: kIo,
  // kBusy.
  virtual Result<std::optional<Artifact>> load(const CodeKey& key, const ArtifactContext& context, bool* rejected) = 0;
  // Replaces. Atomic and durable. Errors: kInvalidArgument (names or tables that the format does not allow), kIo, kBusy, kLimit (the
  // store's budget, a full disk); what was stored before stays.
  virtual Result<void> store(const Artifact& artifact) = 0;
  // In order where there is none. Errors: kIo, kBusy, kLimit (a full disk).
  virtual Result<void> remove(const CodeKey& key) = 0;
  virtual Result<void> clear() = 0;
};

struct ArtifactStoreOptions {
  // Bytes of stored artifacts, compressed. The least recently stored or loaded make room for new ones. The file becomes at most twice as
  // large, and 64 MiB.
  std::uint64_t byte_budget = 1ULL << 30;
  // Bytes of one artifact's code and tables, not compressed: larger ones are not stored (kLimit), and rejected where they are found.
  std::uint64_t max_artifact_bytes = 64ULL << 20;
  // How long to wait for other writers before kBusy.
  std::chrono::milliseconds lock_timeout{10'000};
  // Whether to make the directory and the store where there is none; else kNotFound.
  bool create = true;
};

// The store of a directory, which must be the effective user's own, writable by nobody else and on a local file system. The store's
// secret key is made with it. After fork() the child must open the store itself (kInvalidArgument). A process that limits the size of its
// files (RLIMIT_FSIZE) must ignore SIGXFSZ to be told kLimit instead of being killed.
// Errors: kPermission (owner, mode), kNotFound, kBusy, kIo, kLimit, kUnsupported (a store of another version of the engine).
Result<std::shared_ptr<ArtifactStore>> open_artifact_store(const std::string& path,
                                                           const ArtifactStoreOptions& options = {});

// A store that ends with the process. The budget counts bytes of code and tables; the least recently stored or loaded make room.
std::shared_ptr<ArtifactStore> memory_artifact_store(std::uint64_t byte_budget = 256ULL << 20);

// What `local` does not have is looked up in `shared`, and kept in `local` if it is good. `shared` is never written: remove() and clear()
// concern `local` only, and what they removed may come back from `shared`.
std::shared_ptr<ArtifactStore> read_through_artifact_store(std::shared_ptr<ArtifactStore> local,
                                                           std::shared_ptr<ArtifactStore> shared);

// Where a user's artifacts are kept: $CAISSON_STORE, else $XDG_CACHE_HOME/caisson, else ~/.cache/caisson. Not while another thread
// changes the environment. Errors: kNotFound (none of the variables is set).
Result<std::string> default_artifact_directory();

}  // namespace caisson
