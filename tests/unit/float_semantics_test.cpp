// Floating-point instructions as functions on a hart, against soft_float.h where results are rounded, and against the host's
// arithmetic where they are not.
#include "isa/riscv/float_semantics.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "isa/riscv/soft_float.h"

namespace caisson::riscv {
namespace {

constexpr std::uint64_t kBoxed = 0xFFFFFFFF00000000;
constexpr std::uint8_t kRd = 5, kRs1 = 6, kRs2 = 7, kRs3 = 8;
constexpr auto kDynamic = static_cast<std::uint8_t>(RoundingMode::kDynamic);
constexpr std::uint64_t kUntouched = 0x5555555555555555;

struct Registers {
  std::array<std::uint64_t, 3> f{};  // rs1, rs2, rs3
  std::uint64_t x = 0;  // rs1
};

struct Outcome {
  std::uint64_t value = 0;  // of rd, whichever file it is in
  std::uint32_t flags = 0;
  bool operator==(const Outcome&) const = default;
};

void set_up(HartState& hart, const Registers& registers) {
  hart.f[kRs1] = registers.f[0];
  hart.f[kRs2] = registers.f[1];
  hart.f[kRs3] = registers.f[2];
  hart.x[kRs1] = registers.x;
  hart.x[kRd] = hart.f[kRd] = kUntouched;
}

Decoded instruction(Op op, std::uint8_t rm) {
  return {.op = op, .row = op, .rd = kRd, .rs1 = kRs1, .rs2 = kRs2, .rs3 = kRs3, .rm = rm};
}

Outcome perform(Op op, const Registers& registers, std::uint8_t rm = 0, std::uint32_t frm = 0) {
  HartState hart;
  set_up(hart, registers);
  hart.frm = frm;
  EXPECT_TRUE(execute_float(hart, instruction(op, rm)));
  const bool float_rd = info(op).has(traits::kFloatRd);
  EXPECT_EQ(float_rd ? hart.x[kRd] : hart.f[kRd], kUntouched) << info(op).mnemonic;
  return {float_rd ? hart.f[kRd] : hart.x[kRd], hart.fflags};
}

template <class Bits>
using FloatOf = std::conditional_t<sizeof(Bits) == 4, float, double>;

template <class Bits>
constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);
template <class Bits>
constexpr Bits kInfinity = std::bit_cast<Bits>(std::numeric_limits<FloatOf<Bits>>::infinity());
template <class Bits>
constexpr Bits kQuiet = Bits{1} << (std::numeric_limits<FloatOf<Bits>>::digits - 2);
template <class Bits>
constexpr Bits kCanonical = kInfinity<Bits> | kQuiet<Bits>;

std::uint64_t box(std::uint32_t bits) { return kBoxed | bits; }
std::uint64_t box(std::uint64_t bits) { return bits; }

template <class Bits>
bool is_signalling(Bits bits) {
  return std::isnan(std::bit_cast<FloatOf<Bits>>(bits)) && (bits & kQuiet<Bits>) == 0;
}

// Both signs of zero, subnormals, normals, infinity and NaNs.
template <class Bits>
std::vector<Bits> corners() {
  using Limits = std::numeric_limits<FloatOf<Bits>>;
  const auto bits = [](FloatOf<Bits> value) { return std::bit_cast<Bits>(value); };
  std::vector<Bits> all;
  for (const Bits magnitude :
       {Bits{0}, Bits{1}, static_cast<Bits>(bits(Limits::min()) - 1), bits(Limits::min()), bits(1), bits(1.5f),
        bits(2.5f), bits(3.7f), bits(2147483648.0f), bits(1e19f), bits(Limits::max()), kInfinity<Bits>,
        static_cast<Bits>(kInfinity<Bits> | 1), kCanonical<Bits>, static_cast<Bits>(kCanonical<Bits> | 5)}) {
    all.insert(all.end(), {magnitude, static_cast<Bits>(magnitude | kSign<Bits>)});
  }
  return all;
}

// Calls check(rm, frm, mode) for every rounding mode, static and dynamic.
template <class Check>
void for_each_mode(const Check& check) {
  for (std::uint8_t mode = 0; mode <= 4; ++mode) {
    check(mode, std::uint32_t{(mode + 1u) % 5}, static_cast<RoundingMode>(mode));
    check(mode, std::uint32_t{6}, static_cast<RoundingMode>(mode));  // static: frm does not matter
    check(kDynamic, std::uint32_t{mode}, static_cast<RoundingMode>(mode));
  }
}

template <class Bits>
class Precision : public testing::Test {
 protected:
  static constexpr bool kIsSingle = sizeof(Bits) == 4;
  static Op op(Op single, Op wide) { return kIsSingle ? single : wide; }
};
using Precisions = testing::Types<std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(Precision, Precisions);

TYPED_TEST(Precision, Arithmetic) {
  using Bits = TypeParam;
  using Function = FloatResult<Bits> (*)(Bits, Bits, RoundingMode);
  const struct {
    Op op;
    Function expected;
  } rows[] = {{this->op(Op::kFaddS, Op::kFaddD), soft_float::add<Bits>},
              {this->op(Op::kFsubS, Op::kFsubD), soft_float::subtract<Bits>},
              {this->op(Op::kFmulS, Op::kFmulD), soft_float::multiply<Bits>},
              {this->op(Op::kFdivS, Op::kFdivD), soft_float::divide<Bits>}};
  const Op root = this->op(Op::kFsqrtS, Op::kFsqrtD);
  for (const Bits a : corners<Bits>()) {
    for_each_mode([&](std::uint8_t rm, std::uint32_t frm, RoundingMode mode) {
      const auto expected_root = soft_float::square_root(a, mode);
      EXPECT_EQ(perform(root, {.f = {box(a), 0, 0}}, rm, frm),
                (Outcome{box(expected_root.value), expected_root.flags}));
      for (const Bits b : corners<Bits>()) {
        for (const auto& row : rows) {
          const auto expected = row.expected(a, b, mode);
          ASSERT_EQ(perform(row.op, {.f = {box(a), box(b), 0}}, rm, frm),
                    (Outcome{box(expected.value), expected.flags}))
              << info(row.op).mnemonic << std::hex << " 0x" << a << " 0x" << b << " rm " << unsigned{rm};
        }
      }
    });
  }
}

TYPED_TEST(Precision, Fused) {
  using Bits = TypeParam;
  const struct {
    Op op;
    Bits product_sign, addend_sign;
  } rows[] = {{this->op(Op::kFmaddS, Op::kFmaddD), 0, 0},
              {this->op(Op::kFmsubS, Op::kFmsubD), 0, kSign<Bits>},
              {this->op(Op::kFnmsubS, Op::kFnmsubD), kSign<Bits>, 0},
              {this->op(Op::kFnmaddS, Op::kFnmaddD), kSign<Bits>, kSign<Bits>}};
  for (const Bits a : corners<Bits>()) {
    for (const Bits b : corners<Bits>()) {
      for (const Bits c : corners<Bits>()) {
        for (const auto& row : rows) {
          const auto mode = static_cast<RoundingMode>((a ^ b ^ c) % 5);
          const auto expected = soft_float::multiply_add<Bits>(a ^ row.product_sign, b, c ^ row.addend_sign, mode);
          ASSERT_EQ(perform(row.op, {.f = {box(a), box(b), box(c)}}, kDynamic, static_cast<std::uint32_t>(mode)),
                    (Outcome{box(expected.value), expected.flags}))
              << info(row.op).mnemonic << std::hex << " 0x" << a << " 0x" << b << " 0x" << c;
        }
      }
    }
  }
}

template <class Integer, class Bits>
void expect_conversion_to(Op op) {
  for (const Bits a : corners<Bits>()) {
    for_each_mode([&](std::uint8_t rm, std::uint32_t frm, RoundingMode mode) {
      const auto expected = soft_float::to_integer<Integer>(a, mode);
      const auto extended = static_cast<std::int64_t>(static_cast<std::make_signed_t<Integer>>(expected.value));
      EXPECT_EQ(perform(op, {.f = {box(a), 0, 0}}, rm, frm),
                (Outcome{static_cast<std::uint64_t>(extended), expected.flags}))
          << info(op).mnemonic << std::hex << " 0x" << a;
    });
  }
}

TYPED_TEST(Precision, ToIntegers) {
  expect_conversion_to<std::int32_t, TypeParam>(this->op(Op::kFcvtWS, Op::kFcvtWD));
  expect_conversion_to<std::uint32_t, TypeParam>(this->op(Op::kFcvtWuS, Op::kFcvtWuD));
  expect_conversion_to<std::int64_t, TypeParam>(this->op(Op::kFcvtLS, Op::kFcvtLD));
  expect_conversion_to<std::uint64_t, TypeParam>(this->op(Op::kFcvtLuS, Op::kFcvtLuD));
}

TYPED_TEST(Precision, FromIntegers) {
  using Bits = TypeParam;
  for (const std::uint64_t x :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x7FFFFFFF}, std::uint64_t{0x80000000},
        std::uint64_t{0x123456789}, std::uint64_t{0x7FFFFFFFFFFFFFFF}, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    for_each_mode([&](std::uint8_t rm, std::uint32_t frm, RoundingMode mode) {
      const auto check = [&](Op op, const FloatResult<Bits>& expected) {
        EXPECT_EQ(perform(op, {.x = x}, rm, frm), (Outcome{box(expected.value), expected.flags}))
            << info(op).mnemonic << std::hex << " 0x" << x;
      };
      check(this->op(Op::kFcvtSW, Op::kFcvtDW), soft_float::from_signed<Bits>(static_cast<std::int32_t>(x), mode));
      check(this->op(Op::kFcvtSWu, Op::kFcvtDWu), soft_float::from_unsigned<Bits>(static_cast<std::uint32_t>(x), mode));
      check(this->op(Op::kFcvtSL, Op::kFcvtDL), soft_float::from_signed<Bits>(static_cast<std::int64_t>(x), mode));
      check(this->op(Op::kFcvtSLu, Op::kFcvtDLu), soft_float::from_unsigned<Bits>(x, mode));
    });
  }
}

