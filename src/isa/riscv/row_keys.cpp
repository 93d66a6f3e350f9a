// Compiled for AVX2, and called only where the host has it: nothing here may be an inline function that other files have as well.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "isa/riscv/row_finder.h"

namespace caisson::riscv {

void make_row_keys(const std::uint16_t* half_words, std::size_t count, RowKey* keys) {
  using Vector [[gnu::vector_size(32)]] = std::uint16_t;
  constexpr std::size_t kLanes = 16;
  std::size_t index = 0;
  for (; index + kLanes <= count; index += kLanes) {
    Vector low, high;
    std::memcpy(&low, half_words + index, sizeof low);
    std::memcpy(&high, half_words + index + 1, sizeof high);
    const Vector made = detail::row_keys_of(low, high, [](Vector value) { return static_cast<Vector>(value == 0); });
    std::memcpy(keys + index, &made, sizeof made);
  }
  for (; index < count; ++index) {
    const auto is_zero = [](std::uint32_t value) { return value == 0 ? ~std::uint32_t{0} : std::uint32_t{0}; };
    const std::uint32_t low = half_words[index], high = half_words[index + 1];
    keys[index] = static_cast<RowKey>(detail::row_keys_of(low, high, is_zero));
  }
}

}  // namespace caisson::riscv
