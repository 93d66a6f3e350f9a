#include "base/merkle.h"

// As in hash.cpp: the interface without providers.
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>

#include <cstring>
#include <vector>

namespace caisson::base {
namespace {

// What SHA-256 appends to a message of 64 bytes: a one, zeros, the length in bits.
constexpr std::array<std::uint8_t, SHA256_CBLOCK> kPadding = [] {
  std::array<std::uint8_t, SHA256_CBLOCK> block{};
  block[0] = 0x80;
  block[SHA256_CBLOCK - 2] = 512 >> 8;
  return block;
}();

Sha256 mix_in(const Sha256& root, std::uint64_t number) {
  Sha256 chunk{};
  for (unsigned index = 0; index < sizeof number; ++index)
    chunk[index] = static_cast<std::uint8_t>(number >> (8 * index));
  return hash_pair(root, chunk);
}

}  // namespace

Sha256 hash_pair(const Sha256& left, const Sha256& right) {
  // Block by block: SHA256_Update() and SHA256_Final() copy and count for longer than a block takes.
  std::array<std::uint8_t, SHA256_CBLOCK> block;
  std::memcpy(block.data(), left.data(), left.size());
  std::memcpy(block.data() + left.size(), right.data(), right.size());
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Transform(&context, block.data());
  SHA256_Transform(&context, kPadding.data());
  Sha256 digest;
  for (unsigned word = 0; word < digest.size() / 4; ++word) {
    const std::uint32_t big_endian = std::byteswap(static_cast<std::uint32_t>(context.h[word]));
    std::memcpy(digest.data() + 4 * word, &big_endian, sizeof big_endian);
  }
  return digest;
}

const Sha256& zero_subtree(unsigned level) {
  static const auto kRoots = [] {
    std::array<Sha256, kMostMerkleLevels + 1> roots{};
    for (unsigned index = 1; index < roots.size(); ++index)
      roots[index] = hash_pair(roots[index - 1], roots[index - 1]);
    return roots;
  }();
  return kRoots[level];
}

Sha256 merkleize(std::span<const Sha256> chunks, std::uint64_t limit) {
  const unsigned levels = limit <= 1 ? 0 : static_cast<unsigned>(std::bit_width(limit - 1));
  if (chunks.empty()) return zero_subtree(levels);
  std::vector<Sha256> nodes(chunks.begin(), chunks.end());
  for (unsigned level = 0; level < levels; ++level) {
    const std::size_t count = nodes.size();
    for (std::size_t index = 0; index < count; index += 2)
      nodes[index / 2] = hash_pair(nodes[index], index + 1 < count ? nodes[index + 1] : zero_subtree(level));
    nodes.resize((count + 1) / 2);
  }
  return nodes.front();
}

Sha256 mix_in_length(const Sha256& root, std::uint64_t length) { return mix_in(root, length); }
Sha256 mix_in_selector(const Sha256& root, std::uint8_t selector) { return mix_in(root, selector); }

}  // namespace caisson::base
