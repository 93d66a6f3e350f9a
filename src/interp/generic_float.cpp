// Floating-point instructions under a rounding mode that the host has not, or a static one: by soft_float.h.
#include <bit>

#include "interp/generic.h"
#include "isa/riscv/soft_float.h"

namespace caisson::interp {
namespace {

namespace soft_float = riscv::soft_float;
using riscv::HartState;
using riscv::Op;
using riscv::RoundingMode;

using Double = std::uint64_t;
using Single = std::uint32_t;

template <class Bits>
Bits read(std::uint64_t reg);
template <>
Double read<Double>(std::uint64_t reg) {
  return reg;
}
// A single that is not NaN-boxed reads as the canonical NaN.
template <>
Single read<Single>(std::uint64_t reg) {
  return reg >= 0xFFFFFFFF00000000 ? static_cast<Single>(reg) : 0x7FC00000;
}

std::uint64_t box(Double bits) { return bits; }
std::uint64_t box(Single bits) { return 0xFFFFFFFF00000000 | bits; }

// Performs `compute(mode)` under the instruction's rounding mode; 5 … 7 in frm make a dynamic one illegal.
template <class Compute>
GenericOutcome rounded(HartState& hart, const Record& record, const Compute& compute) {
  std::uint32_t mode = record.e();
  if (mode == static_cast<std::uint32_t>(RoundingMode::kDynamic)) mode = hart.frm;
  if (mode > static_cast<std::uint32_t>(RoundingMode::kNearestMaxMagnitude)) {
    hart.trap = {.kind = riscv::TrapKind::kIllegal};
    return GenericOutcome::kTrap;
  }
  compute(static_cast<RoundingMode>(mode));
  return GenericOutcome::kNext;
}

template <class Bits, auto operation>
GenericOutcome binary(HartState& hart, const Record& record, std::int64_t) {
  return rounded(hart, record, [&](RoundingMode mode) {
    const auto result = operation(read<Bits>(hart.f[record.b]), read<Bits>(hart.f[record.c()]), mode);
    hart.f[record.a] = box(result.value);
    hart.fflags |= result.flags;
  });
}

template <class Bits>
GenericOutcome square_root(HartState& hart, const Record& record, std::int64_t) {
  return rounded(hart, record, [&](RoundingMode mode) {
    const auto result = soft_float::square_root(read<Bits>(hart.f[record.b]), mode);
    hart.f[record.a] = box(result.value);
    hart.fflags |= result.flags;
  });
}

// ±(rs1 × rs2) ± rs3, by inverting signs of operands: exact, since rounding to a mode happens once, after the sum.
template <class Bits, bool negate_product, bool negate_addend>
GenericOutcome fused(HartState& hart, const Record& record, std::int64_t) {
  return rounded(hart, record, [&](RoundingMode mode) {
    constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);
    const Bits left = read<Bits>(hart.f[record.b]) ^ (negate_product ? kSign : 0);
    const Bits addend = read<Bits>(hart.f[record.d()]) ^ (negate_addend ? kSign : 0);
    const auto result = soft_float::multiply_add(left, read<Bits>(hart.f[record.c()]), addend, mode);
    hart.f[record.a] = box(result.value);
    hart.fflags |= result.flags;
  });
}

GenericOutcome narrow(HartState& hart, const Record& record, std::int64_t) {
  return rounded(hart, record, [&](RoundingMode mode) {
    const auto result = soft_float::narrow(hart.f[record.b], mode);
    hart.f[record.a] = box(result.value);
    hart.fflags |= result.flags;
  });
}

GenericOutcome widen(HartState& hart, const Record& record, std::int64_t) {
  return rounded(hart, record, [&](RoundingMode) {
    const auto result = soft_float::widen(read<Single>(hart.f[record.b]));
    hart.f[record.a] = box(result.value);
    hart.fflags |= result.flags;
  });
}

// 32-bit results are sign-extended, unsigned ones too.
template <class Integer, class Bits>
GenericOutcome to_integer(HartState& hart, const Record& record, std::int64_t) {
  return rounded(hart, record, [&](RoundingMode mode) {
    const auto result = soft_float::to_integer<Integer>(read<Bits>(hart.f[record.b]), mode);
    hart.x[record.a] = static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::make_signed_t<Integer>>(result.value)));
    hart.fflags |= result.flags;
  });
}

