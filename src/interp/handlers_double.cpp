// Double precision, with the most used registers pinned: handlers by the class of every operand.
#include "interp/float_support.h"
#include "isa/riscv/float_semantics.h"

namespace caisson::interp {
namespace {

using riscv::Op;

constexpr unsigned kFloatPairs = kFloatClassCount * kFloatClassCount;
constexpr unsigned kFloatTriples = kFloatPairs * kFloatClassCount;

double canonical_double(double value) { return canonical(value, std::bit_cast<double>(riscv::kCanonicalDouble)); }

// Tables: one handler per combination, the last class varying fastest.
#define CAISSON_TABLE(name, count, ...)                   \
  struct name##_maker {                                   \
    template <std::size_t I>                              \
    static constexpr Handler handler = name<__VA_ARGS__>; \
  };                                                      \
  constexpr auto name##_table = make_table<name##_maker>(std::make_index_sequence<count>())
#define CAISSON_TABLE_OF_TRIPLES(name) \
  CAISSON_TABLE(name, kFloatTriples, I / kFloatPairs, I / kFloatClassCount % kFloatClassCount, I % kFloatClassCount)
#define CAISSON_TABLE_OF_PAIRS(name) CAISSON_TABLE(name, kFloatPairs, I / kFloatClassCount, I % kFloatClassCount)
#define CAISSON_TABLE_TO_INTEGER(name) \
  CAISSON_TABLE(name, kClassCount* kFloatClassCount, I / kFloatClassCount, I % kFloatClassCount)
#define CAISSON_TABLE_FROM_INTEGER(name) \
  CAISSON_TABLE(name, kFloatClassCount* kClassCount, I / kClassCount, I % kClassCount)
#define CAISSON_TABLE_OF_COMPARISONS(name)                                                                \
  CAISSON_TABLE(name, kClassCount* kFloatPairs, I / kFloatPairs, I / kFloatClassCount % kFloatClassCount, \
                I % kFloatClassCount)

#define CAISSON_DOUBLE_BINARY(name, op, instruction)                                         \
  template <unsigned D, unsigned A, unsigned B>                                              \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                          \
    CAISSON_NEEDS_HOST_ROUNDING(op)                                                          \
    double value = CAISSON_GET_DOUBLE(A, b);                                                 \
    __asm__ volatile(instruction " %1, %0" : "+x"(value) : "x"(CAISSON_GET_DOUBLE(B, c()))); \
    CAISSON_SET_DOUBLE(D, a, canonical_double(value));                                       \
    CAISSON_NEXT();                                                                          \
  }                                                                                          \
  CAISSON_TABLE_OF_TRIPLES(name)
CAISSON_DOUBLE_BINARY(add, Op::kFaddD, "addsd");
CAISSON_DOUBLE_BINARY(subtract, Op::kFsubD, "subsd");
CAISSON_DOUBLE_BINARY(multiply, Op::kFmulD, "mulsd");
CAISSON_DOUBLE_BINARY(divide, Op::kFdivD, "divsd");

template <unsigned D, unsigned A>
CAISSON_HANDLER square_root(CAISSON_INTERP_PARAMETERS) {
  CAISSON_NEEDS_HOST_ROUNDING(Op::kFsqrtD)
  double value = CAISSON_GET_DOUBLE(A, b);
  __asm__ volatile("sqrtsd %0, %0" : "+x"(value));
  CAISSON_SET_DOUBLE(D, a, canonical_double(value));
  CAISSON_NEXT();
}
CAISSON_TABLE_OF_PAIRS(square_root);

// A fourth operand would make too many handlers: rd stays in memory.
#define CAISSON_DOUBLE_FUSED(name, op, instruction)                                                           \
  template <unsigned A, unsigned B, unsigned C>                                                               \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                                           \
    CAISSON_NEEDS_HOST_ROUNDING(op)                                                                           \
    const double first = CAISSON_GET_DOUBLE(A, b), second = CAISSON_GET_DOUBLE(B, c());                       \
    double value = first;                                                                                     \
    __asm__ volatile(instruction " %2, %1, %0" : "+x"(value) : "x"(second), "x"(CAISSON_GET_DOUBLE(C, d()))); \
    if (value != value) [[unlikely]] {                                                                        \
      if (is_infinity_times_zero<Double>(first, second)) hart->fflags |= riscv::kInvalid;                     \
    }                                                                                                         \
    hart->f[ip->a] = std::bit_cast<std::uint64_t>(canonical_double(value));                                   \
    CAISSON_NEXT();                                                                                           \
  }                                                                                                           \
  CAISSON_TABLE_OF_TRIPLES(name)
