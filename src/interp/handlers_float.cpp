// Floating-point instructions that work on HartState::f: single precision, and what is rare on doubles.
// The header of glibc 2.36 is C.
#define _Bool bool
#include <sys/platform/x86.h>
#undef _Bool

#include "interp/float_support.h"
#include "isa/riscv/float_semantics.h"

namespace caisson::interp {
namespace {

using riscv::Op;

#define CAISSON_FLOAT_BINARY(name, op, Precision, instruction)          \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                     \
    CAISSON_NEEDS_HOST_ROUNDING(op)                                     \
    auto value = Precision::read(hart->f[ip->b]);                       \
    const auto other = Precision::read(hart->f[ip->c()]);               \
    __asm__ volatile(instruction " %1, %0" : "+x"(value) : "x"(other)); \
    hart->f[ip->a] = box_result<Precision>(value);                      \
    CAISSON_NEXT();                                                     \
  }
CAISSON_FLOAT_BINARY(fadd_s, Op::kFaddS, Single, "addss")
CAISSON_FLOAT_BINARY(fsub_s, Op::kFsubS, Single, "subss")
CAISSON_FLOAT_BINARY(fmul_s, Op::kFmulS, Single, "mulss")
CAISSON_FLOAT_BINARY(fdiv_s, Op::kFdivS, Single, "divss")

#define CAISSON_FLOAT_ROOT(name, op, Precision, instruction) \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {          \
    CAISSON_NEEDS_HOST_ROUNDING(op)                          \
    auto value = Precision::read(hart->f[ip->b]);            \
    __asm__ volatile(instruction " %0, %0" : "+x"(value));   \
    hart->f[ip->a] = box_result<Precision>(value);           \
    CAISSON_NEXT();                                          \
  }
CAISSON_FLOAT_ROOT(fsqrt_s, Op::kFsqrtS, Single, "sqrtss")

#define CAISSON_FLOAT_FUSED(name, op, Precision, instruction)                                \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                          \
    CAISSON_NEEDS_HOST_ROUNDING(op)                                                          \
    const auto first = Precision::read(hart->f[ip->b]);                                      \
    const auto second = Precision::read(hart->f[ip->c()]);                                   \
    const auto addend = Precision::read(hart->f[ip->d()]);                                   \
    auto value = first;                                                                      \
    __asm__ volatile(instruction " %2, %1, %0" : "+x"(value) : "x"(second), "x"(addend));    \
    if (value != value) [[unlikely]] {                                                       \
      if (is_infinity_times_zero<Precision>(first, second)) hart->fflags |= riscv::kInvalid; \
    }                                                                                        \
    hart->f[ip->a] = box_result<Precision>(value);                                           \
    CAISSON_NEXT();                                                                          \
  }
CAISSON_FLOAT_FUSED(fmadd_s, Op::kFmaddS, Single, "vfmadd213ss")
CAISSON_FLOAT_FUSED(fmsub_s, Op::kFmsubS, Single, "vfmsub213ss")
CAISSON_FLOAT_FUSED(fnmsub_s, Op::kFnmsubS, Single, "vfnmadd213ss")
CAISSON_FLOAT_FUSED(fnmadd_s, Op::kFnmaddS, Single, "vfnmsub213ss")

// Sign injection moves bits and raises nothing.
#define CAISSON_SIGN_INJECTION(name, Precision, sign)                                               \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                                 \
    const auto magnitude = Precision::bits(hart->f[ip->b]);                                         \
    const auto other = Precision::bits(hart->f[ip->c()]);                                           \
    hart->f[ip->a] = Precision::box((magnitude & ~Precision::kSign) | ((sign) & Precision::kSign)); \
    CAISSON_NEXT();                                                                                 \
  }
CAISSON_SIGN_INJECTION(fsgnj_s, Single, other)
CAISSON_SIGN_INJECTION(fsgnjn_s, Single, ~other)
CAISSON_SIGN_INJECTION(fsgnjx_s, Single, magnitude ^ other)

