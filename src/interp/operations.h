// What the integer instructions compute, each once: used by the handlers of every operand form.
// Named like the table's rows; an immediate form (addi) uses its register form's operation with the immediate as `b`.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace caisson::interp::operations {

using u64 = std::uint64_t;
using u32 = std::uint32_t;
using i64 = std::int64_t;
using i32 = std::int32_t;

inline constexpr u64 sign_extend32(u32 value) { return static_cast<u64>(static_cast<i64>(static_cast<i32>(value))); }

#define CAISSON_OPERATION(Name, expression)                                                                        \
  struct Name {                                                                                                    \
    [[gnu::always_inline]] static u64 apply([[maybe_unused]] u64 a, [[maybe_unused]] u64 b) { return expression; } \
  };

// RV64I
CAISSON_OPERATION(Add, a + b)
CAISSON_OPERATION(Sub, a - b)
CAISSON_OPERATION(And, a& b)
CAISSON_OPERATION(Or, a | b)
CAISSON_OPERATION(Xor, a ^ b)
CAISSON_OPERATION(Sll, a << (b & 63))
CAISSON_OPERATION(Srl, a >> (b & 63))
CAISSON_OPERATION(Sra, static_cast<u64>(static_cast<i64>(a) >> (b & 63)))
CAISSON_OPERATION(Slt, static_cast<i64>(a) < static_cast<i64>(b))
CAISSON_OPERATION(Sltu, a < b)
CAISSON_OPERATION(Addw, sign_extend32(static_cast<u32>(a) + static_cast<u32>(b)))
CAISSON_OPERATION(Subw, sign_extend32(static_cast<u32>(a) - static_cast<u32>(b)))
CAISSON_OPERATION(Sllw, sign_extend32(static_cast<u32>(a) << (b & 31)))
CAISSON_OPERATION(Srlw, sign_extend32(static_cast<u32>(a) >> (b & 31)))
CAISSON_OPERATION(Sraw, static_cast<u64>(static_cast<i64>(static_cast<i32>(a) >> (b & 31))))

// M: division by zero and overflow as the specification's table 7.1 says; no host division ever traps.
CAISSON_OPERATION(Mul, a* b)
CAISSON_OPERATION(Mulw, sign_extend32(static_cast<u32>(a) * static_cast<u32>(b)))
CAISSON_OPERATION(Mulh, static_cast<u64>((static_cast<__int128>(static_cast<i64>(a)) * static_cast<i64>(b)) >> 64))
CAISSON_OPERATION(Mulhu, static_cast<u64>((static_cast<unsigned __int128>(a) * b) >> 64))
CAISSON_OPERATION(Mulhsu,
                  static_cast<u64>((static_cast<__int128>(static_cast<i64>(a)) * static_cast<__int128>(b)) >> 64))
CAISSON_OPERATION(Div, b == 0         ? ~u64{0}
                       : b == ~u64{0} ? 0 - a
                                      : static_cast<u64>(static_cast<i64>(a) / static_cast<i64>(b)))
CAISSON_OPERATION(Divu, b == 0 ? ~u64{0} : a / b)
CAISSON_OPERATION(Rem, b == 0 ? a : b == ~u64{0} ? 0 : static_cast<u64>(static_cast<i64>(a) % static_cast<i64>(b)))
CAISSON_OPERATION(Remu, b == 0 ? a : a % b)
CAISSON_OPERATION(Divw, static_cast<u32>(b) == 0 ? ~u64{0}
                        : static_cast<u32>(b) == ~u32{0}
                            ? sign_extend32(0 - static_cast<u32>(a))
                            : sign_extend32(static_cast<u32>(static_cast<i32>(a) / static_cast<i32>(b))))
CAISSON_OPERATION(Divuw, static_cast<u32>(b) == 0 ? ~u64{0} : sign_extend32(static_cast<u32>(a) / static_cast<u32>(b)))
CAISSON_OPERATION(Remw, static_cast<u32>(b) == 0 ? sign_extend32(static_cast<u32>(a))
                        : static_cast<u32>(b) == ~u32{0}
                            ? 0
                            : sign_extend32(static_cast<u32>(static_cast<i32>(a) % static_cast<i32>(b))))
CAISSON_OPERATION(Remuw, sign_extend32(static_cast<u32>(b) == 0 ? static_cast<u32>(a)
                                                                : static_cast<u32>(a) % static_cast<u32>(b)))