// The definitions in the manual (section 21.6), by the C library.
template <class Bits>
Outcome expected_extremum(Bits a, Bits b, bool greatest) {
  using Float = FloatOf<Bits>;
  const auto x = std::bit_cast<Float>(a), y = std::bit_cast<Float>(b);
  const std::uint32_t flags = is_signalling(a) || is_signalling(b) ? kInvalid : 0u;
  if (std::isnan(x) && std::isnan(y)) return {box(kCanonical<Bits>), flags};
  if (std::isnan(x)) return {box(b), flags};
  if (std::isnan(y)) return {box(a), flags};
  if (x == y) return {box(std::signbit(x) == greatest ? b : a), flags};
  return {box((x > y) == greatest ? a : b), flags};
}

TYPED_TEST(Precision, MinimumAndMaximum) {
  using Bits = TypeParam;
  for (const Bits a : corners<Bits>()) {
    for (const Bits b : corners<Bits>()) {
      const Registers registers = {.f = {box(a), box(b), 0}};
      EXPECT_EQ(perform(this->op(Op::kFminS, Op::kFminD), registers), expected_extremum(a, b, false))
          << std::hex << a << " " << b;
      EXPECT_EQ(perform(this->op(Op::kFmaxS, Op::kFmaxD), registers), expected_extremum(a, b, true))
          << std::hex << a << " " << b;
    }
  }
}

