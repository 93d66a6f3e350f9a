// How single and double precision lie in floating-point registers, and what their bits say.
//
//   if (is_nan<Single>(Single::bits(hart.f[10]))) ...
//
// Pure functions.
#pragma once

#include <bit>
#include <cstdint>

namespace caisson::riscv {

inline constexpr std::uint64_t kCanonicalDouble = 0x7FF8000000000000;
inline constexpr std::uint32_t kCanonicalSingle = 0x7FC00000;
inline constexpr std::uint64_t kBox = 0xFFFFFFFF00000000;

// The two precisions. A single that is not boxed reads as the canonical NaN (section 21.2 of the manual).
struct Double {
  using Float = double;
  using Bits = std::uint64_t;
  static constexpr Bits kSign = Bits{1} << 63;
  static constexpr Bits kQuiet = Bits{1} << 51;
  static constexpr Bits bits(std::uint64_t reg) { return reg; }
  static constexpr Float read(std::uint64_t reg) { return std::bit_cast<Float>(reg); }
  static constexpr std::uint64_t box(Bits bits) { return bits; }
  static constexpr Bits kCanonical = kCanonicalDouble;
};
struct Single {
  using Float = float;
  using Bits = std::uint32_t;
  static constexpr Bits kSign = Bits{1} << 31;
  static constexpr Bits kQuiet = Bits{1} << 22;
  static constexpr Bits bits(std::uint64_t reg) { return reg >= kBox ? static_cast<Bits>(reg) : kCanonicalSingle; }
  static constexpr Float read(std::uint64_t reg) { return std::bit_cast<Float>(bits(reg)); }
  static constexpr std::uint64_t box(Bits bits) { return kBox | bits; }
  static constexpr Bits kCanonical = kCanonicalSingle;
};

template <class Precision>
inline constexpr auto kInfinity = static_cast<typename Precision::Bits>(Precision::kCanonical & ~Precision::kQuiet);

template <class Precision>
constexpr bool is_nan(typename Precision::Bits bits) {
  return (bits & ~Precision::kSign) > kInfinity<Precision>;
}

// Such an operand makes every operation but moves and sign injection invalid.
template <class Precision>
constexpr bool is_signalling_nan(typename Precision::Bits bits) {
  return is_nan<Precision>(bits) && (bits & Precision::kQuiet) == 0;
}

// What fclass answers: one bit of ten (table 21.1).
template <class Precision>
constexpr std::uint64_t classify(typename Precision::Bits bits) {
  const auto magnitude = static_cast<typename Precision::Bits>(bits & ~Precision::kSign);
  if (magnitude > kInfinity<Precision>) return (bits & Precision::kQuiet) != 0 ? 1 << 9 : 1 << 8;
  const bool negative = (bits & Precision::kSign) != 0;
  if (magnitude == kInfinity<Precision>) return negative ? 1 << 0 : 1 << 7;
  if (magnitude == 0) return negative ? 1 << 3 : 1 << 4;
  constexpr auto kSmallestNormal = Precision::kQuiet << 1;
  if (magnitude < kSmallestNormal) return negative ? 1 << 2 : 1 << 5;
  return negative ? 1 << 1 : 1 << 6;
}

}  // namespace caisson::riscv