CAISSON_DOUBLE_FUSED(multiply_add, Op::kFmaddD, "vfmadd213sd");
CAISSON_DOUBLE_FUSED(multiply_subtract, Op::kFmsubD, "vfmsub213sd");
CAISSON_DOUBLE_FUSED(negated_multiply_subtract, Op::kFnmsubD, "vfnmadd213sd");
CAISSON_DOUBLE_FUSED(negated_multiply_add, Op::kFnmaddD, "vfnmsub213sd");

// Sign injection moves bits and raises nothing; with equal operands it is fmv, fneg and fabs.
#define CAISSON_DOUBLE_SIGN(name, sign)                                                                       \
  template <unsigned D, unsigned A, unsigned B>                                                               \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                                           \
    const auto magnitude = std::bit_cast<std::uint64_t>(CAISSON_GET_DOUBLE(A, b));                            \
    const auto other = std::bit_cast<std::uint64_t>(CAISSON_GET_DOUBLE(B, c()));                              \
    CAISSON_SET_DOUBLE(D, a, std::bit_cast<double>((magnitude & ~Double::kSign) | ((sign) & Double::kSign))); \
    CAISSON_NEXT();                                                                                           \
  }                                                                                                           \
  CAISSON_TABLE_OF_TRIPLES(name)
CAISSON_DOUBLE_SIGN(inject_sign, other);
CAISSON_DOUBLE_SIGN(inject_negated_sign, ~other);
CAISSON_DOUBLE_SIGN(inject_product_sign, magnitude ^ other);

template <unsigned D, unsigned A>
CAISSON_HANDLER move(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET_DOUBLE(D, a, CAISSON_GET_DOUBLE(A, b));
  CAISSON_NEXT();
}
CAISSON_TABLE_OF_PAIRS(move);

// feq is quiet (ucomis: invalid for signalling NaNs only), flt and fle are signalling (comis).
#define CAISSON_DOUBLE_COMPARE(name, comparison)                                      \
  template <unsigned D, unsigned A, unsigned B>                                       \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                   \
    std::uint8_t holds, ordered;                                                      \
    __asm__ volatile(comparison                                                       \
                     : "=&q"(holds), "=&q"(ordered)                                   \
                     : "x"(CAISSON_GET_DOUBLE(A, b)), "x"(CAISSON_GET_DOUBLE(B, c())) \
                     : "cc");                                                         \
    CAISSON_SET(D, a, static_cast<std::uint64_t>(holds & ordered));                   \
    CAISSON_NEXT();                                                                   \
  }                                                                                   \
  CAISSON_TABLE_OF_COMPARISONS(name)
CAISSON_DOUBLE_COMPARE(equal, "ucomisd %3, %2\n\tsete %0\n\tsetnp %1");
CAISSON_DOUBLE_COMPARE(less, "comisd %2, %3\n\tseta %0\n\tsetnp %1");
CAISSON_DOUBLE_COMPARE(less_or_equal, "comisd %2, %3\n\tsetae %0\n\tsetnp %1");

// To integers: see handlers_float.cpp on sentinels and limits.
#define CAISSON_DOUBLE_TO_SIGNED(name, op, instruction, width, sentinel)                   \
  template <unsigned D, unsigned A>                                                        \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                        \
    CAISSON_NEEDS_HOST_ROUNDING(op)                                                        \
    std::int##width##_t value;                                                             \
    __asm__ volatile(instruction " %1, %0" : "=r"(value) : "x"(CAISSON_GET_DOUBLE(A, b))); \
    if (value == (sentinel)) [[unlikely]] {                                                \
      [[clang::musttail]] return spilling_handler<op>(CAISSON_INTERP_ARGUMENTS);           \
    }                                                                                      \
    CAISSON_SET(D, a, static_cast<std::uint64_t>(std::int64_t{value}));                    \
    CAISSON_NEXT();                                                                        \
  }                                                                                        \
  CAISSON_TABLE_TO_INTEGER(name)
CAISSON_DOUBLE_TO_SIGNED(to_word, Op::kFcvtWD, "cvtsd2si", 32, INT32_MIN);
CAISSON_DOUBLE_TO_SIGNED(to_long, Op::kFcvtLD, "cvtsd2siq", 64, INT64_MIN);
CAISSON_DOUBLE_TO_SIGNED(truncate_to_word, Op::kFcvtWD, "cvttsd2si", 32, INT32_MIN);
CAISSON_DOUBLE_TO_SIGNED(truncate_to_long, Op::kFcvtLD, "cvttsd2siq", 64, INT64_MIN);

