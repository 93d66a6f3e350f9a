// The product of 128-bit integers, which WebAssembly has no instruction for and compilers call by this name.
#include <cstdint>

namespace {

// All 128 bits of the product: of halves, so that no such product is needed again.
unsigned __int128 multiply_words(std::uint64_t first, std::uint64_t second) {
  constexpr std::uint64_t kLowHalf = 0xFFFF'FFFF;
  const std::uint64_t first_low = first & kLowHalf, first_high = first >> 32;
  const std::uint64_t second_low = second & kLowHalf, second_high = second >> 32;
  const std::uint64_t low = first_low * second_low;
  const std::uint64_t middle = first_high * second_low + (low >> 32);
  const std::uint64_t other_middle = first_low * second_high + (middle & kLowHalf);
  const std::uint64_t high = first_high * second_high + (middle >> 32) + (other_middle >> 32);
  return (static_cast<unsigned __int128>(high) << 64) | (other_middle << 32) | (low & kLowHalf);
}

}  // namespace

extern "C" __int128 __multi3(__int128 first, __int128 second) {
  const auto first_low = static_cast<std::uint64_t>(first), second_low = static_cast<std::uint64_t>(second);
  const auto first_high = static_cast<std::uint64_t>(first >> 64),
             second_high = static_cast<std::uint64_t>(second >> 64);
  const std::uint64_t crossed = first_low * second_high + first_high * second_low;
  return static_cast<__int128>(multiply_words(first_low, second_low) + (static_cast<unsigned __int128>(crossed) << 64));
}
