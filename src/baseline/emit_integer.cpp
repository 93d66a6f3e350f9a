// Integer arithmetic: RV64I, M, Zba, Zbb, Zbs, Zicond.
#include <algorithm>
#include <utility>

#include "baseline/unit_emitter.h"

namespace caisson::baseline {

using riscv::Op;

// Below, rd is never x0.

// rd = rs1 op rs2. A 32-bit result is sign-extended.
CAISSON_SHARED void UnitEmitter::binary_with(unsigned rd, unsigned rs1, unsigned rs2, Alu operation, Width width) {
  Place first = operand(rs1), second = operand(rs2);
  Gp to = target(rd);
  if (second.is(to) && !first.is(to)) {
    if (operation != Alu::kSub) {
      std::swap(first, second);
    } else {
      to = scratch();
    }
  }
  if (!first.is(to)) code().mov(width, to, first);
  code().alu(operation, width, to, second);
  if (width == Width::k32) code().movsxd(to, to);
  finish(rd, to);
}

void UnitEmitter::add(Decoded decoded) {
  if (decoded.rd == 0) return;
  if (decoded.rs1 == 0) return move(decoded.rd, decoded.rs2);
  if (decoded.rs2 == 0) return move(decoded.rd, decoded.rs1);
  add_registers(decoded.rd, decoded.rs1, decoded.rs2);
}

CAISSON_SHARED void UnitEmitter::move(unsigned rd, unsigned from) {
  if (const auto value = known(from)) return load_known(rd, *value);
  const Place source = operand(from);
  const bool is_at_home = is_pinned(rd);
  // To memory: a source there needs a register, and what a scratch register has is another register's copy from here on.
  if (__builtin_unpredictable((mask_unless_pinned(rd) & (source.in_memory() | source.first_tag())) != 0))
    return finish(rd, use(from));
  if ((source.in_memory() | (number(source.gp()) ^ number(host(rd)))) == 0) [[unlikely]]
    return written(rd);
  code().mov_or_store(!is_at_home, choose(is_at_home, host(rd), source.gp()),
                      choose(is_at_home, source, integer_home(rd)));
  written(rd);
}

CAISSON_SHARED void UnitEmitter::add_registers(unsigned rd, unsigned rs1, unsigned rs2) {
  const Place first = operand(rs1), second = operand(rs2);
  if (!first.is_register() || !second.is_register()) return binary_with(rd, rs1, rs2, Alu::kAdd, Width::k64);
  const Gp to = target(rd);
  if (first.is(to) || second.is(to)) {
    code().alu(Alu::kAdd, Width::k64, to, first.is(to) ? second : first);
  } else {
    code().lea(Width::k64, to, Place::indexed(first.gp(), second.gp()));
  }
  finish(rd, to);
}

void UnitEmitter::subtract(Decoded decoded) {
  if (decoded.rd == 0) return;
  if (decoded.rs1 != 0) return binary_with(decoded.rd, decoded.rs1, decoded.rs2, Alu::kSub, Width::k64);
  const Place from = operand(decoded.rs2);
  const Gp to = target(decoded.rd);
  copy(to, from);
  code().neg(Width::k64, to);
  finish(decoded.rd, to);
}

CAISSON_SHARED void UnitEmitter::immediate_with(unsigned rd, unsigned rs1, std::int32_t immediate, Alu operation) {
  const Place from = operand(rs1);
  const Gp to = target(rd);
  if (operation == Alu::kAnd && immediate == 255) {
    code().movzx8(to, from);
    return finish(rd, to);
  }
  if (!from.is(to)) copy(to, from);
  if (operation == Alu::kXor && immediate == -1) {
    code().invert(Width::k64, to);
  } else {
    // Conjunction with what is not negative clears the upper half, too.
    const Width width = operation == Alu::kAnd && immediate >= 0 ? Width::k32 : Width::k64;
    code().alu_immediate(operation, width, to, immediate);
  }
  finish(rd, to);
}

void UnitEmitter::add_immediate(Decoded decoded) {
  if (decoded.rd == 0) return;
  if (decoded.rs1 == 0) return load_known(decoded.rd, static_cast<std::uint64_t>(std::int64_t{decoded.imm}));
  add_immediate_to(decoded.rd, decoded.rs1, decoded.imm);
}

CAISSON_SHARED void UnitEmitter::add_immediate_to(unsigned rd, unsigned rs1, std::int32_t immediate) {
  if (const auto value = known(rs1))
    return load_known(rd, *value + static_cast<std::uint64_t>(std::int64_t{immediate}));
  if (immediate == 0) return move(rd, rs1);
  const Place from = operand(rs1);
  if (!from.is_register() && rd == rs1 && !is_pinned(rd)) {
    written(rd);
    code().alu_immediate(Alu::kAdd, Width::k64, from, immediate);
    return;
  }
  const Gp to = target(rd);
  if (from.is_register() && !from.is(to)) {
    code().lea(Width::k64, to, Place::at(from.gp(), immediate));
  } else {
    copy(to, from);
    code().alu_immediate(Alu::kAdd, Width::k64, to, immediate);
  }
  finish(rd, to);
}

CAISSON_SHARED void UnitEmitter::add_word_immediate_to(unsigned rd, unsigned rs1, std::int32_t immediate) {
  if (const auto value = known(rs1)) {
    const auto sum = static_cast<std::uint32_t>(*value) + static_cast<std::uint32_t>(immediate);
    return load_known(rd, static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(sum)}));
  }
  const Place from = operand(rs1);
  const Gp to = target(rd);
  if (immediate == 0) {
    code().movsxd(to, from);
    return finish(rd, to);
  }
  if (from.is_register() && !from.is(to)) {
    code().lea(Width::k32, to, Place::at(from.gp(), immediate));
  } else {
    if (!from.is(to)) code().mov(Width::k32, to, from);
    code().alu_immediate(Alu::kAdd, Width::k32, to, immediate);
  }
  code().movsxd(to, to);
  finish(rd, to);
}

