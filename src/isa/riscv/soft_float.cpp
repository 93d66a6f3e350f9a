#include "isa/riscv/soft_float.h"

#include <bit>
#include <limits>
#include <utility>

namespace caisson::riscv::soft_float {
namespace {

__extension__ using Wide = unsigned __int128;

template <class Bits>
struct Format;

template <>
struct Format<std::uint32_t> {
  static constexpr int kPrecision = 24;  // bits of a significand, the hidden one included
  static constexpr int kBias = 127;
};

template <>
struct Format<std::uint64_t> {
  static constexpr int kPrecision = 53;
  static constexpr int kBias = 1023;
};

template <class Bits>
constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);

template <class Bits>
constexpr Bits kHidden = Bits{1} << (Format<Bits>::kPrecision - 1);

template <class Bits>
constexpr Bits kInfinity = kSign<Bits> - kHidden<Bits>;

template <class Bits>
constexpr Bits kQuiet = kHidden<Bits> >> 1;

template <class Bits>
constexpr Bits kCanonicalNan = kInfinity<Bits> | kQuiet<Bits>;

template <class Bits>
constexpr bool is_negative(Bits value) {
  return (value & kSign<Bits>) != 0;
}

template <class Bits>
constexpr Bits magnitude(Bits value) {
  return value & ~kSign<Bits>;
}

template <class Bits>
constexpr bool is_nan(Bits value) {
  return magnitude(value) > kInfinity<Bits>;
}

template <class Bits>
constexpr bool is_signalling(Bits value) {
  return is_nan(value) && (value & kQuiet<Bits>) == 0;
}

template <class Bits>
constexpr bool is_infinite(Bits value) {
  return magnitude(value) == kInfinity<Bits>;
}

template <class Bits>
constexpr bool is_zero(Bits value) {
  return magnitude(value) == 0;
}

template <class Bits>
constexpr Bits with_sign(Bits unsigned_value, bool negative) {
  return negative ? unsigned_value | kSign<Bits> : unsigned_value;
}

template <class Bits>
constexpr FloatResult<Bits> invalid() {
  return {kCanonicalNan<Bits>, kInvalid};
}

// The result of an operation that has a NaN among its operands.
template <class Bits, class... Operands>
constexpr FloatResult<Bits> nan_of(Operands... operands) {
  return {kCanonicalNan<Bits>, (is_signalling(operands) || ...) ? kInvalid : 0u};
}

// --- finite values, exactly ---

// (negative ? -1 : 1) * significand * 2^exponent.
struct Exact {
  bool negative = false;
  int exponent = 0;
  Wide significand = 0;
};

constexpr int highest_bit(Wide value) {
  const auto high = static_cast<std::uint64_t>(value >> 64);
  return high != 0 ? 127 - std::countl_zero(high) : 63 - std::countl_zero(static_cast<std::uint64_t>(value));
}

// Of a finite value.
template <class Bits>
constexpr Exact unpack(Bits value) {
  const int exponent_field = static_cast<int>(magnitude(value) >> (Format<Bits>::kPrecision - 1));
  const Bits fraction = value & (kHidden<Bits> - 1);
  constexpr int kLeast = 2 - Format<Bits>::kBias - Format<Bits>::kPrecision;  // exponent of the least subnormal
  if (exponent_field == 0) return {is_negative(value), kLeast, fraction};
  return {is_negative(value), kLeast + exponent_field - 1, fraction | kHidden<Bits>};
}

// The same value with its highest bit at `position`, which is not below where it is; significand != 0.
constexpr Exact aligned(Exact value, int position) {
  const int shift = position - highest_bit(value.significand);
  return {value.negative, value.exponent - shift, value.significand << shift};
}

// Right shift that keeps a 1 in the lowest bit for anything lost: on which side of a boundary a value lies is not
// changed by it as long as the boundary is a multiple of 4.
constexpr Wide shift_right_sticky(Wide value, int shift) {
  if (shift > 127) return value != 0;
  const Wide lost = value & ((Wide{1} << shift) - 1);
  return value >> shift | (lost != 0);
}

// --- rounding ---

struct Rounding {
  Wide kept = 0;
  bool inexact = false;
};

// Drops the lowest `shift` bits. significand < 2^127.
constexpr Rounding round_off(Wide significand, int shift, bool negative, RoundingMode mode) {
  if (shift <= 0) return {significand << -shift, false};
  const bool all_goes = shift > 127;  // and is less than half of the last place kept
  const Wide kept = all_goes ? 0 : significand >> shift;
  const Wide lost = all_goes ? 1 : significand - (kept << shift);
  const Wide half = all_goes ? 2 : Wide{1} << (shift - 1);
  if (lost == 0) return {kept, false};
  bool up = false;
  switch (mode) {
    case RoundingMode::kNearestEven:
      up = lost > half || (lost == half && (kept & 1) != 0);
      break;
    case RoundingMode::kNearestMaxMagnitude:
      up = lost >= half;
      break;
    case RoundingMode::kDown:
      up = negative;
      break;
    case RoundingMode::kUp:
      up = !negative;
      break;
    case RoundingMode::kTowardZero:
    case RoundingMode::kDynamic:
      break;
  }
  return {kept + up, true};
}

template <class Bits>
constexpr FloatResult<Bits> overflow(bool negative, RoundingMode mode) {
  const bool stays_finite =
      mode == RoundingMode::kTowardZero || mode == (negative ? RoundingMode::kUp : RoundingMode::kDown);
  return {with_sign<Bits>(kInfinity<Bits> - stays_finite, negative), kOverflow | kInexact};
}

// The floating-point value next to `exact` as `mode` wants it; significand != 0 and < 2^127, possibly sticky.
template <class Bits>
constexpr FloatResult<Bits> round(const Exact& exact, RoundingMode mode) {
  constexpr int kPrecision = Format<Bits>::kPrecision, kLeastNormal = 1 - Format<Bits>::kBias;
  const int exponent = exact.exponent + highest_bit(exact.significand);  // of the leading bit
  const int normal_shift = exponent - kPrecision + 1 - exact.exponent;
  const bool below_normal = exponent < kLeastNormal;
  const int shift = below_normal ? normal_shift + (kLeastNormal - exponent) : normal_shift;
  const Rounding rounding = round_off(exact.significand, shift, exact.negative, mode);

  // A carry out of the significand moves into the exponent field, from subnormal to normal and from normal to infinity.
  const int exponent_field = below_normal ? 0 : exponent - kLeastNormal;
  if (exponent_field > 2 * Format<Bits>::kBias - 1) return overflow<Bits>(exact.negative, mode);
  const Bits value = static_cast<Bits>((Bits(exponent_field) << (kPrecision - 1)) + static_cast<Bits>(rounding.kept));
  if (value >= kInfinity<Bits>) return overflow<Bits>(exact.negative, mode);

  std::uint32_t flags = rounding.inexact ? kInexact : 0u;
  if (rounding.inexact && below_normal) {
    // Tiny unless rounding with an unbounded exponent would have reached the least normal value.
    const Wide unbounded = round_off(exact.significand, normal_shift, exact.negative, mode).kept;
    const bool reaches_normal = exponent == kLeastNormal - 1 && unbounded == Wide{1} << kPrecision;
    if (!reaches_normal) flags |= kUnderflow;
  }
  return {with_sign<Bits>(value, exact.negative), flags};
}

// --- sums ---

// Where operands of a sum have their highest bit: one bit below the 127th for the carry. A product of binary64 has 106
// bits, so at least 19 lower ones are 0.
constexpr int kSumPosition = 125;

// left + right, both not 0; a sticky significand where bits had to go, and then the result keeps 124 bits.
constexpr Exact sum(Exact left, Exact right) {
  left = aligned(left, kSumPosition);
  right = aligned(right, kSumPosition);
  if (left.exponent < right.exponent || (left.exponent == right.exponent && left.significand < right.significand)) {
    std::swap(left, right);
  }
  const Wide smaller = shift_right_sticky(right.significand, left.exponent - right.exponent);
  left.significand = left.negative == right.negative ? left.significand + smaller : left.significand - smaller;
  return left;
}

// The sum of two values of which either may be 0.
template <class Bits>
constexpr FloatResult<Bits> rounded_sum(const Exact& left, const Exact& right, RoundingMode mode) {
  if (left.significand != 0 && right.significand != 0) {
    const Exact exact = sum(left, right);
    if (exact.significand != 0) return round<Bits>(exact, mode);
  } else if (left.significand != 0 || right.significand != 0) {
    return round<Bits>(left.significand != 0 ? left : right, mode);
  } else if (left.negative == right.negative) {
    return {with_sign<Bits>(0, left.negative), 0};
  }
  // IEEE 754, 6.3: an exact zero from opposite signs is +0, but -0 when rounding down.
  return {with_sign<Bits>(0, mode == RoundingMode::kDown), 0};
}

// floor(sqrt(value)), bit by bit.
constexpr std::uint64_t integer_square_root(Wide value) {
  std::uint64_t root = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 63; bit != 0; bit >>= 1) {
    const std::uint64_t trial = root | bit;
    if (Wide{trial} * trial <= value) root = trial;
  }
  return root;
}

