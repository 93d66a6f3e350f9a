// What the hash kernels share: round 1 hashes 1 KiB of bytes i & 0xFF; each later round first writes the digest so far over the
// message's first 32 bytes. The checksum is the last digest's first eight bytes.
#pragma once

#include "kernel.h"

namespace kernel {

inline constexpr std::size_t kMessageSize = 1024;
inline constexpr std::size_t kDigestSize = 32;

template <class Word>
Word load_little_endian(const std::uint8_t* bytes) {
  Word word = 0;
  for (std::size_t index = 0; index < sizeof(Word); ++index) word |= static_cast<Word>(bytes[index]) << (8 * index);
  return word;
}

inline void store_little_endian(std::uint64_t word, std::uint8_t* bytes) {
  for (std::size_t index = 0; index < sizeof(word); ++index)
    bytes[index] = static_cast<std::uint8_t>(word >> (8 * index));
}

// `digest(message, size, result)` writes kDigestSize bytes to `result`.
template <class Digest>
std::uint64_t chain_digests(std::uint64_t rounds, Digest digest) {
  std::uint8_t message[kMessageSize];
  for (std::size_t index = 0; index < kMessageSize; ++index) message[index] = static_cast<std::uint8_t>(index);
  std::uint8_t result[kDigestSize] = {};
  for (std::uint64_t round = 0; round < rounds; ++round) {
    digest(message, kMessageSize, result);
    for (std::size_t index = 0; index < kDigestSize; ++index) message[index] = result[index];
  }
  return load_little_endian<std::uint64_t>(result);
}

}  // namespace kernel
