// store/: where compiled code is kept between processes. Start reading here, then at lmdb_artifact_store.h.
//
// The container: one artifact as bytes that can be trusted once they have been checked against the store's key. All integers
// are little-endian.
//
//   offset  bytes  field
//        0      8  magic "CAISSONA"
//        8      4  version of this format, 1
//       12      4  bytes of the whole container
//       16      1  tier (CodeTier)
//       17      1  bytes of the guest kind, 1…32
//       18      1  bytes of the label, 0…255
//       19      1  0
//       20      4  bytes of the compressed body
//       24      4  bytes of the code
//       28      4  entries
//       32      4  relocations
//       36      4  bytes of the pc map
//       40      4  bytes of the unwind data
//       44      4  0
//       48     32  key (CodeKey)
//       80      8  processor features that the code may use
//       88     32  build id of the engine
//      120     32  hash of the runtime ABI
//      152     32  hash of the gas schedule
//      184     32  hash of the options of code generation
//      216      …  guest kind, label, compressed body: nothing between them, nothing behind
//        …     32  SHA-256 of everything before
//        …     32  HMAC-SHA-256 of that SHA-256, under the store's key
//
// The body is one zstd frame that tells its size. Uncompressed: the code; the entries (guest pc 8 bytes, offset 4), strictly in the
// order of guest pc; the relocations (offset 4, kind 4, target 8, addend 8); the pc map; the unwind data.
//
// Nothing of a container is looked at before both sums are right, but for the magic and the version, which stand at fixed places. What
// comes then is still parsed as if it were hostile: a key may leak, and an engine of this version may have had a bug.
//
// Thread safety: functions of their arguments.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "caisson/artifact_store.h"

namespace caisson::store {

// The secret of a store: who has it can write artifacts that the store's users run.
using StoreKey = std::array<std::uint8_t, 32>;

// What decoding accepts at most.
struct ContainerLimits {
  std::uint64_t body_bytes = 64U << 20U;  // uncompressed; that much memory is taken
};

// What stands before the body.
struct ContainerHeader {
  CodeKey key;
  CodeTier tier = CodeTier::kOptimized;
  std::string guest_kind;
  std::string label;
  ArtifactContext context;
  std::uint64_t body_bytes = 0;  // uncompressed
};

// The bytes of the uncompressed body of an artifact with this code.
std::uint64_t body_bytes(const CodeBlob& blob);

// The largest container that holds a body of `body_bytes`.
std::uint64_t most_container_bytes(std::uint64_t body_bytes);

// Errors: kInvalidArgument (a table or name that the format does not allow; `where` names it), kLimit (a body beyond the limits).
Result<std::vector<std::uint8_t>> encode_artifact(const Artifact& artifact, const StoreKey& key,
                                                  const ContainerLimits& limits = {});

// Errors: kUnsupported (another version), kPermission (whole, but made with another key), kLimit (a body beyond the limits),
// kInvalidImage (everything else; `where` names the field).
Result<Artifact> decode_artifact(std::span<const std::uint8_t> container, const StoreKey& key,
                                 const ContainerLimits& limits = {});

// The same checks and errors, but for those of the body, which stays compressed.
Result<ContainerHeader> decode_header(std::span<const std::uint8_t> container, const StoreKey& key,
                                      const ContainerLimits& limits = {});

// Writes both sums behind what they cover: the last 64 bytes of `container`, which has at least that many.
void seal_container(std::span<std::uint8_t> container, const StoreKey& key);

}  // namespace caisson::store