#define CAISSON_DOUBLE_TO_UNSIGNED(name, op, instruction, limit, extend)              \
  template <unsigned D, unsigned A>                                                   \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                   \
    CAISSON_NEEDS_HOST_ROUNDING(op)                                                   \
    const double operand = CAISSON_GET_DOUBLE(A, b);                                  \
    if (!(operand >= 0 && operand < (limit))) [[unlikely]] {                          \
      [[clang::musttail]] return spilling_handler<op>(CAISSON_INTERP_ARGUMENTS);      \
    }                                                                                 \
    std::int64_t value;                                                               \
    __asm__ volatile(instruction " %1, %0" : "=r"(value) : "x"(operand));             \
    CAISSON_SET(D, a, static_cast<std::uint64_t>(static_cast<std::int64_t>(extend))); \
    CAISSON_NEXT();                                                                   \
  }                                                                                   \
  CAISSON_TABLE_TO_INTEGER(name)
CAISSON_DOUBLE_TO_UNSIGNED(to_unsigned_word, Op::kFcvtWuD, "cvtsd2siq", kLimitOfUnsignedWords,
                           static_cast<std::int32_t>(value));
CAISSON_DOUBLE_TO_UNSIGNED(to_unsigned_long, Op::kFcvtLuD, "cvtsd2siq", kLimitOfUnsignedLongs, value);
CAISSON_DOUBLE_TO_UNSIGNED(truncate_to_unsigned_word, Op::kFcvtWuD, "cvttsd2siq", kLimitOfUnsignedWords,
                           static_cast<std::int32_t>(value));
CAISSON_DOUBLE_TO_UNSIGNED(truncate_to_unsigned_long, Op::kFcvtLuD, "cvttsd2siq", kLimitOfUnsignedLongs, value);

#define CAISSON_DOUBLE_FROM_INTEGER(name, op, instruction, source_type, operand_type, fits) \
  template <unsigned D, unsigned A>                                                         \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                                         \
    CAISSON_NEEDS_HOST_ROUNDING(op)                                                         \
    const operand_type operand = static_cast<source_type>(CAISSON_GET(A, b));               \
    if (!(fits)) [[unlikely]] {                                                             \
      [[clang::musttail]] return spilling_handler<op>(CAISSON_INTERP_ARGUMENTS);            \
    }                                                                                       \
    double value = 0;                                                                       \
    __asm__ volatile(instruction " %1, %0" : "+x"(value) : "r"(operand));                   \
    CAISSON_SET_DOUBLE(D, a, value);                                                        \
    CAISSON_NEXT();                                                                         \
  }                                                                                         \
  CAISSON_TABLE_FROM_INTEGER(name)
CAISSON_DOUBLE_FROM_INTEGER(from_word, Op::kFcvtDW, "cvtsi2sdl", std::int32_t, std::int32_t, true);
CAISSON_DOUBLE_FROM_INTEGER(from_unsigned_word, Op::kFcvtDWu, "cvtsi2sdq", std::uint32_t, std::int64_t, true);
CAISSON_DOUBLE_FROM_INTEGER(from_long, Op::kFcvtDL, "cvtsi2sdq", std::int64_t, std::int64_t, true);
CAISSON_DOUBLE_FROM_INTEGER(from_unsigned_long, Op::kFcvtDLu, "cvtsi2sdq", std::int64_t, std::int64_t, operand >= 0);

template <unsigned D, unsigned A>
CAISSON_HANDLER bits_to_integer(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a, std::bit_cast<std::uint64_t>(CAISSON_GET_DOUBLE(A, b)));
  CAISSON_NEXT();
}
CAISSON_TABLE_TO_INTEGER(bits_to_integer);
template <unsigned D, unsigned A>
CAISSON_HANDLER bits_from_integer(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET_DOUBLE(D, a, std::bit_cast<double>(CAISSON_GET(A, b)));
  CAISSON_NEXT();
}
CAISSON_TABLE_FROM_INTEGER(bits_from_integer);

// A pinned register to its place in memory, and back.
template <unsigned K>
CAISSON_HANDLER float_write_back(CAISSON_INTERP_PARAMETERS) {
  hart->f[ip->a] = std::bit_cast<std::uint64_t>(CAISSON_GET_DOUBLE(K, a));
  CAISSON_NEXT();
}
CAISSON_TABLE(float_write_back, kFloatPinCount, I);
template <unsigned K>
CAISSON_HANDLER float_read_again(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET_DOUBLE(K, a, std::bit_cast<double>(hart->f[ip->a]));
  CAISSON_NEXT();
}
CAISSON_TABLE(float_read_again, kFloatPinCount, I);

