// What integer instructions compute, as the interpreter's operations do (interp/operations.h).
#include <llvm/IR/Intrinsics.h>

#include "optimized/llvm/lifter.h"

namespace caisson::optimized {

using riscv::Op;

bool Lifter::lift_integer(const Decoded& decoded, std::uint32_t pc) {
  auto& b = builder_;
  llvm::Type* const word = b.getInt64Ty();
  llvm::Type* const half = b.getInt32Ty();
  const auto imm = [&] { return constant(static_cast<std::uint64_t>(std::int64_t{decoded.imm})); };
  const auto rs1 = [&] { return get(decoded.rs1); };
  const auto rs2 = [&] { return get(decoded.rs2); };
  const auto half1 = [&] { return get_half(decoded.rs1); };
  const auto half2 = [&] { return get_half(decoded.rs2); };
  const auto half_imm = [&] { return b.getInt32(static_cast<std::uint32_t>(decoded.imm)); };
  // Of operations that give words for words.
  const bool is_half = result_kind_ == WordKind::kWord;
  const auto any1 = [&] { return is_half ? half1() : rs1(); };
  const auto any2 = [&] { return is_half ? half2() : rs2(); };
  const auto any_imm = [&]() -> Value* { return is_half ? half_imm() : imm(); };
  const auto none = [&]() -> Value* { return is_half ? b.getInt32(0) : constant(0); };
  const auto sign = [&](Value* value) { return b.CreateSExt(value, word); };
  const auto zero = [&](Value* value) { return b.CreateZExt(value, word); };
  const auto amount = [&](Value* value) {
    return b.CreateAnd(value, llvm::ConstantInt::get(value->getType(), value->getType()->getIntegerBitWidth() - 1));
  };
  const auto put = [&](Value* value) {
    set(decoded.rd, value);
    return true;
  };
  const auto high = [&](bool first_signed, bool second_signed) {
    llvm::Type* const wide = b.getInt128Ty();
    Value* const first = first_signed ? b.CreateSExt(rs1(), wide) : b.CreateZExt(rs1(), wide);
    Value* const second = second_signed ? b.CreateSExt(rs2(), wide) : b.CreateZExt(rs2(), wide);
    return b.CreateTrunc(b.CreateLShr(b.CreateMul(first, second), 64), word);
  };
  // The specification's table 7.1: division by zero gives all ones or the dividend, overflow the dividend or zero.
  const auto divide = [&](Value* first, Value* second, bool is_signed, bool is_remainder) -> Value* {
    llvm::Type* const type = first->getType();
    Value* const none = llvm::ConstantInt::get(type, 0);
    Value* const ones = llvm::ConstantInt::getAllOnesValue(type);
    Value* const by_zero = b.CreateICmpEQ(second, none);
    Value* const by_minus_one = is_signed ? b.CreateICmpEQ(second, ones) : b.getFalse();
    Value* const safe = b.CreateSelect(b.CreateOr(by_zero, by_minus_one), llvm::ConstantInt::get(type, 1), second);
    Value* result;
    if (is_remainder) {
      result = is_signed ? b.CreateSRem(first, safe) : b.CreateURem(first, safe);  // of one: zero
      return b.CreateSelect(by_zero, first, result);
    }
    result = is_signed ? b.CreateSDiv(first, safe) : b.CreateUDiv(first, safe);
    if (is_signed) result = b.CreateSelect(by_minus_one, b.CreateNeg(first), result);
    return b.CreateSelect(by_zero, ones, result);
  };
  const auto rotate = [&](Value* value, Value* by, bool to_left) {
    return b.CreateIntrinsic(to_left ? llvm::Intrinsic::fshl : llvm::Intrinsic::fshr, {value->getType()},
                             {value, value, by});
  };
  const auto bit = [&](Value* number) { return b.CreateShl(constant(1), amount(number)); };
  const auto count = [&](llvm::Intrinsic::ID which, Value* value) {
    return which == llvm::Intrinsic::ctpop ? b.CreateIntrinsic(which, {value->getType()}, {value})
                                           : b.CreateIntrinsic(which, {value->getType()}, {value, b.getFalse()});
  };
  const auto choose = [&](llvm::Intrinsic::ID which) {
    return b.CreateIntrinsic(which, {is_half ? half : word}, {any1(), any2()});
  };

  switch (decoded.op) {
    case Op::kLui:
      return put(imm());
    case Op::kAuipc:
      return put(constant(std::uint64_t{pc} + static_cast<std::uint64_t>(std::int64_t{decoded.imm})));
    case Op::kAddi:
      if (decoded.rd != 0 && decoded.rd == decoded.rs1 && !is_half) {
        increase(decoded.rd, decoded.imm);
        return true;
      }
      return put(b.CreateAdd(any1(), any_imm()));
    case Op::kSlti:
      return put(zero(words_[decoded.rs1] == WordKind::kWord ? b.CreateICmpSLT(half1(), half_imm())
                                                             : b.CreateICmpSLT(rs1(), imm())));
    case Op::kSltiu:
      return put(zero(words_[decoded.rs1] == WordKind::kWord ? b.CreateICmpULT(half1(), half_imm())
                                                             : b.CreateICmpULT(rs1(), imm())));
    case Op::kXori:
      return put(b.CreateXor(any1(), any_imm()));
    case Op::kOri:
      return put(b.CreateOr(any1(), any_imm()));
    case Op::kAndi:
      return put(b.CreateAnd(any1(), any_imm()));
    case Op::kSlli:
      return put(b.CreateShl(rs1(), imm()));
    case Op::kSrli:
      return put(b.CreateLShr(rs1(), imm()));
    case Op::kSrai:
      return put(b.CreateAShr(any1(), any_imm()));
    case Op::kAdd:
      return put(b.CreateAdd(rs1(), rs2()));
    case Op::kSub:
      return put(b.CreateSub(rs1(), rs2()));
    case Op::kSll:
      return put(b.CreateShl(rs1(), amount(rs2())));
    case Op::kSlt:
      return put(zero(compare(llvm::CmpInst::ICMP_SLT, decoded.rs1, decoded.rs2)));
    case Op::kSltu:
      return put(zero(compare(llvm::CmpInst::ICMP_ULT, decoded.rs1, decoded.rs2)));
    case Op::kXor:
      return put(b.CreateXor(any1(), any2()));
    case Op::kSrl:
      return put(b.CreateLShr(rs1(), amount(rs2())));
    case Op::kSra:
      return put(b.CreateAShr(rs1(), amount(rs2())));
    case Op::kOr:
      return put(b.CreateOr(any1(), any2()));
    case Op::kAnd:
      return put(b.CreateAnd(any1(), any2()));
    case Op::kAddiw:
      return put(b.CreateAdd(half1(), half_imm()));
    case Op::kSlliw:
      return put(b.CreateShl(half1(), half_imm()));
    case Op::kSrliw:
      return put(b.CreateLShr(half1(), half_imm()));
    case Op::kSraiw:
      return put(b.CreateAShr(half1(), half_imm()));
    case Op::kAddw:
      return put(b.CreateAdd(half1(), half2()));
    case Op::kSubw:
      return put(b.CreateSub(half1(), half2()));
    case Op::kSllw:
      return put(b.CreateShl(half1(), amount(half2())));
    case Op::kSrlw:
      return put(b.CreateLShr(half1(), amount(half2())));
    case Op::kSraw:
      return put(b.CreateAShr(half1(), amount(half2())));
    case Op::kMul:
      return put(b.CreateMul(rs1(), rs2()));
    case Op::kMulh:
      return put(high(true, true));
    case Op::kMulhsu:
      return put(high(true, false));
    case Op::kMulhu:
      return put(high(false, false));
    case Op::kMulw:
      return put(b.CreateMul(half1(), half2()));
    case Op::kDiv:
      return put(divide(rs1(), rs2(), true, false));
    case Op::kDivu:
      return put(divide(rs1(), rs2(), false, false));
    case Op::kRem:
      return put(divide(rs1(), rs2(), true, true));
    case Op::kRemu:
      return put(divide(rs1(), rs2(), false, true));
    case Op::kDivw:
      return put(divide(half1(), half2(), true, false));
    case Op::kDivuw:
      return put(divide(half1(), half2(), false, false));
    case Op::kRemw:
      return put(divide(half1(), half2(), true, true));
    case Op::kRemuw:
      return put(divide(half1(), half2(), false, true));
    case Op::kAddUw:
      return put(b.CreateAdd(zero(half1()), rs2()));
    case Op::kSh1add:
      return put(b.CreateAdd(b.CreateShl(rs1(), 1), rs2()));
    case Op::kSh2add:
      return put(b.CreateAdd(b.CreateShl(rs1(), 2), rs2()));
    case Op::kSh3add:
      return put(b.CreateAdd(b.CreateShl(rs1(), 3), rs2()));
    case Op::kSh1addUw:
      return put(b.CreateAdd(b.CreateShl(zero(half1()), 1), rs2()));
    case Op::kSh2addUw:
      return put(b.CreateAdd(b.CreateShl(zero(half1()), 2), rs2()));
    case Op::kSh3addUw:
      return put(b.CreateAdd(b.CreateShl(zero(half1()), 3), rs2()));
    case Op::kSlliUw:
      return put(b.CreateShl(zero(half1()), imm()));
    case Op::kAndn:
      return put(b.CreateAnd(any1(), b.CreateNot(any2())));
    case Op::kOrn:
      return put(b.CreateOr(any1(), b.CreateNot(any2())));
    case Op::kXnor:
      return put(b.CreateNot(b.CreateXor(any1(), any2())));
    case Op::kMax:
      return put(choose(llvm::Intrinsic::smax));
    case Op::kMaxu:
      return put(choose(llvm::Intrinsic::umax));
    case Op::kMin:
      return put(choose(llvm::Intrinsic::smin));
    case Op::kMinu:
      return put(choose(llvm::Intrinsic::umin));
    case Op::kRol:
      return put(rotate(rs1(), rs2(), true));
    case Op::kRor:
      return put(rotate(rs1(), rs2(), false));
    case Op::kRori:
      return put(rotate(rs1(), imm(), false));
    case Op::kRolw:
      return put(rotate(half1(), half2(), true));
    case Op::kRorw:
      return put(rotate(half1(), half2(), false));
    case Op::kRoriw:
      return put(rotate(half1(), half_imm(), false));
    case Op::kClz:
      return put(count(llvm::Intrinsic::ctlz, rs1()));
    case Op::kCtz:
      return put(count(llvm::Intrinsic::cttz, rs1()));
    case Op::kCpop:
      return put(count(llvm::Intrinsic::ctpop, rs1()));
    case Op::kClzw:
      return put(zero(count(llvm::Intrinsic::ctlz, half1())));
    case Op::kCtzw:
      return put(zero(count(llvm::Intrinsic::cttz, half1())));
    case Op::kCpopw:
      return put(zero(count(llvm::Intrinsic::ctpop, half1())));
    case Op::kSextB:
      return put(sign(b.CreateTrunc(rs1(), b.getInt8Ty())));
    case Op::kSextH:
      return put(sign(b.CreateTrunc(rs1(), b.getInt16Ty())));
    case Op::kZextH:
      return put(b.CreateAnd(rs1(), constant(0xFFFF)));
    case Op::kRev8:
      return put(b.CreateIntrinsic(llvm::Intrinsic::bswap, {word}, {rs1()}));
    case Op::kOrcB: {
      // Bit 7 of each byte collects the others, then spreads.
      Value* const a = rs1();
      Value* const sums = b.CreateAdd(b.CreateAnd(a, constant(0x7F7F7F7F7F7F7F7F)), constant(0x7F7F7F7F7F7F7F7F));
      Value* const set_bytes = b.CreateAnd(b.CreateLShr(b.CreateOr(sums, a), 7), constant(0x0101010101010101));
      return put(b.CreateMul(set_bytes, constant(0xFF)));
    }
    case Op::kBclr:
      return put(b.CreateAnd(rs1(), b.CreateNot(bit(rs2()))));
    case Op::kBclri:
      return put(b.CreateAnd(rs1(), b.CreateNot(bit(imm()))));
    case Op::kBext:
      return put(b.CreateAnd(b.CreateLShr(rs1(), amount(rs2())), constant(1)));
    case Op::kBexti:
      return put(b.CreateAnd(b.CreateLShr(rs1(), amount(imm())), constant(1)));
    case Op::kBinv:
      return put(b.CreateXor(rs1(), bit(rs2())));
    case Op::kBinvi:
      return put(b.CreateXor(rs1(), bit(imm())));
    case Op::kBset:
      return put(b.CreateOr(rs1(), bit(rs2())));
    case Op::kBseti:
      return put(b.CreateOr(rs1(), bit(imm())));
    case Op::kCzeroEqz:
      return put(b.CreateSelect(b.CreateICmpEQ(rs2(), constant(0)), none(), any1()));
    case Op::kCzeroNez:
      return put(b.CreateSelect(b.CreateICmpNE(rs2(), constant(0)), none(), any1()));
    case Op::kFence:
      if (riscv::orders_store_before_load(decoded.ordering))
        b.CreateFence(llvm::AtomicOrdering::SequentiallyConsistent);
      [[fallthrough]];
    case Op::kFenceTso:
      check_stored_floats();
      anchor_.is_valid = false;  // others may count on what was stored before it
      return true;
    case Op::kPause:
      return true;
    default:
      return false;
  }
}

}  // namespace caisson::optimized