// A finite value in another format or from an integer.
template <class Bits>
constexpr FloatResult<Bits> round_or_zero(const Exact& exact, RoundingMode mode) {
  if (exact.significand == 0) return {with_sign<Bits>(0, exact.negative), 0};
  return round<Bits>(exact, mode);
}

template <class To, class From>
constexpr FloatResult<To> convert(From value, RoundingMode mode) {
  if (is_nan(value)) return nan_of<To>(value);
  if (is_infinite(value)) return {with_sign<To>(kInfinity<To>, is_negative(value)), 0};
  return round_or_zero<To>(unpack(value), mode);
}

}  // namespace

template <class Bits>
FloatResult<Bits> add(Bits left, Bits right, RoundingMode mode) {
  if (is_nan(left) || is_nan(right)) return nan_of<Bits>(left, right);
  if (is_infinite(left)) return is_infinite(right) && left != right ? invalid<Bits>() : FloatResult<Bits>{left, 0};
  if (is_infinite(right)) return {right, 0};
  return rounded_sum<Bits>(unpack(left), unpack(right), mode);
}

template <class Bits>
FloatResult<Bits> subtract(Bits left, Bits right, RoundingMode mode) {
  return add<Bits>(left, right ^ kSign<Bits>, mode);
}

template <class Bits>
FloatResult<Bits> multiply(Bits left, Bits right, RoundingMode mode) {
  if (is_nan(left) || is_nan(right)) return nan_of<Bits>(left, right);
  const bool negative = is_negative(left) != is_negative(right);
  if (is_infinite(left) || is_infinite(right)) {
    if (is_zero(left) || is_zero(right)) return invalid<Bits>();
    return {with_sign<Bits>(kInfinity<Bits>, negative), 0};
  }
  const Exact a = unpack(left), b = unpack(right);
  return round_or_zero<Bits>({negative, a.exponent + b.exponent, a.significand * b.significand}, mode);
}