// How a row's table is indexed.
enum class Shape : std::uint8_t { kTriple, kPair, kComparison, kToInteger, kFromInteger, kFused };

struct Row {
  Op op;
  Shape shape;
  const Handler* handlers;
  const Handler* toward_zero = nullptr;  // where this static rounding mode has handlers of its own
};

constexpr Row kRows[] = {
    {Op::kFaddD, Shape::kTriple, add_table.data()},
    {Op::kFsubD, Shape::kTriple, subtract_table.data()},
    {Op::kFmulD, Shape::kTriple, multiply_table.data()},
    {Op::kFdivD, Shape::kTriple, divide_table.data()},
    {Op::kFsqrtD, Shape::kPair, square_root_table.data()},
    {Op::kFmaddD, Shape::kFused, multiply_add_table.data()},
    {Op::kFmsubD, Shape::kFused, multiply_subtract_table.data()},
    {Op::kFnmsubD, Shape::kFused, negated_multiply_subtract_table.data()},
    {Op::kFnmaddD, Shape::kFused, negated_multiply_add_table.data()},
    {Op::kFsgnjD, Shape::kTriple, inject_sign_table.data()},
    {Op::kFsgnjnD, Shape::kTriple, inject_negated_sign_table.data()},
    {Op::kFsgnjxD, Shape::kTriple, inject_product_sign_table.data()},
    {Op::kFeqD, Shape::kComparison, equal_table.data()},
    {Op::kFltD, Shape::kComparison, less_table.data()},
    {Op::kFleD, Shape::kComparison, less_or_equal_table.data()},
    {Op::kFcvtWD, Shape::kToInteger, to_word_table.data(), truncate_to_word_table.data()},
    {Op::kFcvtWuD, Shape::kToInteger, to_unsigned_word_table.data(), truncate_to_unsigned_word_table.data()},
    {Op::kFcvtLD, Shape::kToInteger, to_long_table.data(), truncate_to_long_table.data()},
    {Op::kFcvtLuD, Shape::kToInteger, to_unsigned_long_table.data(), truncate_to_unsigned_long_table.data()},
    {Op::kFcvtDW, Shape::kFromInteger, from_word_table.data()},
    {Op::kFcvtDWu, Shape::kFromInteger, from_unsigned_word_table.data()},
    {Op::kFcvtDL, Shape::kFromInteger, from_long_table.data()},
    {Op::kFcvtDLu, Shape::kFromInteger, from_unsigned_long_table.data()},
    {Op::kFmvXD, Shape::kToInteger, bits_to_integer_table.data()},
    {Op::kFmvDX, Shape::kFromInteger, bits_from_integer_table.data()},
};

unsigned index_of(Shape shape, const FloatClasses& classes) {
  switch (shape) {
    case Shape::kTriple:
    case Shape::kComparison:
      return classes.rd * kFloatPairs + classes.rs1 * kFloatClassCount + classes.rs2;
    case Shape::kPair:
    case Shape::kToInteger:
      return classes.rd * kFloatClassCount + classes.rs1;
    case Shape::kFromInteger:
      return classes.rd * kClassCount + classes.rs1;
    case Shape::kFused:
      return classes.rs1 * kFloatPairs + classes.rs2 * kFloatClassCount + classes.rs3;
  }
  return 0;
}

}  // namespace

Handler select_double(Op op, std::uint8_t rounding_mode, const FloatClasses& classes) {
  for (const Row& row : kRows) {
    if (row.op != op) continue;
    if (row.shape == Shape::kFused && !has_fused_multiply_add()) return nullptr;
    const unsigned index = index_of(row.shape, classes);
    if (riscv::uses_host_rounding(op, rounding_mode)) return row.handlers[index];
    const bool truncates = rounding_mode == static_cast<std::uint8_t>(riscv::RoundingMode::kTowardZero);
    return truncates && row.toward_zero != nullptr ? row.toward_zero[index] : nullptr;
  }
  return nullptr;
}

Handler select_float_move(unsigned rd_class, unsigned rs1_class) {
  return move_table[rd_class * kFloatClassCount + rs1_class];
}
Handler select_float_write_back(unsigned pin) { return float_write_back_table[pin]; }
Handler select_float_read_again(unsigned pin) { return float_read_again_table[pin]; }

}  // namespace caisson::interp
