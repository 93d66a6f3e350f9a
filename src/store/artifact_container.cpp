#include "store/artifact_container.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "base/hash.h"

namespace caisson::store {
namespace {

static_assert(std::endian::native == std::endian::little, "containers are copied as they lie in memory");

constexpr std::array<std::uint8_t, 8> kMagic = {'C', 'A', 'I', 'S', 'S', 'O', 'N', 'A'};
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kMostGuestKindBytes = 32;
constexpr std::size_t kMostLabelBytes = 255;
constexpr std::size_t kEntryBytes = 12;
constexpr std::size_t kRelocationBytes = 24;
constexpr std::size_t kSumBytes = sizeof(base::Sha256);
constexpr std::size_t kTrailerBytes = 2 * kSumBytes;
constexpr int kCompressionLevel = 3;

// The fixed part, as the table in the header file has it.
struct FixedHeader {
  std::array<std::uint8_t, 8> magic;
  std::uint32_t version;
  std::uint32_t container_bytes;
  std::uint8_t tier;
  std::uint8_t guest_kind_bytes;
  std::uint8_t label_bytes;
  std::uint8_t reserved;
  std::uint32_t compressed_bytes;
  std::uint32_t code_bytes;
  std::uint32_t entries;
  std::uint32_t relocations;
  std::uint32_t pc_map_bytes;
  std::uint32_t unwind_bytes;
  std::uint32_t reserved_word;
  std::array<std::uint8_t, 32> key;
  std::uint64_t cpu_features;
  std::array<std::uint8_t, 32> build_id;
  std::array<std::uint8_t, 32> abi_hash;
  std::array<std::uint8_t, 32> gas_hash;
  std::array<std::uint8_t, 32> options_hash;
};
static_assert(sizeof(FixedHeader) == 216 && offsetof(FixedHeader, key) == 48 && offsetof(FixedHeader, build_id) == 88);

constexpr std::size_t kVersionEnd = offsetof(FixedHeader, version) + sizeof(FixedHeader::version);

class ByteWriter {
 public:
  explicit ByteWriter(std::size_t size) { bytes_.reserve(size); }
  void append(const void* data, std::size_t size) {
    const auto* const first = static_cast<const std::uint8_t*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
  }
  template <class T>
  void append_value(const T& value) {
    append(&value, sizeof value);
  }
  std::vector<std::uint8_t> take() && { return std::move(bytes_); }