// -0 is less than +0; one NaN gives the other operand, two the canonical NaN; a signalling one is invalid (ucomis raises that).
#define CAISSON_MINIMUM(name, Precision, instruction, prefers, merge)                                   \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                                     \
    const auto a = Precision::bits(hart->f[ip->b]), b = Precision::bits(hart->f[ip->c()]);              \
    std::uint8_t above, below, unordered;                                                               \
    __asm__ volatile(instruction " %4, %3\n\tseta %0\n\tsetb %1\n\tsetp %2"                             \
                     : "=&q"(above), "=&q"(below), "=&q"(unordered)                                     \
                     : "x"(std::bit_cast<Precision::Float>(a)), "x"(std::bit_cast<Precision::Float>(b)) \
                     : "cc");                                                                           \
    Precision::Bits result;                                                                             \
    if (unordered) [[unlikely]] {                                                                       \
      result = !is_nan<Precision>(a) ? a : !is_nan<Precision>(b) ? b : Precision::kCanonical;           \
    } else if (above == below) {                                                                        \
      result = a merge b;                                                                               \
    } else {                                                                                            \
      result = prefers ? a : b;                                                                         \
    }                                                                                                   \
    hart->f[ip->a] = Precision::box(result);                                                            \
    CAISSON_NEXT();                                                                                     \
  }
CAISSON_MINIMUM(fmin_d, Double, "ucomisd", below, |)
CAISSON_MINIMUM(fmax_d, Double, "ucomisd", above, &)
CAISSON_MINIMUM(fmin_s, Single, "ucomiss", below, |)
CAISSON_MINIMUM(fmax_s, Single, "ucomiss", above, &)

// Between precisions.
CAISSON_HANDLER fcvt_d_s(CAISSON_INTERP_PARAMETERS) {
  CAISSON_NEEDS_HOST_ROUNDING(Op::kFcvtDS)
  double value;
  __asm__ volatile("cvtss2sd %1, %0" : "=x"(value) : "x"(Single::read(hart->f[ip->b])));
  hart->f[ip->a] = box_result<Double>(value);
  CAISSON_NEXT();
}
CAISSON_HANDLER fcvt_s_d(CAISSON_INTERP_PARAMETERS) {
  CAISSON_NEEDS_HOST_ROUNDING(Op::kFcvtSD)
  float value;
  __asm__ volatile("cvtsd2ss %1, %0" : "=x"(value) : "x"(Double::read(hart->f[ip->b])));
  hart->f[ip->a] = box_result<Single>(value);
  CAISSON_NEXT();
}

struct Row {
  Op op;
  Handler handler;
};

constexpr Row kRows[] = {
    {Op::kFaddS, fadd_s},    {Op::kFsubS, fsub_s},    {Op::kFmulS, fmul_s},     {Op::kFdivS, fdiv_s},
    {Op::kFsqrtS, fsqrt_s},  {Op::kFsgnjS, fsgnj_s},  {Op::kFsgnjnS, fsgnjn_s}, {Op::kFsgnjxS, fsgnjx_s},
    {Op::kFminS, fmin_s},    {Op::kFmaxS, fmax_s},    {Op::kFminD, fmin_d},     {Op::kFmaxD, fmax_d},
    {Op::kFcvtDS, fcvt_d_s}, {Op::kFcvtSD, fcvt_s_d},
};

constexpr Row kFusedRows[] = {
    {Op::kFmaddS, fmadd_s},
    {Op::kFmsubS, fmsub_s},
    {Op::kFnmsubS, fnmsub_s},
    {Op::kFnmaddS, fnmadd_s},
};

// --- with an integer operand or result, by its class ---

