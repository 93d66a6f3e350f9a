// The container of an artifact: what was encoded comes back, and nothing else is accepted.
#include "store/artifact_container.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <cstring>
#include <functional>
#include <random>

#include "support/sample_artifact.h"

namespace caisson::store {
namespace {

using test::random_artifact;
using test::small_artifact;

constexpr StoreKey kKey = {1, 2, 3};
constexpr StoreKey kOtherKey = {1, 2, 4};

// Offsets of the table in artifact_container.h.
constexpr std::size_t kVersionOffset = 8;
constexpr std::size_t kContainerBytesOffset = 12;
constexpr std::size_t kTierOffset = 16;
constexpr std::size_t kGuestKindBytesOffset = 17;
constexpr std::size_t kLabelBytesOffset = 18;
constexpr std::size_t kReservedOffset = 19;
constexpr std::size_t kCompressedBytesOffset = 20;
constexpr std::size_t kCodeBytesOffset = 24;
constexpr std::size_t kEntriesOffset = 28;
constexpr std::size_t kRelocationsOffset = 32;
constexpr std::size_t kPcMapBytesOffset = 36;
constexpr std::size_t kUnwindBytesOffset = 40;
constexpr std::size_t kReservedWordOffset = 44;
constexpr std::size_t kHeaderBytes = 216;
constexpr std::size_t kTrailerBytes = 64;

using Bytes = std::vector<std::uint8_t>;

Bytes encoded(const Artifact& artifact) { return encode_artifact(artifact, kKey).value(); }

// The error's `where`, or "accepted".
std::string refusal(const Bytes& container, const ContainerLimits& limits = {}) {
  const Result<Artifact> artifact = decode_artifact(container, kKey, limits);
  return artifact ? "accepted" : artifact.error().where;
}

std::uint32_t word_at(const Bytes& container, std::size_t offset) {
  std::uint32_t word = 0;
  std::memcpy(&word, container.data() + offset, sizeof word);
  return word;
}

// `container` with another number at `offset` and sums that are right again: what an attacker with the key would write.
Bytes with_word(Bytes container, std::size_t offset, std::uint32_t word) {
  std::memcpy(container.data() + offset, &word, sizeof word);
  seal_container(container, kKey);
  return container;
}

Bytes with_byte(Bytes container, std::size_t offset, std::uint8_t byte) {
  container[offset] = byte;
  seal_container(container, kKey);
  return container;
}

// `container` with another compressed body, its sizes and sums put right.
Bytes with_body(const Bytes& container, const Bytes& compressed) {
  const std::size_t names = container[kGuestKindBytesOffset] + container[kLabelBytesOffset];
  Bytes changed(container.begin(), container.begin() + static_cast<std::ptrdiff_t>(kHeaderBytes + names));
  changed.insert(changed.end(), compressed.begin(), compressed.end());
  changed.resize(changed.size() + kTrailerBytes);
  changed = with_word(std::move(changed), kCompressedBytesOffset, static_cast<std::uint32_t>(compressed.size()));
  const auto size = static_cast<std::uint32_t>(changed.size());
  return with_word(std::move(changed), kContainerBytesOffset, size);
}

Bytes compress(const Bytes& body) {
  Bytes compressed(ZSTD_compressBound(body.size()));
  compressed.resize(ZSTD_compress(compressed.data(), compressed.size(), body.data(), body.size(), 1));
  return compressed;
}

Bytes body_of(const Bytes& container) {
  const std::size_t start = kHeaderBytes + container[kGuestKindBytesOffset] + container[kLabelBytesOffset];
  const std::size_t size = word_at(container, kCompressedBytesOffset);
  Bytes body(ZSTD_getFrameContentSize(container.data() + start, size));
  EXPECT_EQ(ZSTD_decompress(body.data(), body.size(), container.data() + start, size), body.size());
  return body;
}

TEST(ArtifactContainer, ComesBackAsItWas) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    const Artifact artifact = random_artifact(random);
    const Bytes container = encoded(artifact);
    EXPECT_LE(container.size(), most_container_bytes(body_bytes(artifact.blob)));
    const Result<Artifact> decoded = decode_artifact(container, kKey);
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    test::expect_same(*decoded, artifact);
    const Result<ContainerHeader> header = decode_header(container, kKey);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->key, artifact.key);
    EXPECT_EQ(header->label, artifact.label);
    EXPECT_EQ(header->context, artifact.context);
    EXPECT_EQ(header->body_bytes, body_bytes(artifact.blob));
  }
}

TEST(ArtifactContainer, AnEmptyBlobIsOne) {
  Artifact artifact = small_artifact();
  artifact.label.clear();
  artifact.blob = {};
  const Result<Artifact> decoded = decode_artifact(encoded(artifact), kKey);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  test::expect_same(*decoded, artifact);
}