// A constant in two instructions (lui or auipc, then addi or addiw of the same register) is put together when it is whole: nothing can
// look at the register in between. Not among overlapping encodings, where the follower may have been emitted first, for a register that
// is whole.
bool UnitEmitter::is_completed_next(Decoded decoded) const {
  if (in_stretch_ != 0 || is_second_pass_) return false;
  const PageScan::Instruction& follower = now_[1];
  const std::uint32_t next = follower.half_word;
  if (next != now_->next() || next >= std::min(event_due_, kHalfWords)) return false;
  const std::uint32_t bits = scan_->bits(next);
  switch (static_cast<Op>(follower.row)) {
    case Op::kAddi:
    case Op::kAddiw:
      if (riscv::decode_as<Op::kAddi>(bits).rs1 != decoded.rd || riscv::decode_as<Op::kAddi>(bits).rd != decoded.rd)
        return false;
      break;
    case Op::kCAddi:
    case Op::kCAddiw:
      if (riscv::decode_as<Op::kCAddi>(bits).rd != decoded.rd) return false;
      break;
    default:
      return false;
  }
  return (scan_->flags(next) & ~PageScan::kFloats) == PageScan::kVisited;
}

void UnitEmitter::load_upper_part(Decoded decoded, std::uint64_t value) {
  if (decoded.rd == 0 || !is_completed_next(decoded)) return load_known(decoded.rd, value);
  written(decoded.rd);
  set_known(decoded.rd, value);
}

void UnitEmitter::load_upper(Decoded decoded) {
  load_upper_part(decoded, static_cast<std::uint64_t>(std::int64_t{decoded.imm}));
}

void UnitEmitter::add_upper_to_pc(Decoded decoded) {
  load_upper_part(decoded, std::uint64_t{pc()} + static_cast<std::uint64_t>(std::int64_t{decoded.imm}));
}

