#include "isa/riscv/float_semantics.h"

#include <type_traits>

#include "isa/riscv/float_format.h"
#include "isa/riscv/soft_float.h"

namespace caisson::riscv {
namespace {

// Writes to x0 are discarded.
std::uint64_t& integer_result(HartState& hart, const FloatOperands& operands) {
  return hart.x[operands.rd == 0 ? kDiscardSlot : operands.rd];
}

template <class Precision>
typename Precision::Bits first(const HartState& hart, const FloatOperands& operands) {
  return Precision::bits(hart.f[operands.rs1]);
}
template <class Precision>
typename Precision::Bits second(const HartState& hart, const FloatOperands& operands) {
  return Precision::bits(hart.f[operands.rs2]);
}

template <class Precision>
void set(HartState& hart, const FloatOperands& operands, FloatResult<typename Precision::Bits> result) {
  hart.f[operands.rd] = Precision::box(result.value);
  hart.fflags |= result.flags;
}

// --- rounded ---

// Performs `compute(mode)` under the instruction's rounding mode.
template <class Compute>
bool rounded(HartState& hart, const FloatOperands& operands, const Compute& compute) {
  std::uint32_t mode = operands.rounding_mode;
  if (mode == static_cast<std::uint32_t>(RoundingMode::kDynamic)) mode = hart.frm;
  if (mode > static_cast<std::uint32_t>(RoundingMode::kNearestMaxMagnitude)) return false;
  compute(static_cast<RoundingMode>(mode));
  return true;
}

template <class Precision, auto operation>
bool binary(HartState& hart, const FloatOperands& operands) {
  return rounded(hart, operands, [&](RoundingMode mode) {
    set<Precision>(hart, operands,
                   operation(first<Precision>(hart, operands), second<Precision>(hart, operands), mode));
  });
}

template <class Precision>
bool square_root(HartState& hart, const FloatOperands& operands) {
  return rounded(hart, operands, [&](RoundingMode mode) {
    set<Precision>(hart, operands, soft_float::square_root(first<Precision>(hart, operands), mode));
  });
}

// ±(rs1 × rs2) ± rs3, by inverting signs of operands: exact, since rounding to a mode happens once, after the sum.
template <class Precision, bool negate_product, bool negate_addend>
bool fused(HartState& hart, const FloatOperands& operands) {
  return rounded(hart, operands, [&](RoundingMode mode) {
    const auto left = first<Precision>(hart, operands) ^ (negate_product ? Precision::kSign : 0);
    const auto addend = Precision::bits(hart.f[operands.rs3]) ^ (negate_addend ? Precision::kSign : 0);
    set<Precision>(hart, operands, soft_float::multiply_add(left, second<Precision>(hart, operands), addend, mode));
  });
}

bool narrow(HartState& hart, const FloatOperands& operands) {
  return rounded(hart, operands, [&](RoundingMode mode) {
    set<Single>(hart, operands, soft_float::narrow(first<Double>(hart, operands), mode));
  });
}

bool widen(HartState& hart, const FloatOperands& operands) {
  return rounded(hart, operands,
                 [&](RoundingMode) { set<Double>(hart, operands, soft_float::widen(first<Single>(hart, operands))); });
}

// 32-bit results are sign-extended, unsigned ones too.
template <class Integer, class Precision>
bool to_integer(HartState& hart, const FloatOperands& operands) {
  return rounded(hart, operands, [&](RoundingMode mode) {
    const auto result = soft_float::to_integer<Integer>(first<Precision>(hart, operands), mode);
    const auto value = static_cast<std::make_signed_t<Integer>>(result.value);
    integer_result(hart, operands) = static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
    hart.fflags |= result.flags;
  });
}

template <class Precision, class Integer>
bool from_integer(HartState& hart, const FloatOperands& operands) {
  return rounded(hart, operands, [&](RoundingMode mode) {
    using Bits = typename Precision::Bits;
    const auto value = static_cast<Integer>(hart.x[operands.rs1]);
    if constexpr (std::is_signed_v<Integer>) {
      set<Precision>(hart, operands, soft_float::from_signed<Bits>(value, mode));
    } else {
      set<Precision>(hart, operands, soft_float::from_unsigned<Bits>(value, mode));
    }
  });
}

// --- not rounded: no mode makes these illegal ---

// Orders all numbers as integers, -0 below +0.
template <class Precision>
typename Precision::Bits rank(typename Precision::Bits bits) {
  return (bits & Precision::kSign) != 0 ? ~bits : bits | Precision::kSign;
}

// -0 is less than +0; one NaN gives the other operand, two the canonical NaN; a signalling one is invalid.
template <class Precision, bool wants_greater>
bool extremum(HartState& hart, const FloatOperands& operands) {
  const auto a = first<Precision>(hart, operands), b = second<Precision>(hart, operands);
  FloatResult<typename Precision::Bits> result;
  if (is_nan<Precision>(a) || is_nan<Precision>(b)) {
    result.value = !is_nan<Precision>(a) ? a : !is_nan<Precision>(b) ? b : Precision::kCanonical;
    if (is_signalling_nan<Precision>(a) || is_signalling_nan<Precision>(b)) result.flags = kInvalid;
  } else {
    const bool first_is_greater = rank<Precision>(a) > rank<Precision>(b);
    result.value = first_is_greater == wants_greater ? a : b;
  }
  set<Precision>(hart, operands, result);
  return true;
}

enum class Comparison : std::uint8_t { kEqual, kLess, kLessOrEqual };

// Zeros are equal, NaNs are unordered: nothing holds. feq is quiet (invalid for signalling NaNs only), flt and fle are not.
template <class Precision, Comparison comparison>
bool compare(HartState& hart, const FloatOperands& operands) {
  const auto a = first<Precision>(hart, operands), b = second<Precision>(hart, operands);
  bool holds = false;
  if (is_nan<Precision>(a) || is_nan<Precision>(b)) {
    const bool is_quiet = comparison == Comparison::kEqual;
    if (!is_quiet || is_signalling_nan<Precision>(a) || is_signalling_nan<Precision>(b)) hart.fflags |= kInvalid;
  } else {
    const bool equal = a == b || ((a | b) & ~Precision::kSign) == 0;
    const bool less = !equal && rank<Precision>(a) < rank<Precision>(b);
    holds = (comparison != Comparison::kLess && equal) || (comparison != Comparison::kEqual && less);
  }
  integer_result(hart, operands) = holds ? 1 : 0;
  return true;
}

enum class Sign : std::uint8_t { kOther, kNegated, kProduct };

template <class Precision, Sign sign>
bool inject_sign(HartState& hart, const FloatOperands& operands) {
  const auto a = first<Precision>(hart, operands), b = second<Precision>(hart, operands);
  const auto from = sign == Sign::kOther ? b : sign == Sign::kNegated ? ~b : a ^ b;
  hart.f[operands.rd] = Precision::box((a & ~Precision::kSign) | (from & Precision::kSign));
  return true;
}

template <class Precision>
bool classify_operand(HartState& hart, const FloatOperands& operands) {
  integer_result(hart, operands) = classify<Precision>(first<Precision>(hart, operands));
  return true;
}

// Moves take bits as they are: fmv.x.w asks for no box.
bool single_to_integer_register(HartState& hart, const FloatOperands& operands) {
  integer_result(hart, operands) =
      static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(hart.f[operands.rs1])});
  return true;
}
bool double_to_integer_register(HartState& hart, const FloatOperands& operands) {
  integer_result(hart, operands) = hart.f[operands.rs1];
  return true;
}
template <class Precision>
bool from_integer_register(HartState& hart, const FloatOperands& operands) {
  hart.f[operands.rd] = Precision::box(static_cast<typename Precision::Bits>(hart.x[operands.rs1]));
  return true;
}

