// What the floating-point handlers share: canonical results, and the way out where the host cannot round so.
//
// While handlers run, MXCSR holds the guest's rounding mode and collects its flags; both architectures detect tininess after
// rounding, so inexact, underflow, overflow, division by zero and invalid agree. What differs is done in the handlers: NaN
// results are canonical, single precision is NaN-boxed, minimum, maximum and conversions have RISC-V's corner results. What the
// host has not (round to nearest, ties away; static rounding modes) goes to the generic handlers and float_semantics.h.
// Host arithmetic stands in assembly, since a compiler may assume the default environment for anything else.
#pragma once

#include <bit>
#include <cstdint>

#include "interp/handler_select.h"
#include "interp/handler_support.h"
#include "isa/riscv/float_format.h"

namespace caisson::interp {

using riscv::Double;
using riscv::is_nan;
using riscv::Single;

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

// infinity × 0 + quiet NaN is invalid in RISC-V (section 21.6), and silent in x86.
template <class Precision>
[[gnu::always_inline]] inline bool is_infinity_times_zero(typename Precision::Float a, typename Precision::Float b) {
  constexpr auto kInfinity = riscv::kInfinity<Precision>;
  const auto magnitude_a = std::bit_cast<typename Precision::Bits>(a) & ~Precision::kSign;
  const auto magnitude_b = std::bit_cast<typename Precision::Bits>(b) & ~Precision::kSign;
  return (magnitude_a == kInfinity && magnitude_b == 0) || (magnitude_a == 0 && magnitude_b == kInfinity);
}

// Below these no rounding mode leaves the range of unsigned 32-bit integers and of signed 64-bit ones, in either precision:
// 2^32 - 2^9 and 2^63 - 2^40 have 24 bits.
inline constexpr double kLimitOfUnsignedWords = 4294966784.0;
inline constexpr double kLimitOfUnsignedLongs = 9223370937343148032.0;

bool has_fused_multiply_add();

}  // namespace caisson::interp