template <Shift operation, Width width>
void UnitEmitter::shift(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Gp amount = use(decoded.rs2);
  const Place from = operand(decoded.rs1);
  const Gp to = target(decoded.rd);
  if constexpr (operation == Shift::kShl) {
    code().shlx(width, to, from, amount);
  } else if constexpr (operation == Shift::kShr) {
    code().shrx(width, to, from, amount);
  } else {
    code().sarx(width, to, from, amount);
  }
  if constexpr (width == Width::k32) code().movsxd(to, to);
  finish(decoded.rd, to);
}

CAISSON_SHARED void UnitEmitter::shift_by(unsigned rd, unsigned rs1, std::int32_t amount, Shift operation,
                                          Width width) {
  const Place from = operand(rs1);
  const Gp to = target(rd);
  if (!from.is(to)) code().mov(width, to, from);
  if (amount != 0) code().shift_immediate(operation, width, to, static_cast<std::uint8_t>(amount));
  if (width == Width::k32) code().movsxd(to, to);
  finish(rd, to);
}

template <Shift operation, Width width>
void UnitEmitter::rotate(Decoded decoded) {
  if (decoded.rd == 0) return;
  forget_scratch();
  take(Gp::rcx);
  code().mov(Width::k64, Gp::rcx, operand(decoded.rs2));
  const Place from = operand(decoded.rs1);
  const Gp to = scratch();
  copy(to, from);
  code().shift_by_cl(operation, width, to);
  if constexpr (width == Width::k32) code().movsxd(to, to);
  finish(decoded.rd, to);
}

template <Width width>
void UnitEmitter::rotate_immediate(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place from = operand(decoded.rs1);
  const Gp to = target(decoded.rd);
  code().rorx(width, to, from, static_cast<std::uint8_t>(decoded.imm));
  if constexpr (width == Width::k32) code().movsxd(to, to);
  finish(decoded.rd, to);
}

// rd = whether `condition` holds of rs1 compared with rs2.
CAISSON_SHARED void UnitEmitter::set_if_compared(unsigned rd, unsigned rs1, unsigned rs2, Condition condition) {
  const Place first = operand(rs1), second = operand(rs2);
  Gp to = target(rd);
  const bool clears_first = !first.is(to) && !second.is(to);
  if (clears_first) code().load_immediate(to, 0);
  if (first.is_register()) {
    code().alu(Alu::kCmp, Width::k64, first.gp(), second);
  } else if (second.is_register()) {
    code().alu_to(Alu::kCmp, Width::k64, first, second.gp());
  } else {
    code().alu(Alu::kCmp, Width::k64, use(rs1), second);
  }
  code().set(condition, to);
  if (!clears_first) code().movzx8(to, to);
  finish(rd, to);
}

CAISSON_SHARED void UnitEmitter::set_if_compared_with(unsigned rd, unsigned rs1, std::int32_t immediate,
                                                      Condition condition) {
  const Place from = operand(rs1);
  const Gp to = target(rd);
  const bool clears_first = !from.is(to);
  if (clears_first) code().load_immediate(to, 0);
  code().alu_immediate(Alu::kCmp, Width::k64, from, immediate);
  code().set(condition, to);
  if (!clears_first) code().movzx8(to, to);
  finish(rd, to);
}

template <unsigned amount, bool zero_extends>
void UnitEmitter::shift_add(Decoded decoded) {
  if (decoded.rd == 0) return;
  if constexpr (zero_extends) {
    if (decoded.rs2 == 0 && amount == 0) {  // zext.w
      const Place from = operand(decoded.rs1);
      const Gp to = target(decoded.rd);
      code().mov(Width::k32, to, from);
      return finish(decoded.rd, to);
    }
    const Gp base = use(decoded.rs2);
    const Place from = operand(decoded.rs1);
    const Gp shifted = scratch();
    const Gp to = is_pinned(decoded.rd) ? host(decoded.rd) : shifted;
    code().mov(Width::k32, shifted, from);
    code().lea(Width::k64, to, Place::indexed(base, shifted, amount));
    finish(decoded.rd, to);
  } else {
    const Gp shifted = use(decoded.rs1), base = use(decoded.rs2);
    const Gp to = target(decoded.rd);
    code().lea(Width::k64, to, Place::indexed(base, shifted, amount));
    finish(decoded.rd, to);
  }
}