template <class Bits, class Integer>
GenericOutcome from_integer(HartState& hart, const Record& record, std::int64_t) {
  return rounded(hart, record, [&](RoundingMode mode) {
    const auto value = static_cast<Integer>(hart.x[record.b]);
    riscv::FloatResult<Bits> result;
    if constexpr (std::is_signed_v<Integer>) {
      result = soft_float::from_signed<Bits>(value, mode);
    } else {
      result = soft_float::from_unsigned<Bits>(value, mode);
    }
    hart.f[record.a] = box(result.value);
    hart.fflags |= result.flags;
  });
}

constexpr GenericRow kRows[] = {
    {Op::kFaddS, generic_form<binary<Single, soft_float::add<Single>>>},
    {Op::kFsubS, generic_form<binary<Single, soft_float::subtract<Single>>>},
    {Op::kFmulS, generic_form<binary<Single, soft_float::multiply<Single>>>},
    {Op::kFdivS, generic_form<binary<Single, soft_float::divide<Single>>>},
    {Op::kFsqrtS, generic_form<square_root<Single>>},
    {Op::kFmaddS, generic_form<fused<Single, false, false>>},
    {Op::kFmsubS, generic_form<fused<Single, false, true>>},
    {Op::kFnmsubS, generic_form<fused<Single, true, false>>},
    {Op::kFnmaddS, generic_form<fused<Single, true, true>>},
    {Op::kFaddD, generic_form<binary<Double, soft_float::add<Double>>>},
    {Op::kFsubD, generic_form<binary<Double, soft_float::subtract<Double>>>},
    {Op::kFmulD, generic_form<binary<Double, soft_float::multiply<Double>>>},
    {Op::kFdivD, generic_form<binary<Double, soft_float::divide<Double>>>},
    {Op::kFsqrtD, generic_form<square_root<Double>>},
    {Op::kFmaddD, generic_form<fused<Double, false, false>>},
    {Op::kFmsubD, generic_form<fused<Double, false, true>>},
    {Op::kFnmsubD, generic_form<fused<Double, true, false>>},
    {Op::kFnmaddD, generic_form<fused<Double, true, true>>},
    {Op::kFcvtSD, generic_form<narrow>},
    {Op::kFcvtDS, generic_form<widen>},
    {Op::kFcvtWS, generic_form<to_integer<std::int32_t, Single>>},
    {Op::kFcvtWuS, generic_form<to_integer<std::uint32_t, Single>>},
    {Op::kFcvtLS, generic_form<to_integer<std::int64_t, Single>>},
    {Op::kFcvtLuS, generic_form<to_integer<std::uint64_t, Single>>},
    {Op::kFcvtWD, generic_form<to_integer<std::int32_t, Double>>},
    {Op::kFcvtWuD, generic_form<to_integer<std::uint32_t, Double>>},
    {Op::kFcvtLD, generic_form<to_integer<std::int64_t, Double>>},
    {Op::kFcvtLuD, generic_form<to_integer<std::uint64_t, Double>>},
    {Op::kFcvtSW, generic_form<from_integer<Single, std::int32_t>>},
    {Op::kFcvtSWu, generic_form<from_integer<Single, std::uint32_t>>},
    {Op::kFcvtSL, generic_form<from_integer<Single, std::int64_t>>},
    {Op::kFcvtSLu, generic_form<from_integer<Single, std::uint64_t>>},
    {Op::kFcvtDW, generic_form<from_integer<Double, std::int32_t>>},
    {Op::kFcvtDWu, generic_form<from_integer<Double, std::uint32_t>>},
    {Op::kFcvtDL, generic_form<from_integer<Double, std::int64_t>>},
    {Op::kFcvtDLu, generic_form<from_integer<Double, std::uint64_t>>},
};

}  // namespace

Handler generic_float_handler(Op op) { return find_generic(kRows, op); }

}  // namespace caisson::interp
