// F and D, inline with exact flags.
//
// While compiled float code runs, MXCSR holds the guest's rounding mode and collects its flags (Thunks::load_floats). x86 and RISC-V
// agree on inexact, underflow (tininess after rounding), overflow, division by zero and invalid; what differs is done here: NaN
// results are canonical, singles are boxed, minimum, maximum and conversions have RISC-V's corner results. The rare corners and
// rounding modes that MXCSR cannot express go to Context::perform, which computes in integers.
//
// Scalar AVX operations keep the upper bits of their first source, so the result of a single whose first source is boxed is boxed.
#include <bit>

#include "baseline/unit_emitter.h"
#include "isa/riscv/float_semantics.h"

namespace caisson::baseline {

using riscv::Op;

namespace {

// Opcodes of the scalar operations (Intel SDM volume 2), with the prefix F2 for doubles and F3 for singles.
constexpr std::uint8_t kAddOpcode = 0x58, kMultiplyOpcode = 0x59, kSubtractOpcode = 0x5C, kMinimumOpcode = 0x5D,
                       kDivideOpcode = 0x5E, kMaximumOpcode = 0x5F, kRootOpcode = 0x51, kConvertOpcode = 0x5A;
constexpr std::uint8_t kAndOpcode = 0x54, kAndNotOpcode = 0x55, kOrOpcode = 0x56, kXorOpcode = 0x57;
constexpr std::uint8_t kUnorderedCompare = 0x2E, kOrderedCompare = 0x2F;
// vfmadd213 and its kin: first × second + third.
constexpr std::uint8_t kMultiplyAdd = 0xA9, kMultiplySubtract = 0xAB, kNegatedMultiplyAdd = 0xAD,
                       kNegatedMultiplySubtract = 0xAF;

constexpr Prefix scalar(bool is_double) { return is_double ? Prefix::kF2 : Prefix::kF3; }
constexpr Prefix packed(bool is_double) { return is_double ? Prefix::k66 : Prefix::kNone; }

}  // namespace

// --- operands ---

Place UnitEmitter::float_operand(unsigned reg) const {
  return is_float_pinned(reg) ? Place(float_host(reg)) : float_home(reg);
}

Xmm UnitEmitter::float_use(unsigned reg, Xmm into) {
  if (is_float_pinned(reg)) return float_host(reg);
  code().vmovsd_load(into, float_home(reg));
  return into;
}

void UnitEmitter::float_finish(unsigned reg, Xmm value, bool boxed) {
  if (is_float_pinned(reg)) {
    code().vmovapd(float_host(reg), value);
  } else {
    code().vmovsd_store(float_home(reg), value);
  }
  pending_ &= ~(std::uint32_t{1} << reg);
  pending_singles_ &= ~(std::uint32_t{1} << reg);
  boxed_ = boxed ? boxed_ | std::uint32_t{1} << reg : boxed_ & ~(std::uint32_t{1} << reg);
}

// A single that is not boxed reads as the canonical NaN (section 21.2 of the manual). A double that is still to be made canonical
// could look boxed.
Xmm UnitEmitter::single_use(unsigned reg, Xmm into) {
  settle(std::uint32_t{1} << reg & ~pending_singles_);
  if ((boxed_ >> reg & 1) != 0) return float_use(reg, into);
  if (is_float_pinned(reg)) {
    code().vmovapd(into, float_host(reg));
    const Gp high = scratch();
    code().vmovq(high, into);
    code().shift_immediate(Shift::kShr, Width::k64, high, 32);
    code().alu_immediate(Alu::kCmp, Width::k32, high, -1);
    release(high);
  } else {
    code().vmovsd_load(into, float_home(reg));
    code().alu_immediate(Alu::kCmp, Width::k32, upper_half_of_float_home(reg), -1);
  }
  Stub& stub = add_stub(Stub::Kind::kLoadConstant, code().jcc_forward(Condition::kNotEqual));
  stub.reg = static_cast<std::uint8_t>(number(into));
  stub.constant = &thunks_.constants()->canonical_single;
  return into;
}

void UnitEmitter::make_canonical(Xmm value, bool is_double) {
  code().avx(packed(is_double), kUnorderedCompare, value, Xmm::xmm0, value);
  Stub& stub = add_stub(Stub::Kind::kLoadConstant, code().jcc_forward(Condition::kParity));
  stub.reg = static_cast<std::uint8_t>(number(value));
  stub.constant = is_double ? &thunks_.constants()->canonical_double : &thunks_.constants()->canonical_single;
}

void UnitEmitter::float_finish_computed(unsigned reg, Xmm value, bool is_double) {
  const bool waits = is_float_pinned(reg);
  if (!waits) make_canonical(value, is_double);
  float_finish(reg, value, !is_double);
  if (!waits) return;
  pending_ |= std::uint32_t{1} << reg;
  if (!is_double) pending_singles_ |= std::uint32_t{1} << reg;
}

// Makes pending values canonical, two by one comparison: a pair is unordered where either is a NaN. Comparing raises nothing, since
// no result of an operation is a signalling NaN.
void UnitEmitter::settle_pending(std::uint32_t registers) {
  for (const bool is_double : {true, false}) {
    std::uint32_t left = registers & (is_double ? ~pending_singles_ : pending_singles_);
    while (left != 0) {
      const Xmm first = float_host(static_cast<unsigned>(std::countr_zero(left)));
      left &= left - 1;
      const Xmm second = left == 0 ? first : float_host(static_cast<unsigned>(std::countr_zero(left)));
      left &= left - 1;
      code().avx(packed(is_double), kUnorderedCompare, first, Xmm::xmm0, second);
      Stub& stub = add_stub(Stub::Kind::kCanonicalPair, code().jcc_forward(Condition::kParity));
      stub.reg = static_cast<std::uint8_t>(number(first));
      stub.other = static_cast<std::uint8_t>(number(second));
      stub.is_double = is_double;
    }
  }
  pending_ &= ~registers;
  pending_singles_ &= ~registers;
}

void UnitEmitter::settle_pair(Xmm first, Xmm second, bool is_double) {
  const void* const canonical =
      is_double ? &thunks_.constants()->canonical_double : &thunks_.constants()->canonical_single;
  for (const Xmm value : {first, second}) {
    code().avx(packed(is_double), kUnorderedCompare, value, Xmm::xmm0, value);
    const std::uint32_t is_number = code().jcc_short_forward(Condition::kNoParity);
    code().vmovsd_load(value, Place::absolute(canonical));
    code().bind_short(is_number);
  }
}

// --- what is not inline ---

bool UnitEmitter::needs_software(Decoded decoded) const {
  const bool is_dynamic = decoded.rm == static_cast<std::uint8_t>(riscv::RoundingMode::kDynamic);
  if (is_dynamic && (map_.software_rounding || rounding_unknown_)) return true;
  return !riscv::uses_host_rounding(decoded.op, decoded.rm);
}

void UnitEmitter::perform(Decoded decoded) {
  settle(pending_);  // it may leave
  forget_scratch();
  code().load_word(Gp::rax, pc());
  code().load_word(Gp::rdx, bits());
  code().call(thunks_.perform());
  const riscv::InstructionInfo& row = riscv::info(decoded.op);
  if (row.has(riscv::traits::kFloatRd)) {
    boxed_ &= ~(std::uint32_t{1} << decoded.rd);
  } else if (decoded.rd != 0) {
    written(decoded.rd);
  }
}

// Where the condition holds, the whole instruction is performed elsewhere; bind_performed() is where both ways meet, with the
// result at home.
void UnitEmitter::perform_if(Condition condition, Decoded) {
  Stub& stub = add_stub(Stub::Kind::kPerform, code().jcc_forward(condition));
  stub.pc = pc();
  stub.bits = bits();
  performs_.push_back(static_cast<std::uint32_t>(stubs_.size() - 1));
}

void UnitEmitter::bind_performed(Decoded) {
  for (const std::uint32_t index : performs_) stubs_[index].back = code().offset();
  performs_.clear();
  forget_scratch();
}

// --- arithmetic ---

template <bool is_double, std::uint8_t opcode>
void UnitEmitter::float_binary(Decoded decoded) {
  if (needs_software(decoded)) return perform(decoded);
  const Xmm to = float_target(decoded.rd);
  if constexpr (is_double) {
    const Xmm first = float_use(decoded.rs1, Xmm::xmm1);
    code().avx(scalar(true), opcode, to, first, float_operand(decoded.rs2));
  } else {
    const Xmm first = single_use(decoded.rs1, Xmm::xmm1);
    const Xmm second = decoded.rs2 == decoded.rs1 ? first : single_use(decoded.rs2, Xmm::xmm2);
    code().avx(scalar(false), opcode, to, first, second);
  }
  float_finish_computed(decoded.rd, to, is_double);
}

template <bool is_double>
void UnitEmitter::float_root(Decoded decoded) {
  if (needs_software(decoded)) return perform(decoded);
  const Xmm to = float_target(decoded.rd);
  const Xmm from = is_double ? float_use(decoded.rs1, Xmm::xmm1) : single_use(decoded.rs1, Xmm::xmm1);
  code().avx(scalar(is_double), kRootOpcode, to, from, from);
  float_finish_computed(decoded.rd, to, is_double);
}

// infinity × 0 + quiet NaN is invalid in RISC-V (section 21.6) and silent in x86: where the result is a NaN, the instruction is
// performed again.
template <bool is_double, std::uint8_t opcode>
void UnitEmitter::float_fused(Decoded decoded) {
  if (needs_software(decoded)) return perform(decoded);
  const auto use_one = [&](unsigned reg, Xmm into) { return is_double ? float_use(reg, into) : single_use(reg, into); };
  const Xmm first = use_one(decoded.rs1, Xmm::xmm0);
  const Xmm second = use_one(decoded.rs2, Xmm::xmm1);
  const Xmm third = use_one(decoded.rs3, Xmm::xmm2);
  code().vmovapd(Xmm::xmm0, first);
  code().avx(Prefix::k66, Map::k0F38, is_double, opcode, Xmm::xmm0, second, third);
  code().avx(packed(is_double), kUnorderedCompare, Xmm::xmm0, Xmm::xmm0, Xmm::xmm0);
  perform_if(Condition::kParity, decoded);
  float_finish(decoded.rd, Xmm::xmm0, !is_double);
  bind_performed(decoded);
}

template <bool is_double, UnitEmitter::Sign sign>
void UnitEmitter::float_sign(Decoded decoded) {
  const auto use_one = [&](unsigned reg, Xmm into) { return is_double ? float_use(reg, into) : single_use(reg, into); };
  settle(std::uint32_t{1} << decoded.rs1 | std::uint32_t{1} << decoded.rs2);
  const FloatConstants& constants = *thunks_.constants();
  const Place sign_mask = Place::absolute(is_double ? &constants.double_sign : &constants.single_sign);
  const Place magnitude_mask = Place::absolute(is_double ? &constants.double_magnitude : &constants.single_magnitude);
  const Xmm magnitude = use_one(decoded.rs1, Xmm::xmm1);
  if (decoded.rs1 == decoded.rs2) {  // fmv, fneg, fabs
    if (sign == Sign::kCopy) return float_finish(decoded.rd, magnitude, !is_double);
    const Xmm to = float_target(decoded.rd);
    if (sign == Sign::kNegate) {
      code().avx(Prefix::k66, kXorOpcode, to, magnitude, sign_mask);
    } else {
      code().avx(Prefix::k66, kAndOpcode, to, magnitude, magnitude_mask);
    }
    return float_finish(decoded.rd, to, !is_double);
  }
  const Xmm other = use_one(decoded.rs2, Xmm::xmm2);
  code().vmovsd_load(Xmm::xmm0, sign_mask);
  if constexpr (sign == Sign::kNegate) {
    code().avx(Prefix::k66, kAndNotOpcode, Xmm::xmm0, other, Xmm::xmm0);
  } else {
    code().avx(Prefix::k66, kAndOpcode, Xmm::xmm0, other, Xmm::xmm0);
  }
  const Xmm to = float_target(decoded.rd);
  if constexpr (sign == Sign::kMultiply) {
    code().avx(Prefix::k66, kXorOpcode, to, magnitude, Xmm::xmm0);
  } else {
    code().avx(Prefix::k66, kAndOpcode, Xmm::xmm1, magnitude, magnitude_mask);
    code().avx(Prefix::k66, kOrOpcode, to, Xmm::xmm1, Xmm::xmm0);
  }
  float_finish(decoded.rd, to, !is_double);
}

// -0 is less than +0. The comparison raises invalid for signalling NaNs, as wanted; which operand a NaN leaves is told elsewhere.
template <bool is_double, bool maximum>
void UnitEmitter::float_select(Decoded decoded) {
  const Xmm first = is_double ? float_use(decoded.rs1, Xmm::xmm1) : single_use(decoded.rs1, Xmm::xmm1);
  const Xmm second = is_double ? float_use(decoded.rs2, Xmm::xmm2) : single_use(decoded.rs2, Xmm::xmm2);
  code().avx(packed(is_double), kUnorderedCompare, first, Xmm::xmm0, second);
  perform_if(Condition::kParity, decoded);
  const std::uint32_t differ = code().jcc_short_forward(Condition::kNotEqual);
  code().avx(Prefix::k66, maximum ? kAndOpcode : kOrOpcode, Xmm::xmm0, first, second);
  const std::uint32_t done = code().jmp_short_forward();
  code().bind_short(differ);
  code().avx(scalar(is_double), maximum ? kMaximumOpcode : kMinimumOpcode, Xmm::xmm0, first, second);
  code().bind_short(done);
  float_finish(decoded.rd, Xmm::xmm0, !is_double);
  bind_performed(decoded);
}

// feq is quiet, flt and fle are signalling; an unordered pair sets the carry, so that "above" is false for it.
template <bool is_double, UnitEmitter::Comparison comparison>
void UnitEmitter::float_compare(Decoded decoded) {
  const Xmm first = is_double ? float_use(decoded.rs1, Xmm::xmm1) : single_use(decoded.rs1, Xmm::xmm1);
  const Xmm second = is_double ? float_use(decoded.rs2, Xmm::xmm2) : single_use(decoded.rs2, Xmm::xmm2);
  const Gp result = scratch();
  if constexpr (comparison == Comparison::kEqual) {
    code().load_immediate(result, 0);
    const Gp none = scratch();
    code().load_immediate(none, 0);
    code().avx(packed(is_double), kUnorderedCompare, first, Xmm::xmm0, second);
    code().set(Condition::kEqual, result);
    code().cmov(Condition::kParity, result, none);
  } else {
    code().load_immediate(result, 0);
    code().avx(packed(is_double), kOrderedCompare, second, Xmm::xmm0, first);
    code().set(comparison == Comparison::kLess ? Condition::kAbove : Condition::kAboveEqual, result);
  }
  finish(decoded.rd, result);
}

// --- conversions ---

// The host answers the most negative integer for whatever does not fit; that value, and what its signed conversion cannot tell
// apart, is performed elsewhere. Below the limits no rounding mode leaves the range of the unsigned integers, in either precision:
// 2^32 - 2^9 and 2^63 - 2^40 have 24 bits.
template <bool is_double, Width width, bool is_signed>
void UnitEmitter::float_to_integer(Decoded decoded) {
  const bool truncates = decoded.rm == static_cast<std::uint8_t>(riscv::RoundingMode::kTowardZero);
  if (!truncates && needs_software(decoded)) return perform(decoded);
  constexpr std::uint8_t kTruncate = 0x2C, kRound = 0x2D;
  const std::uint8_t opcode = truncates ? kTruncate : kRound;
  const Xmm from = is_double ? float_use(decoded.rs1, Xmm::xmm1) : single_use(decoded.rs1, Xmm::xmm1);
  const Gp to = scratch();
  if constexpr (is_signed) {
    code().convert_to_integer(scalar(is_double), opcode, width, to, from);
    if constexpr (width == Width::k32) {
      code().alu_immediate(Alu::kCmp, width, to, INT32_MIN);
      perform_if(Condition::kEqual, decoded);
      code().movsxd(to, to);
    } else {
      const Gp sentinel = scratch();
      code().load_immediate(sentinel, std::uint64_t{1} << 63);
      code().alu(Alu::kCmp, width, to, sentinel);
      perform_if(Condition::kEqual, decoded);
    }
  } else {
    // Quiet comparisons: a NaN must raise no more than the conversion does. Unordered is "below", too.
    const FloatConstants& constants = *thunks_.constants();
    const void* limit = width == Width::k32 ? (is_double ? static_cast<const void*>(&constants.limit_of_unsigned_words)
                                                         : &constants.single_limit_of_unsigned_words)
                                            : (is_double ? static_cast<const void*>(&constants.limit_of_unsigned_longs)
                                                         : &constants.single_limit_of_unsigned_longs);
    code().avx(Prefix::k66, kXorOpcode, Xmm::xmm0, Xmm::xmm0, Xmm::xmm0);
    code().avx(packed(is_double), kUnorderedCompare, from, Xmm::xmm0, Xmm::xmm0);
    perform_if(Condition::kBelow, decoded);
    if constexpr (is_double) {
      code().vmovsd_load(Xmm::xmm0, Place::absolute(limit));
    } else {
      code().vmovss_load(Xmm::xmm0, Place::absolute(limit));
    }
    code().avx(packed(is_double), kUnorderedCompare, Xmm::xmm0, Xmm::xmm0, from);
    perform_if(Condition::kBelowEqual, decoded);
    code().convert_to_integer(scalar(is_double), opcode, Width::k64, to, from);
    if constexpr (width == Width::k32) code().movsxd(to, to);
  }
  finish(decoded.rd, to);
  bind_performed(decoded);
}

template <bool is_double, Width width, bool is_signed>
void UnitEmitter::integer_to_float(Decoded decoded) {
  if (needs_software(decoded)) return perform(decoded);
  const Xmm to = float_target(decoded.rd);
  Place from = operand(decoded.rs1);
  Width source = width;
  if constexpr (!is_signed) {
    source = Width::k64;
    const Gp value = scratch();
    code().mov(width, value, from);
    if constexpr (width == Width::k64) {
      code().test(Width::k64, value, value);
      perform_if(Condition::kSign, decoded);
    }
    from = value;
  }
  // The upper bits come from the first source: ones make the box.
  if constexpr (is_double) {
    code().avx(Prefix::k66, kXorOpcode, to, to, to);
  } else {
    code().avx(Prefix::k66, 0x76, to, to, to);  // vpcmpeqd
  }
  code().convert_from_integer(scalar(is_double), source, to, to, from);
  float_finish(decoded.rd, to, !is_double);
  if constexpr (!is_signed && width == Width::k64) bind_performed(decoded);
}

void UnitEmitter::widen(Decoded decoded) {
  if (needs_software(decoded)) return perform(decoded);
  const Xmm from = single_use(decoded.rs1, Xmm::xmm1);
  const Xmm to = float_target(decoded.rd);
  code().avx(Prefix::kF3, kConvertOpcode, to, from, from);
  float_finish_computed(decoded.rd, to, true);
}

void UnitEmitter::narrow(Decoded decoded) {
  if (needs_software(decoded)) return perform(decoded);
  const Xmm from = float_use(decoded.rs1, Xmm::xmm1);
  code().avx(Prefix::k66, 0x76, Xmm::xmm0, Xmm::xmm0, Xmm::xmm0);
  code().avx(Prefix::kF2, kConvertOpcode, Xmm::xmm0, Xmm::xmm0, from);
  float_finish_computed(decoded.rd, Xmm::xmm0, false);
}

// --- moves, loads, stores ---

template <bool is_double>
void UnitEmitter::bits_to_integer(Decoded decoded) {
  if (decoded.rd == 0) return;
  settle(std::uint32_t{1} << decoded.rs1);
  const Gp to = target(decoded.rd);
  if (is_float_pinned(decoded.rs1)) {
    if constexpr (is_double) {
      code().vmovq(to, float_host(decoded.rs1));
    } else {
      code().vmovd(to, float_host(decoded.rs1));
      code().movsxd(to, to);
    }
  } else if constexpr (is_double) {
    code().mov(Width::k64, to, float_home(decoded.rs1));
  } else {
    code().movsxd(to, float_home(decoded.rs1));
  }
  finish(decoded.rd, to);
}

template <bool is_double>
void UnitEmitter::bits_to_float(Decoded decoded) {
  const Gp from = use(decoded.rs1);
  const Xmm to = float_target(decoded.rd);
  if constexpr (is_double) {
    code().vmovq(to, from);
  } else {
    code().vmovd(to, from);
    code().avx(Prefix::k66, kOrOpcode, to, to, Place::absolute(&thunks_.constants()->box));
  }
  float_finish(decoded.rd, to, !is_double);
}

template <bool is_double>
void UnitEmitter::float_load(Decoded decoded) {
  keep_place();
  const Place from = guest_address(decoded.rs1, decoded.imm);
  const Xmm to = float_target(decoded.rd);
  if constexpr (is_double) {
    code().vmovsd_load(to, from);
  } else {
    code().vmovss_load(to, from);
    code().avx(Prefix::k66, kOrOpcode, to, to, Place::absolute(&thunks_.constants()->box));
  }
  float_finish(decoded.rd, to, !is_double);
}

template <bool is_double>
void UnitEmitter::float_store(Decoded decoded) {
  keep_place();
  settle(std::uint32_t{1} << decoded.rs2);
  const Xmm value = float_use(decoded.rs2, Xmm::xmm1);
  const Place to = guest_address(decoded.rs1, decoded.imm);
  if constexpr (is_double) {
    code().vmovsd_store(to, value);
  } else {
    code().vmovss_store(to, value);
  }
}

std::span<const UnitEmitter::EmitterRow> UnitEmitter::float_rows() {
  using E = UnitEmitter;
  constexpr Width k32 = Width::k32, k64 = Width::k64;
#define CAISSON_FLOAT_ROWS(suffix, is_double)                                                                         \
  emits<Op::kFadd##suffix, &E::float_binary<is_double, kAddOpcode>>,                                                  \
      emits<Op::kFsub##suffix, &E::float_binary<is_double, kSubtractOpcode>>,                                         \
      emits<Op::kFmul##suffix, &E::float_binary<is_double, kMultiplyOpcode>>,                                         \
      emits<Op::kFdiv##suffix, &E::float_binary<is_double, kDivideOpcode>>,                                           \
      emits<Op::kFsqrt##suffix, &E::float_root<is_double>>,                                                           \
      emits<Op::kFmadd##suffix, &E::float_fused<is_double, kMultiplyAdd>>,                                            \
      emits<Op::kFmsub##suffix, &E::float_fused<is_double, kMultiplySubtract>>,                                       \
      emits<Op::kFnmsub##suffix, &E::float_fused<is_double, kNegatedMultiplyAdd>>,                                    \
      emits<Op::kFnmadd##suffix, &E::float_fused<is_double, kNegatedMultiplySubtract>>,                               \
      emits<Op::kFsgnj##suffix, &E::float_sign<is_double, Sign::kCopy>>,                                              \
      emits<Op::kFsgnjn##suffix, &E::float_sign<is_double, Sign::kNegate>>,                                           \
      emits<Op::kFsgnjx##suffix, &E::float_sign<is_double, Sign::kMultiply>>,                                         \
      emits<Op::kFmin##suffix, &E::float_select<is_double, false>>,                                                   \
      emits<Op::kFmax##suffix, &E::float_select<is_double, true>>,                                                    \
      emits<Op::kFeq##suffix, &E::float_compare<is_double, Comparison::kEqual>>,                                      \
      emits<Op::kFlt##suffix, &E::float_compare<is_double, Comparison::kLess>>,                                       \
      emits<Op::kFle##suffix, &E::float_compare<is_double, Comparison::kLessOrEqual>>,                                \
      emits<Op::kFclass##suffix, &E::perform>, emits<Op::kFcvtW##suffix, &E::float_to_integer<is_double, k32, true>>, \
      emits<Op::kFcvtWu##suffix, &E::float_to_integer<is_double, k32, false>>,                                        \
      emits<Op::kFcvtL##suffix, &E::float_to_integer<is_double, k64, true>>,                                          \
      emits<Op::kFcvtLu##suffix, &E::float_to_integer<is_double, k64, false>>,                                        \
      emits<Op::kFcvt##suffix##W, &E::integer_to_float<is_double, k32, true>>,                                        \
      emits<Op::kFcvt##suffix##Wu, &E::integer_to_float<is_double, k32, false>>,                                      \
      emits<Op::kFcvt##suffix##L, &E::integer_to_float<is_double, k64, true>>,                                        \
      emits<Op::kFcvt##suffix##Lu, &E::integer_to_float<is_double, k64, false>>
  static constexpr EmitterRow kRows[] = {
      CAISSON_FLOAT_ROWS(S, false),
      CAISSON_FLOAT_ROWS(D, true),
      emits<Op::kFcvtDS, &E::widen>,
      emits<Op::kFcvtSD, &E::narrow>,
      emits<Op::kFmvXW, &E::bits_to_integer<false>>,
      emits<Op::kFmvXD, &E::bits_to_integer<true>>,
      emits<Op::kFmvWX, &E::bits_to_float<false>>,
      emits<Op::kFmvDX, &E::bits_to_float<true>>,
      emits<Op::kFlw, &E::float_load<false>>,
      emits<Op::kFld, &E::float_load<true>>,
      emits<Op::kFsw, &E::float_store<false>>,
      emits<Op::kFsd, &E::float_store<true>>,
  };
#undef CAISSON_FLOAT_ROWS
  return kRows;
}

}  // namespace caisson::baseline
