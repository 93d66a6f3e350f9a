// Random bytes for a guest: getrandom, /dev/urandom, AT_RANDOM.
//
// Seeded (--deterministic): SHA-256 of the seed and a counter, block after block, so that two runs draw the same bytes in the
// same order. Otherwise the host kernel's getrandom().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/hash.h"

namespace caisson::linux_personality {

class RandomSource {
 public:
  // nullopt: the host's randomness.
  explicit RandomSource(std::optional<std::uint64_t> seed) : seed_(seed) {}

  // Fills all of `bytes`; false where the host has none to give (then nothing may be used).
  bool fill(std::span<std::uint8_t> bytes);

  // How far a seeded source has come.
  struct Position {
    std::uint64_t seed = 0;
    std::uint64_t next_block = 0;  // of the blocks that were begun, one past the last
    std::uint32_t block_left = 0;  // bytes of the last one that nobody got yet
  };
  // nullopt: the host's randomness, which has none.
  std::optional<Position> position() const;
  // Goes on from there. False where no source comes to such a position.
  bool set_position(const Position& position);

 private:
  base::Sha256 block(std::uint64_t number) const;
  void fill_from_seed(std::span<std::uint8_t> bytes);

  std::optional<std::uint64_t> seed_;
  std::uint64_t next_block_ = 0;  // number of the block behind block_
  base::Sha256 block_{};
  std::size_t block_left_ = 0;  // bytes at the end of block_ that nobody got yet
};

}  // namespace caisson::linux_personality