// feq is quiet (ucomis: invalid for signalling NaNs only), flt and fle are signalling (comis).
#define CAISSON_FLOAT_COMPARE(name, Precision, comparison)                               \
  template <unsigned D>                                                                  \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                      \
    const auto a = Precision::read(hart->f[ip->b]);                                      \
    const auto b = Precision::read(hart->f[ip->c()]);                                    \
    std::uint8_t holds, ordered;                                                         \
    __asm__ volatile(comparison : "=&q"(holds), "=&q"(ordered) : "x"(a), "x"(b) : "cc"); \
    CAISSON_SET(D, a, static_cast<std::uint64_t>(holds & ordered));                      \
    CAISSON_NEXT();                                                                      \
  }
CAISSON_FLOAT_COMPARE(feq_s, Single, "ucomiss %3, %2\n\tsete %0\n\tsetnp %1")
CAISSON_FLOAT_COMPARE(flt_s, Single, "comiss %2, %3\n\tseta %0\n\tsetnp %1")
CAISSON_FLOAT_COMPARE(fle_s, Single, "comiss %2, %3\n\tsetae %0\n\tsetnp %1")

// Conversions to integers. The host answers the most negative integer for everything that does not fit; that value and the
// ranges that the host's signed conversion cannot tell apart go to the generic form.
#define CAISSON_TO_SIGNED(name, op, Precision, instruction, width, sentinel)                      \
  template <unsigned D>                                                                           \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                               \
    CAISSON_NEEDS_HOST_ROUNDING(op)                                                               \
    std::int##width##_t value;                                                                    \
    __asm__ volatile(instruction " %1, %0" : "=r"(value) : "x"(Precision::read(hart->f[ip->b]))); \
    if (value == (sentinel)) [[unlikely]] {                                                       \
      [[clang::musttail]] return spilling_handler<op>(CAISSON_INTERP_ARGUMENTS);                  \
    }                                                                                             \
    CAISSON_SET(D, a, static_cast<std::uint64_t>(static_cast<std::int64_t>(value)));              \
    CAISSON_NEXT();                                                                               \
  }
#define CAISSON_TO_UNSIGNED(name, op, Precision, instruction, limit, extend)              \
  template <unsigned D>                                                                   \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                       \
    CAISSON_NEEDS_HOST_ROUNDING(op)                                                       \
    const auto operand = Precision::read(hart->f[ip->b]);                                 \
    if (!(operand >= 0 && operand < static_cast<Precision::Float>(limit))) [[unlikely]] { \
      [[clang::musttail]] return spilling_handler<op>(CAISSON_INTERP_ARGUMENTS);          \
    }                                                                                     \
    std::int64_t value;                                                                   \
    __asm__ volatile(instruction " %1, %0" : "=r"(value) : "x"(operand));                 \
    CAISSON_SET(D, a, static_cast<std::uint64_t>(extend));                                \
    CAISSON_NEXT();                                                                       \
  }
