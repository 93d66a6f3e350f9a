// The vocabulary in which handlers are written: reading and writing operands by class, going on, leaving.
// Included by the handlers_*.cpp only, which are always compiled with optimisation and without instrumentation: a handler
// must be a handful of host instructions that ends in a jump to the next one.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <utility>

#include "interp/record.h"

namespace caisson::interp {

// All handlers lie in one section, so that fault recovery can tell them from any other code. The section's start and end
// symbols come from the linker.
#define CAISSON_HANDLER __attribute__((preserve_none, section("caisson_interp"), noinline)) void

// Operand `field` of the record, whose class is the constant `K`.
#define CAISSON_GET(K, field) \
  ((K) == 0   ? p0            \
   : (K) == 1 ? p1            \
   : (K) == 2 ? p2            \
   : (K) == 3 ? p3            \
   : (K) == 4 ? p4            \
   : (K) == 5 ? p5            \
   : (K) == 6 ? p6            \
              : hart->x[ip->field])

#define CAISSON_SET(K, field, value)             \
  do {                                           \
    const std::uint64_t caisson_value = (value); \
    if constexpr ((K) == 0)                      \
      p0 = caisson_value;                        \
    else if constexpr ((K) == 1)                 \
      p1 = caisson_value;                        \
    else if constexpr ((K) == 2)                 \
      p2 = caisson_value;                        \
    else if constexpr ((K) == 3)                 \
      p3 = caisson_value;                        \
    else if constexpr ((K) == 4)                 \
      p4 = caisson_value;                        \
    else if constexpr ((K) == 5)                 \
      p5 = caisson_value;                        \
    else if constexpr ((K) == 6)                 \
      p6 = caisson_value;                        \
    else                                         \
      hart->x[ip->field] = caisson_value;        \
  } while (0)

// The same for double-precision operands, by floating-point class.
#define CAISSON_GET_DOUBLE(K, field) \
  ((K) == 0 ? q0 : (K) == 1 ? q1 : (K) == 2 ? q2 : (K) == 3 ? q3 : std::bit_cast<double>(hart->f[ip->field]))

#define CAISSON_SET_DOUBLE(K, field, value)                             \
  do {                                                                  \
    const double caisson_value = (value);                               \
    if constexpr ((K) == 0)                                             \
      q0 = caisson_value;                                               \
    else if constexpr ((K) == 1)                                        \
      q1 = caisson_value;                                               \
    else if constexpr ((K) == 2)                                        \
      q2 = caisson_value;                                               \
    else if constexpr ((K) == 3)                                        \
      q3 = caisson_value;                                               \
    else                                                                \
      hart->f[ip->field] = std::bit_cast<std::uint64_t>(caisson_value); \
  } while (0)

#define CAISSON_DISPATCH() [[clang::musttail]] return ip->handler(CAISSON_INTERP_ARGUMENTS)

// To the next instruction of the same block.
#define CAISSON_NEXT()  \
  do {                  \
    ++ip;               \
    CAISSON_DISPATCH(); \
  } while (0)

// ip is the first record of a block: pays for the block, or leaves.
#define CAISSON_ENTER_BLOCK()                                                 \
  do {                                                                        \
    gas -= ip->cost;                                                          \
    if (gas < 0) [[unlikely]]                                                 \
      [[clang::musttail]] return handler_slice_end(CAISSON_INTERP_ARGUMENTS); \
    CAISSON_DISPATCH();                                                       \
  } while (0)

// Writes the pins back into HartState::x, and reads them again.
#define CAISSON_SPILL()                                                \
  do {                                                                 \
    const auto& caisson_pins = context_of(hart)->pins;                 \
    hart->x[caisson_pins[0]] = p0;                                     \
    hart->x[caisson_pins[1]] = p1;                                     \
    hart->x[caisson_pins[2]] = p2;                                     \
    hart->x[caisson_pins[3]] = p3;                                     \
    hart->x[caisson_pins[4]] = p4;                                     \
    hart->x[caisson_pins[5]] = p5;                                     \
    hart->x[caisson_pins[6]] = p6;                                     \
    const auto& caisson_float_pins = context_of(hart)->float_pins;     \
    hart->f[caisson_float_pins[0]] = std::bit_cast<std::uint64_t>(q0); \
    hart->f[caisson_float_pins[1]] = std::bit_cast<std::uint64_t>(q1); \
    hart->f[caisson_float_pins[2]] = std::bit_cast<std::uint64_t>(q2); \
    hart->f[caisson_float_pins[3]] = std::bit_cast<std::uint64_t>(q3); \
  } while (0)
#define CAISSON_RELOAD()                                           \
  do {                                                             \
    const auto& caisson_pins = context_of(hart)->pins;             \
    p0 = hart->x[caisson_pins[0]];                                 \
    p1 = hart->x[caisson_pins[1]];                                 \
    p2 = hart->x[caisson_pins[2]];                                 \
    p3 = hart->x[caisson_pins[3]];                                 \
    p4 = hart->x[caisson_pins[4]];                                 \
    p5 = hart->x[caisson_pins[5]];                                 \
    p6 = hart->x[caisson_pins[6]];                                 \
    const auto& caisson_float_pins = context_of(hart)->float_pins; \
    q0 = std::bit_cast<double>(hart->f[caisson_float_pins[0]]);    \
    q1 = std::bit_cast<double>(hart->f[caisson_float_pins[1]]);    \
    q2 = std::bit_cast<double>(hart->f[caisson_float_pins[2]]);    \
    q3 = std::bit_cast<double>(hart->f[caisson_float_pins[3]]);    \
  } while (0)

// Shared handlers (handlers_control.cpp).
CAISSON_HANDLER handler_slice_end(CAISSON_INTERP_PARAMETERS);  // the block at ip was charged and cannot be paid
CAISSON_HANDLER handler_resolve(CAISSON_INTERP_PARAMETERS);  // go on at hart.pc, which may be anything
CAISSON_HANDLER handler_leave(CAISSON_INTERP_PARAMETERS);  // hart.trap and hart.pc are set: spill and return to run()
CAISSON_HANDLER handler_generic_trap(CAISSON_INTERP_PARAMETERS);  // hart.trap is set, the pc is ip's

// Operand classes of a record to be made; a class that a form has not is 0.
struct Classes {
  unsigned rd = 0, rs1 = 0, rs2 = 0;
};

// A table of one handler per class combination, from a generator `Make::template handler<D, A, B>`.
template <class Make, std::size_t... I>
constexpr auto make_table(std::index_sequence<I...>) {
  return std::array<Handler, sizeof...(I)>{Make::template handler<I>...};
}

}  // namespace caisson::interp
