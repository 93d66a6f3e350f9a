// Loads and stores, integer and floating point.
#include "interp/guest_access.h"
#include "interp/handler_select.h"
#include "interp/handler_support.h"

namespace caisson::interp {
namespace {

#define CAISSON_ADDRESS(A) (static_cast<std::uint32_t>(CAISSON_GET(A, b)) + static_cast<std::uint32_t>(ip->imm))

#define CAISSON_LOAD_HANDLER(name, instruction)                 \
  template <unsigned D, unsigned A>                             \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {             \
    CAISSON_GUEST_LOAD(instruction, CAISSON_ADDRESS(A), loaded) \
    CAISSON_SET(D, a, loaded);                                  \
    CAISSON_NEXT();                                             \
  }

CAISSON_LOAD_HANDLER(load_b, "movsbq (%[window],%[address]), %[value]")
CAISSON_LOAD_HANDLER(load_h, "movswq (%[window],%[address]), %[value]")
CAISSON_LOAD_HANDLER(load_w, "movslq (%[window],%[address]), %[value]")
CAISSON_LOAD_HANDLER(load_d, "movq (%[window],%[address]), %[value]")
CAISSON_LOAD_HANDLER(load_bu, "movzbl (%[window],%[address]), %k[value]")
CAISSON_LOAD_HANDLER(load_hu, "movzwl (%[window],%[address]), %k[value]")
CAISSON_LOAD_HANDLER(load_wu, "movl (%[window],%[address]), %k[value]")

#define CAISSON_STORE_HANDLER(name, instruction)                            \
  template <unsigned V, unsigned A>                                         \
  CAISSON_HANDLER name(CAISSON_INTERP_PARAMETERS) {                         \
    CAISSON_GUEST_STORE(instruction, CAISSON_ADDRESS(A), CAISSON_GET(V, a)) \
    CAISSON_NEXT();                                                         \
  }

CAISSON_STORE_HANDLER(store_b, "movb %b[value], (%[window],%[address])")
CAISSON_STORE_HANDLER(store_h, "movw %w[value], (%[window],%[address])")
CAISSON_STORE_HANDLER(store_w, "movl %k[value], (%[window],%[address])")
CAISSON_STORE_HANDLER(store_d, "movq %[value], (%[window],%[address])")

// Single precision is NaN-boxed: the upper half of the register is all ones.
template <unsigned Unused, unsigned A>
CAISSON_HANDLER load_float(CAISSON_INTERP_PARAMETERS) {
  CAISSON_GUEST_LOAD("movl (%[window],%[address]), %k[value]", CAISSON_ADDRESS(A), loaded)
  hart->f[ip->a] = loaded | 0xFFFFFFFF00000000;
  CAISSON_NEXT();
}
template <unsigned D, unsigned A>
CAISSON_HANDLER load_double(CAISSON_INTERP_PARAMETERS) {
  CAISSON_GUEST_LOAD("movq (%[window],%[address]), %[value]", CAISSON_ADDRESS(A), loaded)
  CAISSON_SET_DOUBLE(D, a, std::bit_cast<double>(loaded));
  CAISSON_NEXT();
}
template <unsigned Unused, unsigned A>
CAISSON_HANDLER store_float(CAISSON_INTERP_PARAMETERS) {
  CAISSON_GUEST_STORE("movl %k[value], (%[window],%[address])", CAISSON_ADDRESS(A), hart->f[ip->a])
  CAISSON_NEXT();
}
template <unsigned V, unsigned A>
CAISSON_HANDLER store_double(CAISSON_INTERP_PARAMETERS) {
  CAISSON_GUEST_STORE("movq %[value], (%[window],%[address])", CAISSON_ADDRESS(A),
                      std::bit_cast<std::uint64_t>(CAISSON_GET_DOUBLE(V, a)))
  CAISSON_NEXT();
}

#define CAISSON_MEMORY_TABLE(table, function)                                      \
  struct table##Maker {                                                            \
    template <std::size_t I>                                                       \
    static constexpr Handler handler = function<I / kClassCount, I % kClassCount>; \
  };                                                                               \
  constexpr auto table = make_table<table##Maker>(std::make_index_sequence<kClassCount * kClassCount>())

CAISSON_MEMORY_TABLE(kLoadB, load_b);
CAISSON_MEMORY_TABLE(kLoadH, load_h);
CAISSON_MEMORY_TABLE(kLoadW, load_w);
CAISSON_MEMORY_TABLE(kLoadD, load_d);
CAISSON_MEMORY_TABLE(kLoadBu, load_bu);
CAISSON_MEMORY_TABLE(kLoadHu, load_hu);
CAISSON_MEMORY_TABLE(kLoadWu, load_wu);
CAISSON_MEMORY_TABLE(kStoreB, store_b);
CAISSON_MEMORY_TABLE(kStoreH, store_h);
CAISSON_MEMORY_TABLE(kStoreW, store_w);
CAISSON_MEMORY_TABLE(kStoreD, store_d);

// The value's class does not matter for singles: class 0 serves.
#define CAISSON_SINGLE_TABLE(table, function)          \
  struct table##Maker {                                \
    template <std::size_t I>                           \
    static constexpr Handler handler = function<0, I>; \
  };                                                   \
  constexpr auto table = make_table<table##Maker>(std::make_index_sequence<kClassCount>())

CAISSON_SINGLE_TABLE(kLoadFloat, load_float);
CAISSON_SINGLE_TABLE(kStoreFloat, store_float);

#define CAISSON_DOUBLE_TABLE(table, function)                                      \
  struct table##Maker {                                                            \
    template <std::size_t I>                                                       \
    static constexpr Handler handler = function<I / kClassCount, I % kClassCount>; \
  };                                                                               \
  constexpr auto table = make_table<table##Maker>(std::make_index_sequence<kFloatClassCount * kClassCount>())

CAISSON_DOUBLE_TABLE(kLoadDouble, load_double);
CAISSON_DOUBLE_TABLE(kStoreDouble, store_double);

}  // namespace

Handler select_memory(riscv::Op op, unsigned value_class, unsigned rs1_class) {
  using riscv::Op;
  const unsigned index = value_class * kClassCount + rs1_class;
  switch (op) {
    case Op::kLb:
      return kLoadB[index];
    case Op::kLh:
      return kLoadH[index];
    case Op::kLw:
      return kLoadW[index];
    case Op::kLd:
      return kLoadD[index];
    case Op::kLbu:
      return kLoadBu[index];
    case Op::kLhu:
      return kLoadHu[index];
    case Op::kLwu:
      return kLoadWu[index];
    case Op::kSb:
      return kStoreB[index];
    case Op::kSh:
      return kStoreH[index];
    case Op::kSw:
      return kStoreW[index];
    case Op::kSd:
      return kStoreD[index];
    case Op::kFlw:
      return kLoadFloat[rs1_class];
    case Op::kFld:
      return kLoadDouble[index];
    case Op::kFsw:
      return kStoreFloat[rs1_class];
    case Op::kFsd:
      return kStoreDouble[index];
    default:
      return nullptr;
  }
}

}  // namespace caisson::interp
