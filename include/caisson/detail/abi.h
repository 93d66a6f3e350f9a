// How C values travel in RISC-V registers (psABI, "Integer calling convention" and "Hardware floating-point calling
// convention"): what typed calls in both directions share. Not for use by itself; see caisson/host.h and caisson/instance.h.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>

namespace caisson::detail {

template <class T>
concept IntegerValue = std::integral<T> && sizeof(T) <= 8;

template <class T>
concept FloatValue = std::same_as<T, float> || std::same_as<T, double>;

// The upper half of a register that holds a float (unprivileged specification, "NaN boxing of narrower values").
inline constexpr std::uint64_t kNanBox = 0xFFFF'FFFF'0000'0000;
inline constexpr std::uint32_t kCanonicalNan = 0x7FC0'0000;

// A narrow integer is widened to 32 bits by its own sign and from there sign-extended, unsigned ones as well.
template <IntegerValue T>
constexpr std::uint64_t to_register(T value) {
  if constexpr (sizeof(T) == 8) {
    return static_cast<std::uint64_t>(value);
  } else if constexpr (std::same_as<T, char>) {
    return static_cast<unsigned char>(value);  // plain char is unsigned on RISC-V
  } else {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(value)));
  }
}

// Guests need not be compiled by a compiler: only the bits that the type has count, the others are ignored.
template <IntegerValue T>
constexpr T from_register(std::uint64_t value) {
  if constexpr (std::same_as<T, bool>) {
    return static_cast<std::uint8_t>(value) != 0;
  } else {
    return static_cast<T>(value);
  }
}

template <FloatValue T>
constexpr std::uint64_t to_float_register(T value) {
  if constexpr (std::same_as<T, float>) {
    return kNanBox | std::bit_cast<std::uint32_t>(value);
  } else {
    return std::bit_cast<std::uint64_t>(value);
  }
}

// A float that is not NaN-boxed reads as the canonical NaN, as an instruction would read it.
template <FloatValue T>
constexpr T from_float_register(std::uint64_t value) {
  if constexpr (std::same_as<T, float>) {
    const bool boxed = (value & kNanBox) == kNanBox;
    return std::bit_cast<float>(boxed ? static_cast<std::uint32_t>(value) : kCanonicalNan);
  } else {
    return std::bit_cast<double>(value);
  }
}

}  // namespace caisson::detail