// Zba
CAISSON_OPERATION(AddUw, static_cast<u32>(a) + b)
CAISSON_OPERATION(Sh1add, (a << 1) + b)
CAISSON_OPERATION(Sh2add, (a << 2) + b)
CAISSON_OPERATION(Sh3add, (a << 3) + b)
CAISSON_OPERATION(Sh1addUw, (static_cast<u64>(static_cast<u32>(a)) << 1) + b)
CAISSON_OPERATION(Sh2addUw, (static_cast<u64>(static_cast<u32>(a)) << 2) + b)
CAISSON_OPERATION(Sh3addUw, (static_cast<u64>(static_cast<u32>(a)) << 3) + b)
CAISSON_OPERATION(SlliUw, static_cast<u64>(static_cast<u32>(a)) << (b & 63))

// Zbb
CAISSON_OPERATION(Andn, a & ~b)
CAISSON_OPERATION(Orn, a | ~b)
CAISSON_OPERATION(Xnor, ~(a ^ b))
CAISSON_OPERATION(Max, static_cast<i64>(a) > static_cast<i64>(b) ? a : b)
CAISSON_OPERATION(Maxu, a > b ? a : b)
CAISSON_OPERATION(Min, static_cast<i64>(a) < static_cast<i64>(b) ? a : b)
CAISSON_OPERATION(Minu, a < b ? a : b)
CAISSON_OPERATION(Rol, std::rotl(a, static_cast<int>(b & 63)))
CAISSON_OPERATION(Ror, std::rotr(a, static_cast<int>(b & 63)))
CAISSON_OPERATION(Rolw, sign_extend32(std::rotl(static_cast<u32>(a), static_cast<int>(b & 31))))
CAISSON_OPERATION(Rorw, sign_extend32(std::rotr(static_cast<u32>(a), static_cast<int>(b & 31))))
CAISSON_OPERATION(Clz, static_cast<u64>(std::countl_zero(a)))
CAISSON_OPERATION(Ctz, static_cast<u64>(std::countr_zero(a)))
CAISSON_OPERATION(Cpop, static_cast<u64>(std::popcount(a)))
CAISSON_OPERATION(Clzw, static_cast<u64>(std::countl_zero(static_cast<u32>(a))))
CAISSON_OPERATION(Ctzw, static_cast<u64>(std::countr_zero(static_cast<u32>(a))))
CAISSON_OPERATION(Cpopw, static_cast<u64>(std::popcount(static_cast<u32>(a))))
CAISSON_OPERATION(SextB, static_cast<u64>(static_cast<i64>(static_cast<std::int8_t>(a))))
CAISSON_OPERATION(SextH, static_cast<u64>(static_cast<i64>(static_cast<std::int16_t>(a))))
CAISSON_OPERATION(ZextH, a & 0xFFFF)
CAISSON_OPERATION(Rev8, __builtin_bswap64(a))
// Each byte becomes 0xFF where any of its bits is set: bit 7 of each byte collects the others, then spreads.
CAISSON_OPERATION(OrcB, ((((a & 0x7F7F7F7F7F7F7F7F) + 0x7F7F7F7F7F7F7F7F) | a) >> 7 & 0x0101010101010101) * 0xFF)

// Zbs
CAISSON_OPERATION(Bclr, a & ~(u64{1} << (b & 63)))
CAISSON_OPERATION(Bext, (a >> (b & 63)) & 1)
CAISSON_OPERATION(Binv, a ^ (u64{1} << (b & 63)))
CAISSON_OPERATION(Bset, a | (u64{1} << (b & 63)))

// Zicond
CAISSON_OPERATION(CzeroEqz, b == 0 ? 0 : a)
CAISSON_OPERATION(CzeroNez, b != 0 ? 0 : a)

// What lowering makes of add rd,x0,rs and addi rd,rs,0.
CAISSON_OPERATION(Move, a)

// Branch conditions.
#define CAISSON_CONDITION(Name, expression)                                                        \
  struct Name {                                                                                    \
    [[gnu::always_inline]] static bool holds(u64 a, [[maybe_unused]] u64 b) { return expression; } \
  };
CAISSON_CONDITION(Beq, a == b)
CAISSON_CONDITION(Bne, a != b)
CAISSON_CONDITION(Blt, static_cast<i64>(a) < static_cast<i64>(b))
CAISSON_CONDITION(Bge, static_cast<i64>(a) >= static_cast<i64>(b))
CAISSON_CONDITION(Bltu, a < b)
CAISSON_CONDITION(Bgeu, a >= b)

#undef CAISSON_OPERATION
#undef CAISSON_CONDITION

}  // namespace caisson::interp::operations
