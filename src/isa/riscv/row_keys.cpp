// Compiled for AVX2, and called only where the host has it: nothing here may be an inline function that other files have as well.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "isa/riscv/row_finder.h"

namespace caisson::riscv {
namespace {

using HalfWords [[gnu::vector_size(32)]] = std::uint16_t;
constexpr std::size_t kLanes = 16;

HalfWords keys_at(const std::uint16_t* half_words) {
  HalfWords low, high;
  std::memcpy(&low, half_words, sizeof low);
  std::memcpy(&high, half_words + 1, sizeof high);
  return detail::row_keys_of(low, high, [](HalfWords value) { return static_cast<HalfWords>(value == 0); });
}

}  // namespace

void make_row_keys(const std::uint16_t* half_words, std::size_t count, RowKey* keys, std::uint64_t* words) {
  static_assert(kFirstCompressedKey == 1 << 15, "words are told by the sign");
  std::size_t index = 0;
  for (; index + 4 * kLanes <= count; index += 4 * kLanes) {
    std::uint64_t compressed = 0;
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t at = index + half * 2 * kLanes;
      const HalfWords first = keys_at(half_words + at), second = keys_at(half_words + at + kLanes);
      std::memcpy(keys + at, &first, sizeof first);
      std::memcpy(keys + at + kLanes, &second, sizeof second);
      // Packing takes halves of both in turn.
      constexpr int kInOrder = 0b11'01'10'00;
      const __m256i signs = _mm256_permute4x64_epi64(
          _mm256_packs_epi16(reinterpret_cast<const __m256i&>(first), reinterpret_cast<const __m256i&>(second)),
          kInOrder);
      compressed |= std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(signs))} << half * 32;
    }
    words[index / 64] = ~compressed;
  }
  if (index < count) words[index / 64] = 0;
  for (; index < count; ++index) {
    const auto is_zero = [](std::uint32_t value) { return value == 0 ? ~std::uint32_t{0} : std::uint32_t{0}; };
    const std::uint32_t low = half_words[index], high = half_words[index + 1];
    keys[index] = static_cast<RowKey>(detail::row_keys_of(low, high, is_zero));
    if (keys[index] < kFirstCompressedKey) words[index / 64] |= std::uint64_t{1} << index % 64;
  }
}

}  // namespace caisson::riscv