#define CAISSON_TO_INTEGERS(suffix, Suffix, Precision, letter)                                                       \
  CAISSON_TO_SIGNED(fcvt_w_##suffix, Op::kFcvtW##Suffix, Precision, "cvts" letter "2si", 32, INT32_MIN)              \
  CAISSON_TO_SIGNED(fcvt_l_##suffix, Op::kFcvtL##Suffix, Precision, "cvts" letter "2siq", 64, INT64_MIN)             \
  CAISSON_TO_UNSIGNED(fcvt_wu_##suffix, Op::kFcvtWu##Suffix, Precision, "cvts" letter "2siq", kLimitOfUnsignedWords, \
                      static_cast<std::int32_t>(value))                                                              \
  CAISSON_TO_UNSIGNED(fcvt_lu_##suffix, Op::kFcvtLu##Suffix, Precision, "cvts" letter "2siq", kLimitOfUnsignedLongs, \
                      value)                                                                                         \
  CAISSON_TO_SIGNED(fcvt_w_##suffix##_rtz, Op::kFcvtW##Suffix, Precision, "cvtts" letter "2si", 32, INT32_MIN)       \
  CAISSON_TO_SIGNED(fcvt_l_##suffix##_rtz, Op::kFcvtL##Suffix, Precision, "cvtts" letter "2siq", 64, INT64_MIN)      \
  CAISSON_TO_UNSIGNED(fcvt_wu_##suffix##_rtz, Op::kFcvtWu##Suffix, Precision, "cvtts" letter "2siq",                 \
                      kLimitOfUnsignedWords, static_cast<std::int32_t>(value))                                       \
  CAISSON_TO_UNSIGNED(fcvt_lu_##suffix##_rtz, Op::kFcvtLu##Suffix, Precision, "cvtts" letter "2siq",                 \
                      kLimitOfUnsignedLongs, value)
CAISSON_TO_INTEGERS(s, S, Single, "s")

// Conversions from integers: `fits` says which values the host's signed conversion takes.
#define CAISSON_FROM_INTEGER(name, op, Precision, instruction, source_type, operand_type, fits) \
  template <unsigned A>                                                                         \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                             \
    CAISSON_NEEDS_HOST_ROUNDING(op)                                                             \
    const operand_type operand = static_cast<source_type>(CAISSON_GET(A, b));                   \
    if (!(fits)) [[unlikely]] {                                                                 \
      [[clang::musttail]] return spilling_handler<op>(CAISSON_INTERP_ARGUMENTS);                \
    }                                                                                           \
    Precision::Float value = 0;                                                                 \
    __asm__ volatile(instruction " %1, %0" : "+x"(value) : "r"(operand));                       \
    hart->f[ip->a] = Precision::box(std::bit_cast<Precision::Bits>(value));                     \
    CAISSON_NEXT();                                                                             \
  }
#define CAISSON_FROM_INTEGERS(suffix, Suffix, Precision, letter)                                                  \
  CAISSON_FROM_INTEGER(fcvt_##suffix##_w, Op::kFcvt##Suffix##W, Precision, "cvtsi2s" letter "l", std::int32_t,    \
                       std::int32_t, true)                                                                        \
  CAISSON_FROM_INTEGER(fcvt_##suffix##_wu, Op::kFcvt##Suffix##Wu, Precision, "cvtsi2s" letter "q", std::uint32_t, \
                       std::int64_t, true)                                                                        \
  CAISSON_FROM_INTEGER(fcvt_##suffix##_l, Op::kFcvt##Suffix##L, Precision, "cvtsi2s" letter "q", std::int64_t,    \
                       std::int64_t, true)                                                                        \
  CAISSON_FROM_INTEGER(fcvt_##suffix##_lu, Op::kFcvt##Suffix##Lu, Precision, "cvtsi2s" letter "q", std::int64_t,  \
                       std::int64_t, operand >= 0)
CAISSON_FROM_INTEGERS(s, S, Single, "s")

// Moves between the register files and classification.
template <unsigned D>
CAISSON_HANDLER fmv_x_w(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a, static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(hart->f[ip->b]))));
  CAISSON_NEXT();
}
template <unsigned A>
CAISSON_HANDLER fmv_w_x(CAISSON_INTERP_PARAMETERS) {
  hart->f[ip->a] = riscv::kBox | CAISSON_GET(A, b);
  CAISSON_NEXT();
}

template <unsigned D>
CAISSON_HANDLER fclass_d(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a, riscv::classify<Double>(Double::bits(hart->f[ip->b])));
  CAISSON_NEXT();
}
template <unsigned D>
CAISSON_HANDLER fclass_s(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a, riscv::classify<Single>(Single::bits(hart->f[ip->b])));
  CAISSON_NEXT();
}

#define CAISSON_INTEGER_CLASS_TABLE(function)       \
  struct function##_maker {                         \
    template <std::size_t I>                        \
    static constexpr Handler handler = function<I>; \
  };                                                \
  constexpr auto function##_table = make_table<function##_maker>(std::make_index_sequence<kClassCount>())

