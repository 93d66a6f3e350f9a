// Loads, stores, atomics, fences.
//
// An effective address is taken modulo 2^32 by using the low half of the base register, zero-extended in a scratch register, as an index
// from the window; copying 32 bits costs next to nothing, and the copy serves all accesses through the same base. The offset is added
// behind that: an address that leaves the window by it lies in a guard region, where it faults as the wrapped one does in the pages
// next to the window's ends, which are never mapped. Every access is one host instruction, and the only one of its guest instruction that writes anything before it is done.
#include "baseline/unit_emitter.h"

namespace caisson::baseline {

using riscv::HartState;
using riscv::Op;

[[clang::preserve_most]] Place UnitEmitter::known_address(unsigned base, std::int32_t offset) {
  const auto address = static_cast<std::uint32_t>(*known(base) + static_cast<std::uint64_t>(std::int64_t{offset}));
  if (static_cast<std::int32_t>(address) >= 0) return Place::at(kWindowRegister, static_cast<std::int32_t>(address));
  const Gp at = scratch();
  code().load_immediate(at, address);
  return Place::indexed(kWindowRegister, at);
}

// Where the address is not known, the access is put together at once.
CAISSON_SHARED void UnitEmitter::load_with(unsigned rd, unsigned base, std::int32_t offset, AccessOpcode opcode) {
  keep_place();
  if (known(base)) [[unlikely]]
    return load_from_known(rd, base, offset, opcode);
  const Gp at = use_low_half(base);
  const bool is_at_home = is_pinned(rd);
  const Gp to = is_at_home ? host(rd) : scratch();
  code().access(opcode, to, kWindowRegister, at, offset);
  if (rd == 0) [[unlikely]]
    return;
  written(rd);
  if (!is_at_home) bring_home_from_scratch(rd, to);
}

CAISSON_SHARED void UnitEmitter::load_from_known(unsigned rd, unsigned base, std::int32_t offset, AccessOpcode opcode) {
  const Place from = known_address(base, offset);
  const Gp to = target(rd);
  code().load(opcode, to, from);
  finish(rd, to);
}

CAISSON_SHARED void UnitEmitter::store_with(unsigned base, unsigned value, std::int32_t offset, unsigned bytes) {
  keep_place();
  if (known(base) || (bytes >= 4 && value == 0)) [[unlikely]]
    return store_elsewhere(base, value, offset, bytes);
  const Gp at = use_low_half(base);
  const Gp from = use(value);
  if (bytes == 2) [[unlikely]]
    code().operand_size_prefix();
  code().access(one_byte_opcode(bytes == 1 ? 0x88 : 0x89, bytes == 8 ? Width::k64 : Width::k32), from, kWindowRegister,
                at, offset);
}

// To a known address, or of zero.
CAISSON_SHARED void UnitEmitter::store_elsewhere(unsigned base, unsigned value, std::int32_t offset, unsigned bytes) {
  const Place to = guest_address(base, offset);
  const Width width = bytes == 8 ? Width::k64 : Width::k32;
  if (bytes >= 4) {
    if (value == 0) return code().store_immediate(width, to, 0);
    return code().store(width, to, use(value));
  }
  const Gp from = use(value);
  if (bytes == 2) {
    code().store16(to, from);
  } else {
    code().store8(to, from);
  }
}

// --- atomics ---

// The checked address in rdx; the other scratch registers are free afterwards.
Gp UnitEmitter::atomic_address(Decoded decoded, unsigned width) {
  keep_place();
  forget_scratch();
  if (decoded.op != Op::kLrW && decoded.op != Op::kLrD)
    next_place_[-1].half_word_and_flags |= InstructionPlace::kFaultsAsStore;
  const Gp address = take(Gp::rdx);
  take(Gp::rax);
  take(Gp::rcx);
  code().mov(Width::k32, address, operand(decoded.rs1));
  code().test_immediate8(address, static_cast<std::uint8_t>(width - 1));
  Stub& stub = add_stub(Stub::Kind::kMisalignedAtomic, code().jcc_forward(Condition::kNotEqual));
  stub.reg = static_cast<std::uint8_t>(number(address));
  stub.pc = pc();
  return address;
}

void UnitEmitter::finish_atomic(Decoded decoded, Width width, Gp old) {
  if (decoded.rd == 0) return;
  if (width == Width::k32) code().movsxd(old, old);
  finish(decoded.rd, old);
}

namespace {

constexpr unsigned bytes_of(Width width) { return width == Width::k64 ? 8 : 4; }
constexpr Place kReservationAddress = hart_field(offsetof(HartState, reservation_address));
constexpr Place kReservationValue = hart_field(offsetof(HartState, reservation_value));
constexpr Place kReservationWidth = hart_field(offsetof(HartState, reservation_width));

}  // namespace

template <Width width>
void UnitEmitter::load_reserved(Decoded decoded) {
  const Gp address = atomic_address(decoded, bytes_of(width));
  code().mov(width, Gp::rax, Place::indexed(kWindowRegister, address));
  code().store(Width::k64, kReservationAddress, address);
  code().store(Width::k64, kReservationValue, Gp::rax);
  code().store_immediate(Width::k32, kReservationWidth, bytes_of(width));
  finish_atomic(decoded, width, Gp::rax);
}

// Without a matching reservation nothing is accessed.
template <Width width>
void UnitEmitter::store_conditional(Decoded decoded) {
  const Gp address = atomic_address(decoded, bytes_of(width));
  code().load_word(Gp::rcx, 1);
  code().alu_immediate(Alu::kCmp, Width::k32, kReservationWidth, bytes_of(width));
  const std::uint32_t other_width = code().jcc_short_forward(Condition::kNotEqual);
  code().alu(Alu::kCmp, Width::k64, address, kReservationAddress);
  const std::uint32_t other_address = code().jcc_short_forward(Condition::kNotEqual);
  code().mov(Width::k64, Gp::rax, kReservationValue);
  if (is_pinned(decoded.rs2)) {
    code().lock_cmpxchg(width, Place::indexed(kWindowRegister, address), host(decoded.rs2));
  } else {
    code().mov(Width::k64, Gp::rcx, integer_home(decoded.rs2));
    code().lock_cmpxchg(width, Place::indexed(kWindowRegister, address), Gp::rcx);
  }
  code().set(Condition::kNotEqual, Gp::rcx);
  code().movzx8(Gp::rcx, Gp::rcx);
  code().bind_short(other_width);
  code().bind_short(other_address);
  code().store_immediate(Width::k32, kReservationWidth, 0);
  finish(decoded.rd, Gp::rcx);
}

template <Width width>
void UnitEmitter::atomic_swap(Decoded decoded) {
  const Gp address = atomic_address(decoded, bytes_of(width));
  copy(Gp::rax, operand(decoded.rs2));
  code().xchg(width, Place::indexed(kWindowRegister, address), Gp::rax);
  finish_atomic(decoded, width, Gp::rax);
}

template <Width width>
void UnitEmitter::atomic_add(Decoded decoded) {
  const Gp address = atomic_address(decoded, bytes_of(width));
  copy(Gp::rax, operand(decoded.rs2));
  code().lock_xadd(width, Place::indexed(kWindowRegister, address), Gp::rax);
  finish_atomic(decoded, width, Gp::rax);
}

// combine() makes rcx from the old value in rax.
template <Width width, class Combine>
void UnitEmitter::atomic_loop(Decoded decoded, const Combine& combine) {
  const Gp address = atomic_address(decoded, bytes_of(width));
  code().mov(width, Gp::rax, Place::indexed(kWindowRegister, address));
  const std::uint32_t again = code().offset();
  combine();
  code().lock_cmpxchg(width, Place::indexed(kWindowRegister, address), Gp::rcx);
  code().jcc_back(Condition::kNotEqual, again);
  finish_atomic(decoded, width, Gp::rax);
}

template <Width width, Alu operation>
void UnitEmitter::atomic_logic(Decoded decoded) {
  const Place with = is_pinned(decoded.rs2) ? Place(host(decoded.rs2)) : integer_home(decoded.rs2);
  atomic_loop<width>(decoded, [&] {
    code().mov(Width::k64, Gp::rcx, Gp::rax);
    code().alu(operation, width, Gp::rcx, with);
  });
}

template <Width width, Condition takes_operand>
void UnitEmitter::atomic_select(Decoded decoded) {
  const Place with = is_pinned(decoded.rs2) ? Place(host(decoded.rs2)) : integer_home(decoded.rs2);
  atomic_loop<width>(decoded, [&] {
    code().mov(Width::k64, Gp::rcx, Gp::rax);
    code().alu(Alu::kCmp, width, Gp::rax, with);
    code().cmov(takes_operand, Gp::rcx, with);
  });
}

void UnitEmitter::fence(Decoded decoded) {
  if (riscv::orders_store_before_load(decoded.ordering)) code().mfence();
}

std::span<const UnitEmitter::EmitterRow> UnitEmitter::memory_rows() {
  using E = UnitEmitter;
  constexpr Width k32 = Width::k32, k64 = Width::k64;
  static constexpr EmitterRow kRows[] = {
      emits<Op::kLb, &E::load<two_byte_opcode(0xBE, k64)>>,
      emits<Op::kLh, &E::load<two_byte_opcode(0xBF, k64)>>,
      emits<Op::kLw, &E::load<one_byte_opcode(0x63, k64)>>,
      emits<Op::kLd, &E::load<one_byte_opcode(0x8B, k64)>>,
      emits<Op::kLbu, &E::load<two_byte_opcode(0xB6, k32)>>,
      emits<Op::kLhu, &E::load<two_byte_opcode(0xB7, k32)>>,
      emits<Op::kLwu, &E::load<one_byte_opcode(0x8B, k32)>>,
      emits<Op::kSb, &E::store<1>>,
      emits<Op::kSh, &E::store<2>>,
      emits<Op::kSw, &E::store<4>>,
      emits<Op::kSd, &E::store<8>>,
      emits<Op::kLrW, &E::load_reserved<k32>>,
      emits<Op::kScW, &E::store_conditional<k32>>,
      emits<Op::kAmoswapW, &E::atomic_swap<k32>>,
      emits<Op::kAmoaddW, &E::atomic_add<k32>>,
      emits<Op::kAmoxorW, &E::atomic_logic<k32, Alu::kXor>>,
      emits<Op::kAmoandW, &E::atomic_logic<k32, Alu::kAnd>>,
      emits<Op::kAmoorW, &E::atomic_logic<k32, Alu::kOr>>,
      emits<Op::kAmominW, &E::atomic_select<k32, Condition::kGreater>>,
      emits<Op::kAmomaxW, &E::atomic_select<k32, Condition::kLess>>,
      emits<Op::kAmominuW, &E::atomic_select<k32, Condition::kAbove>>,
      emits<Op::kAmomaxuW, &E::atomic_select<k32, Condition::kBelow>>,
      emits<Op::kLrD, &E::load_reserved<k64>>,
      emits<Op::kScD, &E::store_conditional<k64>>,
      emits<Op::kAmoswapD, &E::atomic_swap<k64>>,
      emits<Op::kAmoaddD, &E::atomic_add<k64>>,
      emits<Op::kAmoxorD, &E::atomic_logic<k64, Alu::kXor>>,
      emits<Op::kAmoandD, &E::atomic_logic<k64, Alu::kAnd>>,
      emits<Op::kAmoorD, &E::atomic_logic<k64, Alu::kOr>>,
      emits<Op::kAmominD, &E::atomic_select<k64, Condition::kGreater>>,
      emits<Op::kAmomaxD, &E::atomic_select<k64, Condition::kLess>>,
      emits<Op::kAmominuD, &E::atomic_select<k64, Condition::kAbove>>,
      emits<Op::kAmomaxuD, &E::atomic_select<k64, Condition::kBelow>>,
      emits<Op::kFence, &E::fence>,
      emits<Op::kFenceTso, &E::nothing>,
      emits<Op::kPause, &E::nothing>,
  };
  return kRows;
}

}  // namespace caisson::baseline