template <class Bits>
FloatResult<Bits> divide(Bits dividend, Bits divisor, RoundingMode mode) {
  if (is_nan(dividend) || is_nan(divisor)) return nan_of<Bits>(dividend, divisor);
  const bool negative = is_negative(dividend) != is_negative(divisor);
  if (is_infinite(dividend)) {
    return is_infinite(divisor) ? invalid<Bits>() : FloatResult<Bits>{with_sign<Bits>(kInfinity<Bits>, negative), 0};
  }
  if (is_infinite(divisor)) return {with_sign<Bits>(0, negative), 0};
  if (is_zero(divisor)) {
    return is_zero(dividend) ? invalid<Bits>()
                             : FloatResult<Bits>{with_sign<Bits>(kInfinity<Bits>, negative), kDivideByZero};
  }
  if (is_zero(dividend)) return {with_sign<Bits>(0, negative), 0};
  // 126 bits by at most 53 leave a quotient of at least 73, of which the lowest is sticky.
  const Exact a = aligned(unpack(dividend), 126), b = unpack(divisor);
  const Wide quotient = a.significand / b.significand;
  const bool leaves_remainder = quotient * b.significand != a.significand;
  return round<Bits>({negative, a.exponent - b.exponent, quotient | leaves_remainder}, mode);
}

template <class Bits>
FloatResult<Bits> square_root(Bits radicand, RoundingMode mode) {
  if (is_nan(radicand)) return nan_of<Bits>(radicand);
  if (is_zero(radicand)) return {radicand, 0};
  if (is_negative(radicand)) return invalid<Bits>();
  if (is_infinite(radicand)) return {radicand, 0};
  // A root of 63 bits and a sticky one; the exponent must be even to be halved.
  Exact exact = aligned(unpack(radicand), 125);
  if (exact.exponent % 2 != 0) {
    exact.significand <<= 1;
    exact.exponent -= 1;
  }
  const std::uint64_t root = integer_square_root(exact.significand);
  const bool leaves_remainder = Wide{root} * root != exact.significand;
  return round<Bits>({false, exact.exponent / 2, root | leaves_remainder}, mode);
}