TYPED_TEST(Precision, Comparisons) {
  using Bits = TypeParam;
  using Float = FloatOf<Bits>;
  for (const Bits a : corners<Bits>()) {
    for (const Bits b : corners<Bits>()) {
      const auto x = std::bit_cast<Float>(a), y = std::bit_cast<Float>(b);
      const Registers registers = {.f = {box(a), box(b), 0}};
      const std::uint32_t quiet = is_signalling(a) || is_signalling(b) ? kInvalid : 0u;
      const std::uint32_t signalling = std::isunordered(x, y) ? kInvalid : 0u;
      EXPECT_EQ(perform(this->op(Op::kFeqS, Op::kFeqD), registers), (Outcome{x == y, quiet})) << x << " " << y;
      EXPECT_EQ(perform(this->op(Op::kFltS, Op::kFltD), registers), (Outcome{std::isless(x, y), signalling}))
          << x << " " << y;
      EXPECT_EQ(perform(this->op(Op::kFleS, Op::kFleD), registers), (Outcome{std::islessequal(x, y), signalling}))
          << x << " " << y;
    }
  }
}

TYPED_TEST(Precision, SignInjection) {
  using Bits = TypeParam;
  for (const Bits a : corners<Bits>()) {
    for (const Bits b : corners<Bits>()) {
      const Registers registers = {.f = {box(a), box(b), 0}};
      const Bits magnitude = a & ~kSign<Bits>;
      const auto with = [&](Bits sign) { return Outcome{box(static_cast<Bits>(magnitude | (sign & kSign<Bits>))), 0}; };
      EXPECT_EQ(perform(this->op(Op::kFsgnjS, Op::kFsgnjD), registers), with(b));
      EXPECT_EQ(perform(this->op(Op::kFsgnjnS, Op::kFsgnjnD), registers), with(~b));
      EXPECT_EQ(perform(this->op(Op::kFsgnjxS, Op::kFsgnjxD), registers), with(a ^ b));
    }
  }
}