void UnitEmitter::shift_zero_extended(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place from = operand(decoded.rs1);
  const Gp to = target(decoded.rd);
  code().mov(Width::k32, to, from);
  if (decoded.imm != 0) code().shift_immediate(Shift::kShl, Width::k64, to, static_cast<std::uint8_t>(decoded.imm));
  finish(decoded.rd, to);
}

void UnitEmitter::and_not(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Gp inverted = use(decoded.rs2);
  const Place other = operand(decoded.rs1);
  const Gp to = target(decoded.rd);
  code().andn(Width::k64, to, inverted, other);
  finish(decoded.rd, to);
}

void UnitEmitter::or_not(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place inverted = operand(decoded.rs2), other = operand(decoded.rs1);
  const Gp to = scratch();
  copy(to, inverted);
  code().invert(Width::k64, to);
  code().alu(Alu::kOr, Width::k64, to, other);
  finish(decoded.rd, to);
}

void UnitEmitter::xor_not(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place first = operand(decoded.rs1), second = operand(decoded.rs2);
  const Gp to = scratch();
  copy(to, first);
  code().alu(Alu::kXor, Width::k64, to, second);
  code().invert(Width::k64, to);
  finish(decoded.rd, to);
}

// Minimum and maximum: the second operand where `takes_second` holds of the comparison of the first with it.
template <Condition takes_second>
void UnitEmitter::select(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place first = operand(decoded.rs1), second = operand(decoded.rs2);
  Gp to = target(decoded.rd);
  if (second.is(to) && !first.is(to)) to = scratch();
  copy(to, first);
  code().alu(Alu::kCmp, Width::k64, to, second);
  code().cmov(takes_second, to, second);
  finish(decoded.rd, to);
}

template <auto count, Width width>
void UnitEmitter::count_bits(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place from = operand(decoded.rs1);
  const Gp to = target(decoded.rd);
  (code().*count)(width, to, from);
  finish(decoded.rd, to);
}

template <auto extend_from>
void UnitEmitter::extend(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place from = operand(decoded.rs1);
  const Gp to = target(decoded.rd);
  (code().*extend_from)(to, from);
  finish(decoded.rd, to);
}

// orc.b: bit 7 of each byte collects the others, then spreads.
void UnitEmitter::or_combine(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place from = operand(decoded.rs1);
  const Gp value = scratch(), mask = scratch();
  code().load_immediate(mask, 0x7F7F7F7F7F7F7F7F);
  copy(value, from);
  code().alu(Alu::kAnd, Width::k64, value, mask);
  code().alu(Alu::kAdd, Width::k64, value, mask);
  code().alu(Alu::kOr, Width::k64, value, from);
  code().shift_immediate(Shift::kShr, Width::k64, value, 7);
  code().load_immediate(mask, 0x0101010101010101);
  code().alu(Alu::kAnd, Width::k64, value, mask);
  copy(mask, value);  // × 255
  code().shift_immediate(Shift::kShl, Width::k64, value, 8);
  code().alu(Alu::kSub, Width::k64, value, mask);
  finish(decoded.rd, value);
}

void UnitEmitter::reverse_bytes(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place from = operand(decoded.rs1);
  const Gp to = target(decoded.rd);
  copy(to, from);
  code().bswap(to);
  finish(decoded.rd, to);
}

template <X86Assembler::Bit operation>
void UnitEmitter::change_bit(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Gp position = use(decoded.rs2);
  const Place from = operand(decoded.rs1);
  Gp to = target(decoded.rd);
  if (to == position) to = scratch();
  copy(to, from);
  code().bit(operation, to, position);
  finish(decoded.rd, to);
}

template <X86Assembler::Bit operation>
void UnitEmitter::change_bit_immediate(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place from = operand(decoded.rs1);
  const Gp to = target(decoded.rd);
  copy(to, from);
  code().bit_immediate(operation, to, static_cast<std::uint8_t>(decoded.imm));
  finish(decoded.rd, to);
}

