// The field of integers modulo 2^64 - 2^32 + 1.
#pragma once

#include <cstdint>

namespace kernel {

inline constexpr std::uint64_t kGoldilocks = 0xFFFFFFFF00000001;

// Both below the modulus, as are all results.
inline std::uint64_t add(std::uint64_t left, std::uint64_t right) {
  const std::uint64_t distance = kGoldilocks - right;
  return left >= distance ? left - distance : left + right;
}

// 2^64 is 2^32 - 1 and 2^96 is -1 modulo the prime, so the product's upper half folds into its lower one.
inline std::uint64_t multiply(std::uint64_t left, std::uint64_t right) {
  const unsigned __int128 product = static_cast<unsigned __int128>(left) * right;
  const auto low = static_cast<std::uint64_t>(product), high = static_cast<std::uint64_t>(product >> 64);
  const std::uint64_t top = high >> 32, middle = high & 0xFFFFFFFF;
  std::uint64_t result = low - top;
  if (low < top) result -= 0xFFFFFFFF;
  const std::uint64_t folded = middle * 0xFFFFFFFF;
  result += folded;
  if (result < folded) result += 0xFFFFFFFF;
  return result >= kGoldilocks ? result - kGoldilocks : result;
}

}  // namespace kernel
