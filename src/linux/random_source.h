// Random bytes for a guest: getrandom, /dev/urandom, AT_RANDOM.
//
// Seeded (--deterministic): the ChaCha20 key stream (OpenSSL) under SHA-256 of the seed, so that two runs draw the same
// bytes in the same order. Otherwise the host kernel's getrandom().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace caisson::linux_personality {

class RandomSource {
 public:
  // nullopt: the host's randomness.
  explicit RandomSource(std::optional<std::uint64_t> seed);
  ~RandomSource();
  RandomSource(RandomSource&&) noexcept;
  RandomSource& operator=(RandomSource&&) noexcept;

  // Fills all of `bytes`; false where the host has none to give (then nothing may be used).
  bool fill(std::span<std::uint8_t> bytes);

 private:
  struct KeyStream;
  std::unique_ptr<KeyStream> key_stream_;
};

}  // namespace caisson::linux_personality