void UnitEmitter::extract_bit(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Gp position = use(decoded.rs2), value = use(decoded.rs1);
  const Gp to = scratch();
  code().bit(X86Assembler::Bit::kTest, value, position);
  code().set(Condition::kBelow, to);
  code().movzx8(to, to);
  finish(decoded.rd, to);
}

void UnitEmitter::extract_bit_immediate(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place from = operand(decoded.rs1);
  const Gp to = target(decoded.rd);
  copy(to, from);
  if (decoded.imm != 0) code().shift_immediate(Shift::kShr, Width::k64, to, static_cast<std::uint8_t>(decoded.imm));
  code().alu_immediate(Alu::kAnd, Width::k32, to, 1);
  finish(decoded.rd, to);
}

// rs1 where `keeps` holds of rs2 compared with 0, else 0.
template <Condition keeps>
void UnitEmitter::conditional_zero(Decoded decoded) {
  if (decoded.rd == 0) return;
  const Place value = operand(decoded.rs1), condition = operand(decoded.rs2);
  const Gp to = scratch();
  code().load_immediate(to, 0);
  code().alu_immediate(Alu::kCmp, Width::k64, condition, 0);
  code().cmov(keeps, to, value);
  finish(decoded.rd, to);
}

template <Width width>
void UnitEmitter::multiply(Decoded decoded) {
  if (decoded.rd == 0) return;
  Place first = operand(decoded.rs1), second = operand(decoded.rs2);
  const Gp to = target(decoded.rd);
  if (second.is(to)) std::swap(first, second);
  if (!first.is(to)) code().mov(width, to, first);
  code().imul(width, to, second);
  if constexpr (width == Width::k32) code().movsxd(to, to);
  finish(decoded.rd, to);
}

void UnitEmitter::multiply_high(Decoded decoded) {
  if (decoded.rd == 0) return;
  take(Gp::rax);
  take(Gp::rdx);
  const Place second = operand(decoded.rs2);
  copy(Gp::rax, operand(decoded.rs1));
  code().imul_wide(Width::k64, second);
  finish(decoded.rd, Gp::rdx);
}

void UnitEmitter::multiply_high_unsigned(Decoded decoded) {
  if (decoded.rd == 0) return;
  forget_scratch();
  take(Gp::rdx);
  const Place second = operand(decoded.rs2);
  copy(Gp::rdx, operand(decoded.rs1));
  const Gp to = target(decoded.rd);
  code().mulx(to, Gp::rdx, second);  // the low half is dropped
  finish(decoded.rd, to);
}

// Signed × unsigned: the unsigned product less rs2 << 64 where rs1 is negative.
void UnitEmitter::multiply_high_mixed(Decoded decoded) {
  if (decoded.rd == 0) return;
  forget_scratch();
  take(Gp::rax);
  take(Gp::rcx);
  take(Gp::rdx);
  const Place first = operand(decoded.rs1), second = operand(decoded.rs2);
  copy(Gp::rdx, first);
  code().mulx(Gp::rax, Gp::rcx, second);
  code().shift_immediate(Shift::kSar, Width::k64, Gp::rdx, 63);
  code().alu(Alu::kAnd, Width::k64, Gp::rdx, second);
  code().alu(Alu::kSub, Width::k64, Gp::rax, Gp::rdx);
  finish(decoded.rd, Gp::rax);
}

