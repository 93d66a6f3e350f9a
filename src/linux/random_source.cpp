#include "linux/random_source.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace caisson::linux_personality {

base::Sha256 RandomSource::block(std::uint64_t number) const {
  const std::array<std::uint64_t, 2> input = {*seed_, number};
  std::array<std::uint8_t, sizeof input> input_bytes;
  std::memcpy(input_bytes.data(), input.data(), sizeof input);
  return base::sha256(input_bytes);
}

void RandomSource::fill_from_seed(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (block_left_ == 0) {
      block_ = block(next_block_++);
      block_left_ = block_.size();
    }
    const std::size_t count = std::min(bytes.size(), block_left_);
    std::memcpy(bytes.data(), block_.data() + (block_.size() - block_left_), count);
    block_left_ -= count;
    bytes = bytes.subspan(count);
  }
}

std::optional<RandomSource::Position> RandomSource::position() const {
  if (!seed_) return std::nullopt;
  return Position{*seed_, next_block_, static_cast<std::uint32_t>(block_left_)};
}

bool RandomSource::set_position(const Position& position) {
  if (position.block_left >= block_.size() || (position.block_left > 0 && position.next_block == 0)) return false;
  seed_ = position.seed;
  next_block_ = position.next_block;
  block_left_ = position.block_left;
  if (block_left_ > 0) block_ = block(next_block_ - 1);
  return true;
}

bool RandomSource::fill(std::span<std::uint8_t> bytes) {
  if (seed_) {
    fill_from_seed(bytes);
    return true;
  }
  while (!bytes.empty()) {
    const ssize_t count = getrandom(bytes.data(), bytes.size(), 0);
    if (count < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace caisson::linux_personality
