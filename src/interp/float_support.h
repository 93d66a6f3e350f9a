// What the floating-point handlers share: precisions, canonical NaNs, and the way out where the host cannot round so.
//
// While handlers run, MXCSR holds the guest's rounding mode and collects its flags; both architectures detect tininess after
// rounding, so inexact, underflow, overflow, division by zero and invalid agree. What differs is done in the handlers: NaN
// results are canonical, single precision is NaN-boxed, minimum, maximum and conversions have RISC-V's corner results. What the
// host has not (round to nearest, ties away; static rounding modes) goes to the generic handlers and soft_float.h.
// Host arithmetic stands in assembly, since a compiler may assume the default environment for anything else.
#pragma once

#include <bit>
#include <cstdint>

#include "interp/handler_select.h"
#include "interp/handler_support.h"

namespace caisson::interp {

inline constexpr std::uint64_t kCanonicalDouble = 0x7FF8000000000000;
inline constexpr std::uint32_t kCanonicalSingle = 0x7FC00000;
inline constexpr std::uint64_t kBox = 0xFFFFFFFF00000000;

// How each precision lies in a register. A single that is not boxed reads as the canonical NaN (section 21.2 of the manual).
struct Double {
  using Float = double;
  using Bits = std::uint64_t;
  static constexpr Bits kSign = Bits{1} << 63;
  static constexpr Bits kQuiet = Bits{1} << 51;
  static Bits bits(std::uint64_t reg) { return reg; }
  static Float read(std::uint64_t reg) { return std::bit_cast<Float>(reg); }
  static std::uint64_t box(Bits bits) { return bits; }
  static constexpr Bits kCanonical = kCanonicalDouble;
};
struct Single {
  using Float = float;
  using Bits = std::uint32_t;
  static constexpr Bits kSign = Bits{1} << 31;
  static constexpr Bits kQuiet = Bits{1} << 22;
  static Bits bits(std::uint64_t reg) { return reg >= kBox ? static_cast<Bits>(reg) : kCanonicalSingle; }
  static Float read(std::uint64_t reg) { return std::bit_cast<Float>(bits(reg)); }
  static std::uint64_t box(Bits bits) { return kBox | bits; }
  static constexpr Bits kCanonical = kCanonicalSingle;
};

// A branch and not a selection, which would lengthen every chain of operations.
template <class Float>
[[gnu::always_inline]] inline Float canonical(Float value, Float canonical_nan) {
  if (value != value) [[unlikely]] {
    value = canonical_nan;
    __asm__ volatile("" : "+x"(value));
  }
  return value;
}

template <class Precision>
[[gnu::always_inline]] inline std::uint64_t box_result(typename Precision::Float value) {
  using Bits = typename Precision::Bits;
  return Precision::box(
      std::bit_cast<Bits>(canonical(value, std::bit_cast<typename Precision::Float>(Precision::kCanonical))));
}

template <riscv::Op op>
CAISSON_HANDLER spilling_handler(CAISSON_INTERP_PARAMETERS) {
  [[clang::musttail]] return select_spilling(op)(CAISSON_INTERP_ARGUMENTS);
}

// Rounding modes that MXCSR cannot express (frm 4 … 7) make the generic form of the instruction run.
#define CAISSON_NEEDS_HOST_ROUNDING(op)                                        \
  if (hart->frm > 3) [[unlikely]] {                                            \
    [[clang::musttail]] return spilling_handler<op>(CAISSON_INTERP_ARGUMENTS); \
  }

template <class Precision>
constexpr bool is_nan(typename Precision::Bits bits) {
  constexpr auto kInfinity = static_cast<typename Precision::Bits>(Precision::kCanonical & ~Precision::kQuiet);
  return (bits & ~Precision::kSign) > kInfinity;
}

// infinity × 0 + quiet NaN is invalid in RISC-V (section 21.6), and silent in x86.
template <class Precision>
[[gnu::always_inline]] inline bool is_infinity_times_zero(typename Precision::Float a, typename Precision::Float b) {
  constexpr auto kInfinity = static_cast<typename Precision::Bits>(Precision::kCanonical & ~Precision::kQuiet);
  const auto magnitude_a = std::bit_cast<typename Precision::Bits>(a) & ~Precision::kSign;
  const auto magnitude_b = std::bit_cast<typename Precision::Bits>(b) & ~Precision::kSign;
  return (magnitude_a == kInfinity && magnitude_b == 0) || (magnitude_a == 0 && magnitude_b == kInfinity);
}

// Below these no rounding mode leaves the range of unsigned 32-bit integers and of signed 64-bit ones, in either precision:
// 2^32 - 2^9 and 2^63 - 2^40 have 24 bits.
inline constexpr double kLimitOfUnsignedWords = 4294966784.0;
inline constexpr double kLimitOfUnsignedLongs = 9223370937343148032.0;

bool has_fused_multiply_add();
// Whether the instruction is performed under the rounding mode in MXCSR: it is dynamic, or its result is always exact.
bool uses_host_rounding(riscv::Op op, std::uint8_t rounding_mode);

}  // namespace caisson::interp