// Division by zero and overflow have the results of the manual's table 7.1 and never reach the host's division.
template <Width width, bool is_signed, bool remainder>
void UnitEmitter::divide(Decoded decoded) {
  if (decoded.rd == 0) return;
  forget_scratch();
  take(Gp::rax);
  take(Gp::rcx);
  take(Gp::rdx);
  code().mov(width, Gp::rcx, operand(decoded.rs2));
  code().mov(width, Gp::rax, operand(decoded.rs1));
  code().test(width, Gp::rcx, Gp::rcx);
  const std::uint32_t by_zero = code().jcc_short_forward(Condition::kEqual);
  std::uint32_t by_minus_one = 0;
  if constexpr (is_signed) {
    code().alu_immediate(Alu::kCmp, width, Gp::rcx, -1);
    by_minus_one = code().jcc_short_forward(Condition::kEqual);
    code().sign_extend_rax(width);
    code().idiv(width, Gp::rcx);
  } else {
    code().alu(Alu::kXor, Width::k32, Gp::rdx, Gp::rdx);
    code().div(width, Gp::rcx);
  }
  if constexpr (remainder) code().mov(width, Gp::rax, Gp::rdx);
  const std::uint32_t divided = code().jmp_short_forward();
  std::uint32_t negated = 0;
  if constexpr (is_signed) {
    code().bind_short(by_minus_one);
    if constexpr (remainder) {
      code().alu(Alu::kXor, Width::k32, Gp::rax, Gp::rax);
    } else {
      code().neg(width, Gp::rax);
    }
    negated = code().jmp_short_forward();
  }
  code().bind_short(by_zero);
  if constexpr (!remainder) code().alu_immediate(Alu::kOr, width, Gp::rax, -1);
  if constexpr (is_signed) code().bind_short(negated);
  code().bind_short(divided);
  if constexpr (width == Width::k32) code().movsxd(Gp::rax, Gp::rax);
  finish(decoded.rd, Gp::rax);
}