template <class Bits>
FloatResult<Bits> multiply_add(Bits left, Bits right, Bits addend, RoundingMode mode) {
  // "F", fused multiply-add: infinity times zero is invalid even where the addend is a quiet NaN.
  const bool no_product = (is_infinite(left) && is_zero(right)) || (is_zero(left) && is_infinite(right));
  if (no_product) return invalid<Bits>();
  if (is_nan(left) || is_nan(right) || is_nan(addend)) return nan_of<Bits>(left, right, addend);
  const bool negative = is_negative(left) != is_negative(right);
  if (is_infinite(left) || is_infinite(right)) {
    if (is_infinite(addend) && is_negative(addend) != negative) return invalid<Bits>();
    return {with_sign<Bits>(kInfinity<Bits>, negative), 0};
  }
  if (is_infinite(addend)) return {addend, 0};
  const Exact a = unpack(left), b = unpack(right);
  const Exact product = {negative, a.exponent + b.exponent, a.significand * b.significand};
  return rounded_sum<Bits>(product, unpack(addend), mode);
}

FloatResult<std::uint32_t> narrow(std::uint64_t value, RoundingMode mode) {
  return convert<std::uint32_t>(value, mode);
}

FloatResult<std::uint64_t> widen(std::uint32_t value) {
  return convert<std::uint64_t>(value, RoundingMode::kNearestEven);
}

template <class Bits>
FloatResult<Bits> from_signed(std::int64_t value, RoundingMode mode) {
  const auto bits = static_cast<std::uint64_t>(value);
  return round_or_zero<Bits>({value < 0, 0, value < 0 ? 0 - bits : bits}, mode);
}

template <class Bits>
FloatResult<Bits> from_unsigned(std::uint64_t value, RoundingMode mode) {
  return round_or_zero<Bits>({false, 0, value}, mode);
}

template <class Integer, class Bits>
FloatResult<Integer> to_integer(Bits value, RoundingMode mode) {
  using Limits = std::numeric_limits<Integer>;
  const FloatResult<Integer> too_great = {Limits::max(), kInvalid}, too_small = {Limits::min(), kInvalid};
  if (is_nan(value)) return too_great;
  const bool negative = is_negative(value);
  const FloatResult<Integer> out_of_range = negative ? too_small : too_great;
  if (is_infinite(value)) return out_of_range;
  const Exact exact = unpack(value);
  if (exact.significand == 0) return {0, 0};
  if (exact.exponent + highest_bit(exact.significand) > 64) return out_of_range;
  const Rounding rounding = round_off(exact.significand, -exact.exponent, negative, mode);
  // How far the magnitude may go: of the least value, which is 0 for unsigned types, or the greatest.
  const Wide bound = negative ? Wide{0} - static_cast<Wide>(Limits::min()) : static_cast<Wide>(Limits::max());
  if (rounding.kept > bound) return out_of_range;
  const Wide integer = negative ? Wide{0} - rounding.kept : rounding.kept;
  return {static_cast<Integer>(integer), rounding.inexact ? kInexact : 0u};
}

#define CAISSON_INSTANTIATE(Bits)                                                    \
  template FloatResult<Bits> add(Bits, Bits, RoundingMode);                          \
  template FloatResult<Bits> subtract(Bits, Bits, RoundingMode);                     \
  template FloatResult<Bits> multiply(Bits, Bits, RoundingMode);                     \
  template FloatResult<Bits> divide(Bits, Bits, RoundingMode);                       \
  template FloatResult<Bits> square_root(Bits, RoundingMode);                        \
  template FloatResult<Bits> multiply_add(Bits, Bits, Bits, RoundingMode);           \
  template FloatResult<Bits> from_signed(std::int64_t, RoundingMode);                \
  template FloatResult<Bits> from_unsigned(std::uint64_t, RoundingMode);             \
  template FloatResult<std::int32_t> to_integer<std::int32_t>(Bits, RoundingMode);   \
  template FloatResult<std::uint32_t> to_integer<std::uint32_t>(Bits, RoundingMode); \
  template FloatResult<std::int64_t> to_integer<std::int64_t>(Bits, RoundingMode);   \
  template FloatResult<std::uint64_t> to_integer<std::uint64_t>(Bits, RoundingMode);

CAISSON_INSTANTIATE(std::uint32_t)
CAISSON_INSTANTIATE(std::uint64_t)

#undef CAISSON_INSTANTIATE

}  // namespace caisson::riscv::soft_float
