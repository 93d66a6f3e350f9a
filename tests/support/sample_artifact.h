// Artifacts for tests: a small fixed one, and random ones that keep the format's rules.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "caisson/artifact_store.h"

namespace caisson::test {

// About 110 bytes of body.
inline Artifact small_artifact() {
  Artifact artifact;
  artifact.key.bytes = {0xAB, 1, 2, 3};
  artifact.guest_kind = "riscv";
  artifact.label = "hello 0x10000";
  artifact.context.cpu_features = 5;
  artifact.context.build_id = {1};
  artifact.context.abi_hash = {2};
  artifact.context.gas_hash = {3};
  artifact.context.options_hash = {4};
  artifact.blob.code = {0x48, 0x89, 0xC8, 0x48, 0x01, 0xD0, 0xC3, 0x90};
  artifact.blob.entries = {{.guest_pc = 0x10000, .offset = 0}, {.guest_pc = 0x10008, .offset = 3}};
  artifact.blob.relocations = {{.offset = 2, .kind = 1, .target = 0x10000, .addend = -4}};
  artifact.blob.pc_map = {0, 1, 2, 3, 4};
  artifact.blob.unwind = {9, 8, 7};
  return artifact;
}

// The small one with a key and code that belong to `number`, and `code_bytes` of code that does not compress.
inline Artifact numbered_artifact(std::uint64_t number, std::size_t code_bytes = 64) {
  Artifact artifact = small_artifact();
  for (std::size_t index = 0; index < 8; ++index)
    artifact.key.bytes[index] = static_cast<std::uint8_t>(number >> (56 - 8 * index));
  artifact.label = "number " + std::to_string(number);
  std::mt19937_64 random(number);
  artifact.blob.code.resize(std::max<std::size_t>(code_bytes, 8));
  std::ranges::generate(artifact.blob.code, [&random] { return static_cast<std::uint8_t>(random()); });
  return artifact;
}

template <class Random>
std::vector<std::uint8_t> random_bytes(Random& random, std::size_t most) {
  std::vector<std::uint8_t> bytes(random() % (most + 1));
  const bool repeats = random() % 2 == 0;
  std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(repeats ? random() % 3 : random()); });
  return bytes;
}

template <class Random>
Artifact random_artifact(Random& random) {
  constexpr std::size_t kMostCode = 20'000;
  const auto fill = [&random](auto& bytes) {
    std::ranges::generate(bytes, [&random] { return static_cast<std::uint8_t>(random()); });
  };
  Artifact artifact;
  fill(artifact.key.bytes);
  artifact.tier = random() % 2 == 0 ? CodeTier::kBaseline : CodeTier::kOptimized;
  artifact.guest_kind = std::string(1 + random() % 32, 'k');
  artifact.label = std::string(random() % 256, static_cast<char>(random()));
  artifact.context.cpu_features = random();
  fill(artifact.context.build_id);
  fill(artifact.context.abi_hash);
  fill(artifact.context.gas_hash);
  fill(artifact.context.options_hash);
  artifact.blob.code = random_bytes(random, kMostCode);
  artifact.blob.pc_map = random_bytes(random, 500);
  artifact.blob.unwind = random_bytes(random, 500);
  if (artifact.blob.code.empty()) return artifact;
  const auto offset = [&] { return static_cast<std::uint32_t>(random() % artifact.blob.code.size()); };
  std::uint64_t guest_pc = random() % 4096;
  for (std::uint64_t count = random() % 100; count > 0; --count) {
    artifact.blob.entries.push_back({.guest_pc = guest_pc, .offset = offset()});
    guest_pc += 1 + random() % (1ULL << 40U);
  }
  for (std::uint64_t count = random() % 100; count > 0; --count) {
    artifact.blob.relocations.push_back({.offset = offset(),
                                         .kind = static_cast<std::uint32_t>(random()),
                                         .target = random(),
                                         .addend = static_cast<std::int64_t>(random())});
  }
  return artifact;
}

inline void expect_same(const Artifact& one, const Artifact& other) {
  EXPECT_EQ(one.key, other.key);
  EXPECT_EQ(one.tier, other.tier);
  EXPECT_EQ(one.guest_kind, other.guest_kind);
  EXPECT_EQ(one.label, other.label);
  EXPECT_EQ(one.context, other.context);
  EXPECT_EQ(one.blob, other.blob);
}

}  // namespace caisson::test