 private:
  std::vector<std::uint8_t> bytes_;
};

// Reads what is known to be there: the sizes were compared before.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
  std::span<const std::uint8_t> take(std::size_t size) {
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  template <class T>
  T take_value() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::vector<std::uint8_t> take_vector(std::size_t size) {
    const auto taken = take(size);
    return {taken.begin(), taken.end()};
  }
  std::string take_string(std::size_t size) {
    const auto taken = take(size);
    return {taken.begin(), taken.end()};
  }

 private:
  std::span<const std::uint8_t> rest_;
};

struct Sums {
  base::Sha256 sha256;
  base::Sha256 hmac;
};

Sums sums_of(std::span<const std::uint8_t> covered, const StoreKey& key) {
  const base::Sha256 sha256 = base::sha256(covered);
  return {sha256, base::hmac_sha256(key, sha256)};
}

// Whether the sums behind the container are those of its bytes under `key`. Reads nothing but the bytes' number.
Result<void> authenticate(std::span<const std::uint8_t> container, const StoreKey& key) {
  const auto covered = container.first(container.size() - kTrailerBytes);
  const Sums expected = sums_of(covered, key);
  base::Sha256 sha256;
  base::Sha256 hmac;
  std::memcpy(sha256.data(), container.data() + covered.size(), kSumBytes);
  std::memcpy(hmac.data(), container.data() + covered.size() + kSumBytes, kSumBytes);
  const bool is_whole = base::equal_in_constant_time(sha256, expected.sha256);
  const bool is_ours = base::equal_in_constant_time(hmac, expected.hmac);
  if (!is_whole) return fail(ErrorCode::kInvalidImage, "the artifact is damaged", "sha256");
  if (!is_ours) return fail(ErrorCode::kPermission, "the artifact was not made with this store's key", "hmac");
  return {};
}

std::uint64_t declared_body_bytes(const FixedHeader& header) {
  // Each term is below 2^37.
  return std::uint64_t{header.code_bytes} + std::uint64_t{header.entries} * kEntryBytes +
         std::uint64_t{header.relocations} * kRelocationBytes + header.pc_map_bytes + header.unwind_bytes;
}

Result<void> check_fields(const FixedHeader& header, std::size_t container_bytes, const ContainerLimits& limits) {
  const auto broken = [](std::string_view field, std::string_view message) {
    return fail(ErrorCode::kInvalidImage, std::string(message), std::string(field));
  };
  if (header.container_bytes != container_bytes) return broken("container size", "not the number of bytes");
  if (header.reserved != 0 || header.reserved_word != 0) return broken("reserved", "must be 0");
  if (header.tier != static_cast<std::uint8_t>(CodeTier::kBaseline) &&
      header.tier != static_cast<std::uint8_t>(CodeTier::kOptimized))
    return broken("tier", "no such tier");
  if (header.guest_kind_bytes == 0 || header.guest_kind_bytes > kMostGuestKindBytes)
    return broken("guest kind", "must have 1 to 32 bytes");
  const std::uint64_t expected = sizeof(FixedHeader) + std::uint64_t{header.guest_kind_bytes} + header.label_bytes +
                                 header.compressed_bytes + kTrailerBytes;
  if (expected != container_bytes) return broken("compressed size", "the parts do not add up to the whole");
  if (declared_body_bytes(header) > limits.body_bytes) {
    return fail(ErrorCode::kLimit,
                fmt::format("{} bytes are more than the limit of {}", declared_body_bytes(header), limits.body_bytes),
                "body");
  }
  return {};
}

// A container whose sums and sizes are right.
struct CheckedContainer {
  FixedHeader header;
  std::string guest_kind;
  std::string label;
  std::span<const std::uint8_t> compressed;
};

Result<CheckedContainer> check_container(std::span<const std::uint8_t> container, const StoreKey& key,
                                         const ContainerLimits& limits) {
  if (container.size() < kVersionEnd || !std::ranges::equal(container.first(kMagic.size()), kMagic))
    return fail(ErrorCode::kInvalidImage, "not an artifact", "magic");
  std::uint32_t version = 0;
  std::memcpy(&version, container.data() + offsetof(FixedHeader, version), sizeof version);
  if (version != kVersion) {
    return fail(ErrorCode::kUnsupported, fmt::format("format {}, this engine reads format {}", version, kVersion),
                "version");
  }
  if (container.size() < sizeof(FixedHeader) + kTrailerBytes)
    return fail(ErrorCode::kInvalidImage, "too short for an artifact", "container size");
  if (const Result<void> authentic = authenticate(container, key); !authentic)
    return std::unexpected(authentic.error());

  ByteReader reader(container);
  CheckedContainer checked{.header = reader.take_value<FixedHeader>()};
  if (const Result<void> fields = check_fields(checked.header, container.size(), limits); !fields)
    return std::unexpected(fields.error());
  checked.guest_kind = reader.take_string(checked.header.guest_kind_bytes);
  checked.label = reader.take_string(checked.header.label_bytes);
  checked.compressed = reader.take(checked.header.compressed_bytes);
  return checked;
}

// One frame, which says that it holds `size` bytes and does.
Result<std::vector<std::uint8_t>> decompress(std::span<const std::uint8_t> compressed, std::uint64_t size) {
  const auto broken = [](std::string_view message) {
    return fail(ErrorCode::kInvalidImage, std::string(message), "body");
  };
  if (ZSTD_findFrameCompressedSize(compressed.data(), compressed.size()) != compressed.size())
    return broken("not one zstd frame");
  // A skippable frame has no content, and says 0.
  if (ZSTD_getFrameContentSize(compressed.data(), compressed.size()) != size)
    return broken("the frame holds another number of bytes than the tables need");
  std::vector<std::uint8_t> body(size);
  const std::size_t written = ZSTD_decompress(body.data(), body.size(), compressed.data(), compressed.size());
  if (ZSTD_isError(written) != 0) return broken(ZSTD_getErrorName(written));
  if (written != size) return broken("the frame holds fewer bytes than it says");
  return body;
}

// The rule that the blob breaks.
std::optional<Error> broken_rule(const CodeBlob& blob) {
  const auto lies_outside = [&blob](const auto& item) { return item.offset >= blob.code.size(); };
  const auto not_ascending = [](const CodeBlob::Entry& one, const CodeBlob::Entry& next) {
    return one.guest_pc >= next.guest_pc;
  };
  if (std::ranges::any_of(blob.entries, lies_outside))
    return Error{ErrorCode::kInvalidImage, "an entry lies outside the code", "entries"};
  if (std::ranges::adjacent_find(blob.entries, not_ascending) != blob.entries.end())
    return Error{ErrorCode::kInvalidImage, "entries must be in the order of guest_pc, each once", "entries"};
  if (std::ranges::any_of(blob.relocations, lies_outside))
    return Error{ErrorCode::kInvalidImage, "a relocation lies outside the code", "relocations"};
  return std::nullopt;
}

CodeBlob parse_body(std::span<const std::uint8_t> body, const FixedHeader& header) {
  ByteReader reader(body);
  CodeBlob blob;
  blob.code = reader.take_vector(header.code_bytes);
  blob.entries.resize(header.entries);
  for (CodeBlob::Entry& entry : blob.entries) {
    entry.guest_pc = reader.take_value<std::uint64_t>();
    entry.offset = reader.take_value<std::uint32_t>();
  }
  blob.relocations.resize(header.relocations);
  for (CodeBlob::Relocation& relocation : blob.relocations) {
    relocation.offset = reader.take_value<std::uint32_t>();
    relocation.kind = reader.take_value<std::uint32_t>();
    relocation.target = reader.take_value<std::uint64_t>();
    relocation.addend = reader.take_value<std::int64_t>();
  }
  blob.pc_map = reader.take_vector(header.pc_map_bytes);
  blob.unwind = reader.take_vector(header.unwind_bytes);
  return blob;
}

std::vector<std::uint8_t> body_of(const CodeBlob& blob) {
  ByteWriter writer(body_bytes(blob));
  writer.append(blob.code.data(), blob.code.size());
  for (const CodeBlob::Entry& entry : blob.entries) {
    writer.append_value(entry.guest_pc);
    writer.append_value(entry.offset);
  }
  for (const CodeBlob::Relocation& relocation : blob.relocations) {
    writer.append_value(relocation.offset);
    writer.append_value(relocation.kind);
    writer.append_value(relocation.target);
    writer.append_value(relocation.addend);
  }
  writer.append(blob.pc_map.data(), blob.pc_map.size());
  writer.append(blob.unwind.data(), blob.unwind.size());
  return std::move(writer).take();
}

Result<void> check_encodable(const Artifact& artifact, const ContainerLimits& limits) {
  const auto misuse = [](std::string_view where, std::string_view message) {
    return fail(ErrorCode::kInvalidArgument, std::string(message), std::string(where));
  };
  if (artifact.tier != CodeTier::kBaseline && artifact.tier != CodeTier::kOptimized)
    return misuse("tier", "no such tier");
  if (artifact.guest_kind.empty() || artifact.guest_kind.size() > kMostGuestKindBytes)
    return misuse("guest kind", "must have 1 to 32 bytes");
  if (artifact.label.size() > kMostLabelBytes) return misuse("label", "must have at most 255 bytes");
  if (const std::optional<Error> broken = broken_rule(artifact.blob)) return misuse(broken->where, broken->message);
  // The second bound keeps each size of the fixed header within its 32 bits.
  const std::uint64_t most = std::min<std::uint64_t>(limits.body_bytes, std::numeric_limits<std::int32_t>::max());
  if (const std::uint64_t size = body_bytes(artifact.blob); size > most)
    return fail(ErrorCode::kLimit, fmt::format("{} bytes are more than the limit of {}", size, most), "body");
  return {};
}

FixedHeader header_of(const Artifact& artifact, std::size_t compressed_bytes) {
  const CodeBlob& blob = artifact.blob;
  const auto narrow = [](std::size_t size) { return static_cast<std::uint32_t>(size); };
  return {
      .magic = kMagic,
      .version = kVersion,
      .container_bytes = narrow(sizeof(FixedHeader) + artifact.guest_kind.size() + artifact.label.size() +
                                compressed_bytes + kTrailerBytes),
      .tier = static_cast<std::uint8_t>(artifact.tier),
      .guest_kind_bytes = static_cast<std::uint8_t>(artifact.guest_kind.size()),
      .label_bytes = static_cast<std::uint8_t>(artifact.label.size()),
      .reserved = 0,
      .compressed_bytes = narrow(compressed_bytes),
      .code_bytes = narrow(blob.code.size()),
      .entries = narrow(blob.entries.size()),
      .relocations = narrow(blob.relocations.size()),
      .pc_map_bytes = narrow(blob.pc_map.size()),
      .unwind_bytes = narrow(blob.unwind.size()),
      .reserved_word = 0,
      .key = artifact.key.bytes,
      .cpu_features = artifact.context.cpu_features,
      .build_id = artifact.context.build_id,
      .abi_hash = artifact.context.abi_hash,
      .gas_hash = artifact.context.gas_hash,
      .options_hash = artifact.context.options_hash,
  };
}

ArtifactContext context_of(const FixedHeader& header) {
  return {.cpu_features = header.cpu_features,
          .build_id = header.build_id,
          .abi_hash = header.abi_hash,
          .gas_hash = header.gas_hash,
          .options_hash = header.options_hash};
}

}  // namespace

std::uint64_t body_bytes(const CodeBlob& blob) {
  return blob.code.size() + blob.entries.size() * kEntryBytes + blob.relocations.size() * kRelocationBytes +
         blob.pc_map.size() + blob.unwind.size();
}

std::uint64_t most_container_bytes(std::uint64_t body_bytes) {
  return sizeof(FixedHeader) + kMostGuestKindBytes + kMostLabelBytes + ZSTD_COMPRESSBOUND(body_bytes) + kTrailerBytes;
}

Result<std::vector<std::uint8_t>> encode_artifact(const Artifact& artifact, const StoreKey& key,
                                                  const ContainerLimits& limits) {
  if (const Result<void> encodable = check_encodable(artifact, limits); !encodable)
    return std::unexpected(encodable.error());
  const std::vector<std::uint8_t> body = body_of(artifact.blob);
  std::vector<std::uint8_t> compressed(ZSTD_compressBound(body.size()));
  const std::size_t compressed_bytes =
      ZSTD_compress(compressed.data(), compressed.size(), body.data(), body.size(), kCompressionLevel);
  if (ZSTD_isError(compressed_bytes) != 0)
    return fail(ErrorCode::kOutOfMemory, fmt::format("cannot compress: {}", ZSTD_getErrorName(compressed_bytes)));

  const FixedHeader header = header_of(artifact, compressed_bytes);
  ByteWriter writer(header.container_bytes);
  writer.append_value(header);
  writer.append(artifact.guest_kind.data(), artifact.guest_kind.size());
  writer.append(artifact.label.data(), artifact.label.size());
  writer.append(compressed.data(), compressed_bytes);
  constexpr std::array<std::uint8_t, kTrailerBytes> kNoSums{};
  writer.append(kNoSums.data(), kNoSums.size());
  std::vector<std::uint8_t> container = std::move(writer).take();
  seal_container(container, key);
  return container;
}

Result<ContainerHeader> decode_header(std::span<const std::uint8_t> container, const StoreKey& key,
                                      const ContainerLimits& limits) {
  Result<CheckedContainer> checked = check_container(container, key, limits);
  if (!checked) return std::unexpected(std::move(checked.error()));
  return ContainerHeader{.key = {checked->header.key},
                         .tier = static_cast<CodeTier>(checked->header.tier),
                         .guest_kind = std::move(checked->guest_kind),
                         .label = std::move(checked->label),
                         .context = context_of(checked->header),
                         .body_bytes = declared_body_bytes(checked->header)};
}

Result<Artifact> decode_artifact(std::span<const std::uint8_t> container, const StoreKey& key,
                                 const ContainerLimits& limits) {
  Result<CheckedContainer> checked = check_container(container, key, limits);
  if (!checked) return std::unexpected(std::move(checked.error()));
  const Result<std::vector<std::uint8_t>> body = decompress(checked->compressed, declared_body_bytes(checked->header));
  if (!body) return std::unexpected(body.error());
  Artifact artifact{.key = {checked->header.key},
                    .tier = static_cast<CodeTier>(checked->header.tier),
                    .guest_kind = std::move(checked->guest_kind),
                    .label = std::move(checked->label),
                    .context = context_of(checked->header),
                    .blob = parse_body(*body, checked->header)};
  if (std::optional<Error> broken = broken_rule(artifact.blob)) return std::unexpected(*std::move(broken));
  return artifact;
}

void seal_container(std::span<std::uint8_t> container, const StoreKey& key) {
  const auto trailer = container.last(kTrailerBytes);
  const Sums sums = sums_of(container.first(container.size() - kTrailerBytes), key);
  std::memcpy(trailer.data(), sums.sha256.data(), kSumBytes);
  std::memcpy(trailer.data() + kSumBytes, sums.hmac.data(), kSumBytes);
}

}  // namespace caisson::store
