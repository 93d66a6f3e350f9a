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
    hart.x[record.a] =
        static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::make_signed_t<Integer>>(result.value)));
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
    kSlowPathRow<Op::kFaddS, binary<Single, soft_float::add<Single>>>,
    kSlowPathRow<Op::kFsubS, binary<Single, soft_float::subtract<Single>>>,
    kSlowPathRow<Op::kFmulS, binary<Single, soft_float::multiply<Single>>>,
    kSlowPathRow<Op::kFdivS, binary<Single, soft_float::divide<Single>>>,
    kSlowPathRow<Op::kFsqrtS, square_root<Single>>,
    kSlowPathRow<Op::kFmaddS, fused<Single, false, false>>,
    kSlowPathRow<Op::kFmsubS, fused<Single, false, true>>,
    kSlowPathRow<Op::kFnmsubS, fused<Single, true, false>>,
    kSlowPathRow<Op::kFnmaddS, fused<Single, true, true>>,
    kSlowPathRow<Op::kFaddD, binary<Double, soft_float::add<Double>>>,
    kSlowPathRow<Op::kFsubD, binary<Double, soft_float::subtract<Double>>>,
    kSlowPathRow<Op::kFmulD, binary<Double, soft_float::multiply<Double>>>,
    kSlowPathRow<Op::kFdivD, binary<Double, soft_float::divide<Double>>>,
    kSlowPathRow<Op::kFsqrtD, square_root<Double>>,
    kSlowPathRow<Op::kFmaddD, fused<Double, false, false>>,
    kSlowPathRow<Op::kFmsubD, fused<Double, false, true>>,
    kSlowPathRow<Op::kFnmsubD, fused<Double, true, false>>,
    kSlowPathRow<Op::kFnmaddD, fused<Double, true, true>>,
    kSlowPathRow<Op::kFcvtSD, narrow>,
    kSlowPathRow<Op::kFcvtDS, widen>,
    kSlowPathRow<Op::kFcvtWS, to_integer<std::int32_t, Single>>,
    kSlowPathRow<Op::kFcvtWuS, to_integer<std::uint32_t, Single>>,
    kSlowPathRow<Op::kFcvtLS, to_integer<std::int64_t, Single>>,
    kSlowPathRow<Op::kFcvtLuS, to_integer<std::uint64_t, Single>>,
    kSlowPathRow<Op::kFcvtWD, to_integer<std::int32_t, Double>>,
    kSlowPathRow<Op::kFcvtWuD, to_integer<std::uint32_t, Double>>,
    kSlowPathRow<Op::kFcvtLD, to_integer<std::int64_t, Double>>,
    kSlowPathRow<Op::kFcvtLuD, to_integer<std::uint64_t, Double>>,
    kSlowPathRow<Op::kFcvtSW, from_integer<Single, std::int32_t>>,
    kSlowPathRow<Op::kFcvtSWu, from_integer<Single, std::uint32_t>>,
    kSlowPathRow<Op::kFcvtSL, from_integer<Single, std::int64_t>>,
    kSlowPathRow<Op::kFcvtSLu, from_integer<Single, std::uint64_t>>,
    kSlowPathRow<Op::kFcvtDW, from_integer<Double, std::int32_t>>,
    kSlowPathRow<Op::kFcvtDWu, from_integer<Double, std::uint32_t>>,
    kSlowPathRow<Op::kFcvtDL, from_integer<Double, std::int64_t>>,
    kSlowPathRow<Op::kFcvtDLu, from_integer<Double, std::uint64_t>>,
};

}  // namespace

const GenericRow* generic_float_row(Op op) { return find_generic(kRows, op); }

}  // namespace caisson::interp