CAISSON_INTEGER_CLASS_TABLE(fclass_d);
CAISSON_INTEGER_CLASS_TABLE(feq_s);
CAISSON_INTEGER_CLASS_TABLE(flt_s);
CAISSON_INTEGER_CLASS_TABLE(fle_s);
CAISSON_INTEGER_CLASS_TABLE(fclass_s);
CAISSON_INTEGER_CLASS_TABLE(fcvt_w_s);
CAISSON_INTEGER_CLASS_TABLE(fcvt_s_w);
CAISSON_INTEGER_CLASS_TABLE(fcvt_wu_s);
CAISSON_INTEGER_CLASS_TABLE(fcvt_s_wu);
CAISSON_INTEGER_CLASS_TABLE(fcvt_l_s);
CAISSON_INTEGER_CLASS_TABLE(fcvt_s_l);
CAISSON_INTEGER_CLASS_TABLE(fcvt_lu_s);
CAISSON_INTEGER_CLASS_TABLE(fcvt_s_lu);
CAISSON_INTEGER_CLASS_TABLE(fmv_x_w);
CAISSON_INTEGER_CLASS_TABLE(fmv_w_x);
CAISSON_INTEGER_CLASS_TABLE(fcvt_w_s_rtz);
CAISSON_INTEGER_CLASS_TABLE(fcvt_wu_s_rtz);
CAISSON_INTEGER_CLASS_TABLE(fcvt_l_s_rtz);
CAISSON_INTEGER_CLASS_TABLE(fcvt_lu_s_rtz);

struct IntegerClassRow {
  Op op;
  const Handler* handlers;
};
constexpr IntegerClassRow kIntegerClassRows[] = {
    {Op::kFclassD, fclass_d_table.data()},  {Op::kFeqS, feq_s_table.data()},
    {Op::kFltS, flt_s_table.data()},        {Op::kFleS, fle_s_table.data()},
    {Op::kFclassS, fclass_s_table.data()},  {Op::kFcvtWS, fcvt_w_s_table.data()},
    {Op::kFcvtSW, fcvt_s_w_table.data()},   {Op::kFcvtWuS, fcvt_wu_s_table.data()},
    {Op::kFcvtSWu, fcvt_s_wu_table.data()}, {Op::kFcvtLS, fcvt_l_s_table.data()},
    {Op::kFcvtSL, fcvt_s_l_table.data()},   {Op::kFcvtLuS, fcvt_lu_s_table.data()},
    {Op::kFcvtSLu, fcvt_s_lu_table.data()}, {Op::kFmvXW, fmv_x_w_table.data()},
    {Op::kFmvWX, fmv_w_x_table.data()},
};
constexpr IntegerClassRow kTowardZeroRows[] = {
    {Op::kFcvtWS, fcvt_w_s_rtz_table.data()},
    {Op::kFcvtWuS, fcvt_wu_s_rtz_table.data()},
    {Op::kFcvtLS, fcvt_l_s_rtz_table.data()},
    {Op::kFcvtLuS, fcvt_lu_s_rtz_table.data()},
};

}  // namespace

// What the C library found out at its start; asking the processor again is slow in a virtual machine.
bool has_fused_multiply_add() { return CPU_FEATURE_ACTIVE(FMA); }

Handler select_float(Op op, std::uint8_t rounding_mode, unsigned integer_class) {
  if (!riscv::uses_host_rounding(op, rounding_mode)) {
    if (rounding_mode != static_cast<std::uint8_t>(riscv::RoundingMode::kTowardZero)) return nullptr;
    for (const IntegerClassRow& row : kTowardZeroRows) {
      if (row.op == op) return row.handlers[integer_class];
    }
    return nullptr;
  }
  for (const Row& row : kRows) {
    if (row.op == op) return row.handler;
  }
  for (const Row& row : kFusedRows) {
    if (row.op == op) return has_fused_multiply_add() ? row.handler : nullptr;
  }
  for (const IntegerClassRow& row : kIntegerClassRows) {
    if (row.op == op) return row.handlers[integer_class];
  }
  return nullptr;
}

}  // namespace caisson::interp