TEST(ArtifactContainer, RefusesEveryTruncation) {
  const Bytes container = encoded(small_artifact());
  for (std::size_t size = 0; size < container.size(); ++size) {
    const Bytes cut(container.begin(), container.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_NE(refusal(cut), "accepted") << size;
    // The same with sums that are right.
    if (size < kTrailerBytes) continue;
    Bytes sealed = cut;
    seal_container(sealed, kKey);
    ASSERT_NE(refusal(sealed), "accepted") << size;
  }
}

TEST(ArtifactContainer, RefusesEveryFlippedBit) {
  const Bytes container = encoded(small_artifact());
  for (std::size_t bit = 0; bit < 8 * container.size(); ++bit) {
    Bytes flipped = container;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    ASSERT_NE(refusal(flipped), "accepted") << "bit " << bit;
    ASSERT_FALSE(decode_header(flipped, kKey)) << "bit " << bit;
  }
}

TEST(ArtifactContainer, RefusesTrailingBytes) {
  Bytes container = encoded(small_artifact());
  container.push_back(0);
  EXPECT_EQ(refusal(container), "sha256");
  seal_container(container, kKey);
  EXPECT_EQ(refusal(container), "container size");
}

TEST(ArtifactContainer, TellsForgedFromDamaged) {
  Bytes container = encode_artifact(small_artifact(), kOtherKey).value();
  const Result<Artifact> forged = decode_artifact(container, kKey);
  ASSERT_FALSE(forged);
  EXPECT_EQ(forged.error().code, ErrorCode::kPermission);
  container[100] ^= 1;
  const Result<Artifact> damaged = decode_artifact(container, kKey);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kInvalidImage);
}

TEST(ArtifactContainer, AnotherVersionIsUnsupported) {
  const Result<Artifact> decoded = decode_artifact(with_word(encoded(small_artifact()), kVersionOffset, 2), kKey);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::kUnsupported);
}