std::span<const UnitEmitter::EmitterRow> UnitEmitter::integer_rows() {
  using E = UnitEmitter;
  using Bit = X86Assembler::Bit;
  constexpr Width k32 = Width::k32, k64 = Width::k64;
  static constexpr EmitterRow kRows[] = {
      emits<Op::kLui, &E::load_upper>,
      emits<Op::kAuipc, &E::add_upper_to_pc>,
      emits<Op::kAddi, &E::add_immediate>,
      emits<Op::kSlti, &E::set_if_immediate<Condition::kLess>>,
      emits<Op::kSltiu, &E::set_if_immediate<Condition::kBelow>>,
      emits<Op::kXori, &E::immediate<Alu::kXor>>,
      emits<Op::kOri, &E::immediate<Alu::kOr>>,
      emits<Op::kAndi, &E::immediate<Alu::kAnd>>,
      emits<Op::kSlli, &E::shift_immediate<Shift::kShl, k64>>,
      emits<Op::kSrli, &E::shift_immediate<Shift::kShr, k64>>,
      emits<Op::kSrai, &E::shift_immediate<Shift::kSar, k64>>,
      emits<Op::kAdd, &E::add>,
      emits<Op::kSub, &E::subtract>,
      emits<Op::kSll, &E::shift<Shift::kShl, k64>>,
      emits<Op::kSlt, &E::set_if<Condition::kLess>>,
      emits<Op::kSltu, &E::set_if<Condition::kBelow>>,
      emits<Op::kXor, &E::binary<Alu::kXor, k64>>,
      emits<Op::kSrl, &E::shift<Shift::kShr, k64>>,
      emits<Op::kSra, &E::shift<Shift::kSar, k64>>,
      emits<Op::kOr, &E::binary<Alu::kOr, k64>>,
      emits<Op::kAnd, &E::binary<Alu::kAnd, k64>>,
      emits<Op::kAddiw, &E::add_word_immediate>,
      emits<Op::kSlliw, &E::shift_immediate<Shift::kShl, k32>>,
      emits<Op::kSrliw, &E::shift_immediate<Shift::kShr, k32>>,
      emits<Op::kSraiw, &E::shift_immediate<Shift::kSar, k32>>,
      emits<Op::kAddw, &E::binary<Alu::kAdd, k32>>,
      emits<Op::kSubw, &E::binary<Alu::kSub, k32>>,
      emits<Op::kSllw, &E::shift<Shift::kShl, k32>>,
      emits<Op::kSrlw, &E::shift<Shift::kShr, k32>>,
      emits<Op::kSraw, &E::shift<Shift::kSar, k32>>,
      emits<Op::kMul, &E::multiply<k64>>,
      emits<Op::kMulw, &E::multiply<k32>>,
      emits<Op::kMulh, &E::multiply_high>,
      emits<Op::kMulhu, &E::multiply_high_unsigned>,
      emits<Op::kMulhsu, &E::multiply_high_mixed>,
      emits<Op::kDiv, &E::divide<k64, true, false>>,
      emits<Op::kDivu, &E::divide<k64, false, false>>,
      emits<Op::kRem, &E::divide<k64, true, true>>,
      emits<Op::kRemu, &E::divide<k64, false, true>>,
      emits<Op::kDivw, &E::divide<k32, true, false>>,
      emits<Op::kDivuw, &E::divide<k32, false, false>>,
      emits<Op::kRemw, &E::divide<k32, true, true>>,
      emits<Op::kRemuw, &E::divide<k32, false, true>>,
      emits<Op::kSh1add, &E::shift_add<1, false>>,
      emits<Op::kSh2add, &E::shift_add<2, false>>,
      emits<Op::kSh3add, &E::shift_add<3, false>>,
      emits<Op::kSh1addUw, &E::shift_add<1, true>>,
      emits<Op::kSh2addUw, &E::shift_add<2, true>>,
      emits<Op::kSh3addUw, &E::shift_add<3, true>>,
      emits<Op::kAddUw, &E::shift_add<0, true>>,
      emits<Op::kSlliUw, &E::shift_zero_extended>,
      emits<Op::kAndn, &E::and_not>,
      emits<Op::kOrn, &E::or_not>,
      emits<Op::kXnor, &E::xor_not>,
      emits<Op::kClz, &E::count_bits<&X86Assembler::lzcnt, k64>>,
      emits<Op::kCtz, &E::count_bits<&X86Assembler::tzcnt, k64>>,
      emits<Op::kCpop, &E::count_bits<&X86Assembler::popcnt, k64>>,
      emits<Op::kClzw, &E::count_bits<&X86Assembler::lzcnt, k32>>,
      emits<Op::kCtzw, &E::count_bits<&X86Assembler::tzcnt, k32>>,
      emits<Op::kCpopw, &E::count_bits<&X86Assembler::popcnt, k32>>,
      emits<Op::kMax, &E::select<Condition::kLess>>,
      emits<Op::kMaxu, &E::select<Condition::kBelow>>,
      emits<Op::kMin, &E::select<Condition::kGreater>>,
      emits<Op::kMinu, &E::select<Condition::kAbove>>,
      emits<Op::kSextB, &E::extend<&X86Assembler::movsx8>>,
      emits<Op::kSextH, &E::extend<&X86Assembler::movsx16>>,
      emits<Op::kZextH, &E::extend<&X86Assembler::movzx16>>,
      emits<Op::kRol, &E::rotate<Shift::kRol, k64>>,
      emits<Op::kRor, &E::rotate<Shift::kRor, k64>>,
      emits<Op::kRori, &E::rotate_immediate<k64>>,
      emits<Op::kRolw, &E::rotate<Shift::kRol, k32>>,
      emits<Op::kRorw, &E::rotate<Shift::kRor, k32>>,
      emits<Op::kRoriw, &E::rotate_immediate<k32>>,
      emits<Op::kOrcB, &E::or_combine>,
      emits<Op::kRev8, &E::reverse_bytes>,
      emits<Op::kBclr, &E::change_bit<Bit::kReset>>,
      emits<Op::kBclri, &E::change_bit_immediate<Bit::kReset>>,
      emits<Op::kBext, &E::extract_bit>,
      emits<Op::kBexti, &E::extract_bit_immediate>,
      emits<Op::kBinv, &E::change_bit<Bit::kComplement>>,
      emits<Op::kBinvi, &E::change_bit_immediate<Bit::kComplement>>,
      emits<Op::kBset, &E::change_bit<Bit::kSet>>,
      emits<Op::kBseti, &E::change_bit_immediate<Bit::kSet>>,
      emits<Op::kCzeroEqz, &E::conditional_zero<Condition::kNotEqual>>,
      emits<Op::kCzeroNez, &E::conditional_zero<Condition::kEqual>>,
  };
  return kRows;
}

}  // namespace caisson::baseline