TYPED_TEST(Precision, Classes) {
  using Bits = TypeParam;
  using Limits = std::numeric_limits<FloatOf<Bits>>;
  const Op op = this->op(Op::kFclassS, Op::kFclassD);
  const auto class_of = [&](Bits bits) { return perform(op, {.f = {box(bits), 0, 0}}); };
  const Bits kLeastNormal = std::bit_cast<Bits>(Limits::min()), kGreatest = std::bit_cast<Bits>(Limits::max());
  for (const auto& [magnitude, negative, positive] :
       std::initializer_list<std::array<Bits, 3>>{{kInfinity<Bits>, 0, 7},
                                                  {kGreatest, 1, 6},
                                                  {kLeastNormal, 1, 6},
                                                  {kLeastNormal - 1, 2, 5},
                                                  {1, 2, 5},
                                                  {0, 3, 4},
                                                  {kInfinity<Bits> + 1, 8, 8},
                                                  {kQuiet<Bits> - 1 + kInfinity<Bits>, 8, 8},
                                                  {kCanonical<Bits>, 9, 9}}) {
    EXPECT_EQ(class_of(magnitude | kSign<Bits>), (Outcome{std::uint64_t{1} << negative, 0}));
    EXPECT_EQ(class_of(magnitude), (Outcome{std::uint64_t{1} << positive, 0}));
  }
}

// Reserved modes in frm make dynamic rounding illegal, and nothing else.
TEST(FloatSemantics, ReservedRoundingModes) {
  for (std::size_t index = 0; index < kBaseOpCount; ++index) {
    const Op op{static_cast<std::uint16_t>(index)};
    if (float_function(op) == nullptr) continue;
    for (std::uint32_t frm = 5; frm <= 7; ++frm) {
      HartState hart;
      set_up(hart, {.f = {box(std::uint32_t{1}), 1, 1}, .x = 1});
      hart.frm = frm;
      const bool is_rounded = info(op).has(traits::kRoundingMode);
      EXPECT_EQ(execute_float(hart, instruction(op, is_rounded ? kDynamic : 0)), !is_rounded) << info(op).mnemonic;
      if (!is_rounded) continue;
      EXPECT_EQ(hart.f[kRd], kUntouched);
      EXPECT_EQ(hart.x[kRd], kUntouched);
      EXPECT_EQ(hart.fflags, 0u);
    }
  }
}

TEST(FloatSemantics, BetweenPrecisions) {
  for_each_mode([&](std::uint8_t rm, std::uint32_t frm, RoundingMode mode) {
    for (const std::uint64_t a : corners<std::uint64_t>()) {
      const auto expected = soft_float::narrow(a, mode);
      EXPECT_EQ(perform(Op::kFcvtSD, {.f = {a, 0, 0}}, rm, frm), (Outcome{box(expected.value), expected.flags}));
    }
    for (const std::uint32_t a : corners<std::uint32_t>()) {
      const auto expected = soft_float::widen(a);
      EXPECT_EQ(perform(Op::kFcvtDS, {.f = {box(a), 0, 0}}, rm, frm), (Outcome{expected.value, expected.flags}));
    }
  });
}