TEST(ArtifactContainer, HostileFieldsWithRightSums) {
  const Bytes good = encoded(small_artifact());
  ASSERT_EQ(refusal(good), "accepted");
  EXPECT_EQ(refusal(with_byte(good, kTierOffset, 0)), "tier");
  EXPECT_EQ(refusal(with_byte(good, kTierOffset, 3)), "tier");
  EXPECT_EQ(refusal(with_byte(good, kReservedOffset, 1)), "reserved");
  EXPECT_EQ(refusal(with_word(good, kReservedWordOffset, 1)), "reserved");
  EXPECT_EQ(refusal(with_byte(good, kGuestKindBytesOffset, 0)), "guest kind");
  EXPECT_EQ(refusal(with_byte(good, kGuestKindBytesOffset, 33)), "guest kind");
  for (const std::size_t offset : {kCodeBytesOffset, kEntriesOffset, kRelocationsOffset, kPcMapBytesOffset,
                                   kUnwindBytesOffset, kContainerBytesOffset, kCompressedBytesOffset}) {
    const std::uint32_t right = word_at(good, offset);
    for (const std::uint32_t wrong : {right + 1, right - 1, 0U, 0x7FFF'FFFFU, 0x8000'0000U, 0xFFFF'FFFFU}) {
      if (wrong != right) {
        EXPECT_NE(refusal(with_word(good, offset, wrong)), "accepted") << offset << ": " << wrong;
      }
    }
  }
  // A name that reaches into the body, sizes adding up.
  Bytes moved = good;
  ++moved[kLabelBytesOffset];
  EXPECT_EQ(refusal(with_word(moved, kCompressedBytesOffset, word_at(good, kCompressedBytesOffset) - 1)), "body");
}

TEST(ArtifactContainer, HostileTablesWithRightSums) {
  const Artifact artifact = small_artifact();
  const Bytes good = encoded(artifact);
  const Bytes body = body_of(good);
  ASSERT_EQ(refusal(with_body(good, compress(body))), "accepted");
  const std::size_t entries = artifact.blob.code.size();
  const std::size_t relocations = entries + 12 * artifact.blob.entries.size();
  const auto changed = [&](std::size_t offset, std::uint32_t word) {
    Bytes other = body;
    std::memcpy(other.data() + offset, &word, sizeof word);
    return refusal(with_body(good, compress(other)));
  };
  const auto code_bytes = static_cast<std::uint32_t>(artifact.blob.code.size());
  EXPECT_EQ(changed(entries + 8, code_bytes - 1), "accepted");
  EXPECT_EQ(changed(entries + 8, code_bytes), "entries");
  EXPECT_EQ(changed(entries + 8, 0xFFFF'FFFF), "entries");
  EXPECT_EQ(changed(relocations, code_bytes - 1), "accepted");
  EXPECT_EQ(changed(relocations, code_bytes), "relocations");
  // The second entry's pc: equal to the first, and below it.
  const auto first_pc = static_cast<std::uint32_t>(artifact.blob.entries[0].guest_pc);
  EXPECT_EQ(changed(entries + 12, first_pc), "entries");
  EXPECT_EQ(changed(entries + 12, first_pc - 2), "entries");
}

TEST(ArtifactContainer, HostileFramesWithRightSums) {
  const Bytes good = encoded(small_artifact());
  const Bytes body = body_of(good);
  EXPECT_EQ(refusal(with_body(good, {})), "body");
  EXPECT_EQ(refusal(with_body(good, body)), "body");  // not compressed at all
  Bytes shorter = body;
  shorter.pop_back();
  EXPECT_EQ(refusal(with_body(good, compress(shorter))), "body");
  Bytes longer = body;
  longer.push_back(0);
  EXPECT_EQ(refusal(with_body(good, compress(longer))), "body");

  Bytes two_frames = compress(body);
  const Bytes empty = compress({});
  two_frames.insert(two_frames.end(), empty.begin(), empty.end());
  EXPECT_EQ(refusal(with_body(good, two_frames)), "body");
  Bytes skipped = {0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0};
  EXPECT_EQ(refusal(with_body(good, skipped)), "body");
  skipped.insert(skipped.end(), two_frames.begin(), two_frames.end());
  EXPECT_EQ(refusal(with_body(good, skipped)), "body");

  // Every bit of the frame: refused, or another body that keeps the rules.
  const Bytes frame = compress(body);
  for (std::size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    Bytes flipped = frame;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    (void)refusal(with_body(good, flipped));
  }
}

TEST(ArtifactContainer, DecompressesToTheDeclaredBoundOnly) {
  const Bytes bomb = compress(Bytes(32U << 20U));  // of a few kilobytes
  ASSERT_LT(bomb.size(), 8192U);
  const Bytes good = encoded(small_artifact());
  // The frame says 32 MiB, the tables need little.
  EXPECT_EQ(refusal(with_body(good, bomb)), "body");
  // The tables agree with it, beyond what the reader allows.
  Bytes agreeing = with_body(good, bomb);
  for (const std::size_t offset : {kEntriesOffset, kRelocationsOffset, kPcMapBytesOffset, kUnwindBytesOffset})
    agreeing = with_word(std::move(agreeing), offset, 0);
  agreeing = with_word(std::move(agreeing), kCodeBytesOffset, 32U << 20U);
  EXPECT_EQ(refusal(agreeing, {.body_bytes = 32U << 20U}), "accepted");
  const Result<Artifact> refused = decode_artifact(agreeing, kKey, {.body_bytes = (32U << 20U) - 1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kLimit);
}

TEST(ArtifactContainer, EncodesOnlyWhatItWouldDecode) {
  const auto misuse = [](const std::function<void(Artifact&)>& change) {
    Artifact artifact = small_artifact();
    change(artifact);
    const Result<Bytes> container = encode_artifact(artifact, kKey);
    if (container) return std::string("accepted");
    EXPECT_EQ(container.error().code, ErrorCode::kInvalidArgument);
    return container.error().where;
  };
  EXPECT_EQ(misuse([](Artifact& artifact) { artifact.tier = static_cast<CodeTier>(0); }), "tier");
  EXPECT_EQ(misuse([](Artifact& artifact) { artifact.guest_kind.clear(); }), "guest kind");
  EXPECT_EQ(misuse([](Artifact& artifact) { artifact.guest_kind.assign(33, 'k'); }), "guest kind");
  EXPECT_EQ(misuse([](Artifact& artifact) { artifact.label.assign(256, 'l'); }), "label");
  EXPECT_EQ(misuse([](Artifact& artifact) { artifact.blob.entries[1] = artifact.blob.entries[0]; }), "entries");
  EXPECT_EQ(misuse([](Artifact& artifact) { std::swap(artifact.blob.entries[0], artifact.blob.entries[1]); }),
            "entries");
  EXPECT_EQ(misuse([](Artifact& artifact) { artifact.blob.entries[0].offset = 1U << 31U; }), "entries");
  EXPECT_EQ(misuse([](Artifact& artifact) { artifact.blob.relocations[0].offset = 1U << 31U; }), "relocations");
  const Result<Bytes> large = encode_artifact(small_artifact(), kKey, {.body_bytes = 16});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace caisson::store
