// Floating point in integers: IEEE 754 binary32 and binary64 as RISC-V wants it, in all five rounding modes.
//
// The host rounds in four of the five; round to nearest, ties to the larger magnitude (rmm) comes here at run time, and
// the handlers that use host instructions are tested against it. Every operation computes the exact result (or enough
// of it to know on which side of every rounding boundary it lies) and rounds once. NaN results are canonical, tininess
// is detected after rounding, out-of-range conversions give RISC-V's values (unprivileged specification, "F" and "D").
//
//   FloatResult<std::uint64_t> sum = soft_float::add(a, b, RoundingMode::kNearestMaxMagnitude);  // bits of doubles
//   hart.fflags |= sum.flags;
//
// Operands are bit patterns: std::uint32_t for binary32 (not NaN-boxed), std::uint64_t for binary64. The mode is never
// kDynamic. Pure functions; thread-safe.
#pragma once

#include <cstdint>

#include "isa/riscv/hart_state.h"

namespace caisson::riscv {

// A result and the FloatFlag bits that the operation raises.
template <class Value>
struct FloatResult {
  Value value = 0;
  std::uint32_t flags = 0;
};

namespace soft_float {

// Bits is std::uint32_t or std::uint64_t, here and below.
template <class Bits>
FloatResult<Bits> add(Bits left, Bits right, RoundingMode mode);
template <class Bits>
FloatResult<Bits> subtract(Bits left, Bits right, RoundingMode mode);
template <class Bits>
FloatResult<Bits> multiply(Bits left, Bits right, RoundingMode mode);
template <class Bits>
FloatResult<Bits> divide(Bits dividend, Bits divisor, RoundingMode mode);
template <class Bits>
FloatResult<Bits> square_root(Bits radicand, RoundingMode mode);

// left * right + addend, rounded once. The other three fused instructions are this one with signs of operands inverted.
template <class Bits>
FloatResult<Bits> multiply_add(Bits left, Bits right, Bits addend, RoundingMode mode);

// binary64 to binary32, and back, which is exact.
FloatResult<std::uint32_t> narrow(std::uint64_t value, RoundingMode mode);
FloatResult<std::uint64_t> widen(std::uint32_t value);

// From any integer: fcvt.*.w and .l by the first, .wu and .lu by the second.
template <class Bits>
FloatResult<Bits> from_signed(std::int64_t value, RoundingMode mode);
template <class Bits>
FloatResult<Bits> from_unsigned(std::uint64_t value, RoundingMode mode);

// To std::int32_t, std::uint32_t, std::int64_t or std::uint64_t. Values out of range become the nearest that fits, NaN
// the greatest, with kInvalid and no other flag.
template <class Integer, class Bits>
FloatResult<Integer> to_integer(Bits value, RoundingMode mode);

}  // namespace soft_float
}  // namespace caisson::riscv