// --- the table ---

struct Row {
  Op op;
  FloatFunction function;
};

constexpr Row kRows[] = {
    {Op::kFaddS, binary<Single, soft_float::add<std::uint32_t>>},
    {Op::kFsubS, binary<Single, soft_float::subtract<std::uint32_t>>},
    {Op::kFmulS, binary<Single, soft_float::multiply<std::uint32_t>>},
    {Op::kFdivS, binary<Single, soft_float::divide<std::uint32_t>>},
    {Op::kFsqrtS, square_root<Single>},
    {Op::kFmaddS, fused<Single, false, false>},
    {Op::kFmsubS, fused<Single, false, true>},
    {Op::kFnmsubS, fused<Single, true, false>},
    {Op::kFnmaddS, fused<Single, true, true>},
    {Op::kFsgnjS, inject_sign<Single, Sign::kOther>},
    {Op::kFsgnjnS, inject_sign<Single, Sign::kNegated>},
    {Op::kFsgnjxS, inject_sign<Single, Sign::kProduct>},
    {Op::kFminS, extremum<Single, false>},
    {Op::kFmaxS, extremum<Single, true>},
    {Op::kFeqS, compare<Single, Comparison::kEqual>},
    {Op::kFltS, compare<Single, Comparison::kLess>},
    {Op::kFleS, compare<Single, Comparison::kLessOrEqual>},
    {Op::kFclassS, classify_operand<Single>},
    {Op::kFcvtWS, to_integer<std::int32_t, Single>},
    {Op::kFcvtWuS, to_integer<std::uint32_t, Single>},
    {Op::kFcvtLS, to_integer<std::int64_t, Single>},
    {Op::kFcvtLuS, to_integer<std::uint64_t, Single>},
    {Op::kFcvtSW, from_integer<Single, std::int32_t>},
    {Op::kFcvtSWu, from_integer<Single, std::uint32_t>},
    {Op::kFcvtSL, from_integer<Single, std::int64_t>},
    {Op::kFcvtSLu, from_integer<Single, std::uint64_t>},
    {Op::kFmvXW, single_to_integer_register},
    {Op::kFmvWX, from_integer_register<Single>},
    {Op::kFaddD, binary<Double, soft_float::add<std::uint64_t>>},
    {Op::kFsubD, binary<Double, soft_float::subtract<std::uint64_t>>},
    {Op::kFmulD, binary<Double, soft_float::multiply<std::uint64_t>>},
    {Op::kFdivD, binary<Double, soft_float::divide<std::uint64_t>>},
    {Op::kFsqrtD, square_root<Double>},
    {Op::kFmaddD, fused<Double, false, false>},
    {Op::kFmsubD, fused<Double, false, true>},
    {Op::kFnmsubD, fused<Double, true, false>},
    {Op::kFnmaddD, fused<Double, true, true>},
    {Op::kFsgnjD, inject_sign<Double, Sign::kOther>},
    {Op::kFsgnjnD, inject_sign<Double, Sign::kNegated>},
    {Op::kFsgnjxD, inject_sign<Double, Sign::kProduct>},
    {Op::kFminD, extremum<Double, false>},
    {Op::kFmaxD, extremum<Double, true>},
    {Op::kFeqD, compare<Double, Comparison::kEqual>},
    {Op::kFltD, compare<Double, Comparison::kLess>},
    {Op::kFleD, compare<Double, Comparison::kLessOrEqual>},
    {Op::kFclassD, classify_operand<Double>},
    {Op::kFcvtWD, to_integer<std::int32_t, Double>},
    {Op::kFcvtWuD, to_integer<std::uint32_t, Double>},
    {Op::kFcvtLD, to_integer<std::int64_t, Double>},
    {Op::kFcvtLuD, to_integer<std::uint64_t, Double>},
    {Op::kFcvtDW, from_integer<Double, std::int32_t>},
    {Op::kFcvtDWu, from_integer<Double, std::uint32_t>},
    {Op::kFcvtDL, from_integer<Double, std::int64_t>},
    {Op::kFcvtDLu, from_integer<Double, std::uint64_t>},
    {Op::kFmvXD, double_to_integer_register},
    {Op::kFmvDX, from_integer_register<Double>},
    {Op::kFcvtSD, narrow},
    {Op::kFcvtDS, widen},
};

constexpr bool is_computation(const InstructionInfo& row) {
  return (row.traits & traits::kFloatOperands) != 0 && (row.traits & (traits::kLoad | traits::kStore)) == 0;
}

constexpr std::array<FloatFunction, kBaseOpCount> make_table() {
  std::array<FloatFunction, kBaseOpCount> table{};
  for (const Row& row : kRows) table[static_cast<std::size_t>(row.op)] = row.function;
  return table;
}

constexpr bool has_every_computation() {
  constexpr auto kTable = make_table();
  for (std::size_t index = 0; index < kBaseOpCount; ++index) {
    if ((kTable[index] != nullptr) != is_computation(kInstructions[index])) return false;
  }
  return true;
}
static_assert(has_every_computation());

}  // namespace

constexpr std::array<FloatFunction, kBaseOpCount> kFloatFunctions = make_table();

}  // namespace caisson::riscv