TEST(FloatSemantics, Moves) {
  constexpr std::uint64_t kBits = 0x12345678'9ABCDEF0;
  EXPECT_EQ(perform(Op::kFmvXW, {.f = {kBits, 0, 0}}), (Outcome{0xFFFFFFFF'9ABCDEF0, 0}));
  EXPECT_EQ(perform(Op::kFmvXW, {.f = {0x7FA00000, 0, 0}}), (Outcome{0x7FA00000, 0}));
  EXPECT_EQ(perform(Op::kFmvWX, {.x = kBits}), (Outcome{0xFFFFFFFF'9ABCDEF0, 0}));
  EXPECT_EQ(perform(Op::kFmvXD, {.f = {kBits, 0, 0}}), (Outcome{kBits, 0}));
  EXPECT_EQ(perform(Op::kFmvDX, {.x = kBits}), (Outcome{kBits, 0}));
}

// A single that is not boxed is the canonical NaN to everything but fmv.x.w.
TEST(FloatSemantics, UnboxedSingles) {
  const std::uint64_t one = std::bit_cast<std::uint32_t>(1.0f), nan = 0x7FC00000;
  for (const std::uint64_t unboxed : {one, one | 0xFFFFFFFE00000000, one | 0x7FFFFFFF00000000}) {
    for (std::size_t index = 0; index < kBaseOpCount; ++index) {
      const Op op{static_cast<std::uint16_t>(index)};
      const bool reads_singles = info(op).mnemonic.ends_with(".s") && info(op).has(traits::kFloatRs1);
      if (float_function(op) == nullptr || !reads_singles) continue;
      const std::uint64_t boxed_one = kBoxed | one, boxed_nan = kBoxed | nan;
      EXPECT_EQ(perform(op, {.f = {unboxed, boxed_one, boxed_one}}),
                perform(op, {.f = {boxed_nan, boxed_one, boxed_one}}))
          << info(op).mnemonic;
      EXPECT_EQ(perform(op, {.f = {boxed_one, unboxed, unboxed}}),
                perform(op, {.f = {boxed_one, boxed_nan, boxed_nan}}))
          << info(op).mnemonic;
    }
  }
}

TEST(FloatSemantics, WritesToX0AreDiscarded) {
  for (std::size_t index = 0; index < kBaseOpCount; ++index) {
    const Op op{static_cast<std::uint16_t>(index)};
    if (float_function(op) == nullptr || info(op).has(traits::kFloatRd)) continue;
    HartState hart;
    hart.f[kRs1] = hart.f[kRs2] = box(std::bit_cast<std::uint32_t>(1.0f));
    Decoded decoded = instruction(op, 0);
    decoded.rd = 0;
    EXPECT_TRUE(execute_float(hart, decoded));
    EXPECT_EQ(hart.x[0], 0u) << info(op).mnemonic;
  }
}

TEST(FloatSemantics, FlagsAccumulate) {
  HartState hart;
  set_up(hart, {.f = {std::bit_cast<std::uint64_t>(1.0), std::bit_cast<std::uint64_t>(3.0), 0}});
  hart.fflags = kDivideByZero;
  EXPECT_TRUE(execute_float(hart, instruction(Op::kFdivD, 0)));
  EXPECT_EQ(hart.fflags, kDivideByZero | kInexact);
  EXPECT_TRUE(execute_float(hart, instruction(Op::kFltD, 0)));
  EXPECT_EQ(hart.fflags, kDivideByZero | kInexact) << "nothing raised, nothing cleared";
}

TEST(FloatSemantics, HostRounding) {
  EXPECT_TRUE(uses_host_rounding(Op::kFaddD, kDynamic));
  EXPECT_FALSE(uses_host_rounding(Op::kFaddD, 0));
  EXPECT_TRUE(uses_host_rounding(Op::kFminD, 0)) << "has no rounding mode";
  EXPECT_TRUE(uses_host_rounding(Op::kFcvtDW, 1)) << "is exact";
}

}  // namespace
}  // namespace caisson::riscv
