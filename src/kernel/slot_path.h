// Where a slot is, as guests say it: a number of the root CNode, or up to six numbers that lead through CNodes.
//
//   bits 56…63   how many numbers (2…6), or 0: then the whole word is one number below 256
//   byte i       the i-th number, the first in the lowest byte; the bytes behind the last are zero
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace caisson::kernel {

struct SlotPath {
  static constexpr unsigned kMostNumbers = 6;
  std::array<std::uint8_t, kMostNumbers> numbers{};
  unsigned count = 0;  // at least 1

  std::uint8_t last() const { return numbers[count - 1]; }
};

// Of a word; nullopt where it is no path.
constexpr std::optional<SlotPath> parse_slot_path(std::uint64_t word) {
  if (word < 256) return SlotPath{.numbers = {static_cast<std::uint8_t>(word)}, .count = 1};
  const auto count = static_cast<unsigned>(word >> 56);
  if (count < 2 || count > SlotPath::kMostNumbers) return std::nullopt;
  if (((word & 0x00FF'FFFF'FFFF'FFFF) >> (8 * count)) != 0) return std::nullopt;
  SlotPath path{.count = count};
  for (unsigned i = 0; i < count; ++i) path.numbers[i] = static_cast<std::uint8_t>(word >> (8 * i));
  return path;
}

}  // namespace caisson::kernel
