// F and D with exact flags: constrained operations, which LLVM neither folds, drops nor moves across what could see their flags, under
// the guest's rounding mode and flags in MXCSR. Conversions to integers are inline assembly, because LLVM gives their out-of-range
// results no meaning.
//
// A NaN that an operation makes is not the canonical one. It is made so where its bits are seen (FloatKind): by a store, a move, a place
// where paths meet that expects exact bits. Sites that keep it tell the runtime to do so.
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/MDBuilder.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "isa/riscv/hart_state.h"
#include "optimized/llvm/lifter.h"

namespace caisson::optimized {

using riscv::Op;

namespace {

constexpr std::uint64_t kCanonicalDouble = 0x7FF8000000000000;
constexpr std::uint32_t kCanonicalSingle = 0x7FC00000;
constexpr std::uint64_t kBox = 0xFFFFFFFF00000000;
constexpr std::uint64_t kDoubleSign = std::uint64_t{1} << 63;
constexpr std::uint32_t kSingleSign = std::uint32_t{1} << 31;

}  // namespace

// By a branch that is not taken: a selection would lengthen the chain of every sum. Comparing raises nothing, since no result of an
// operation is a signalling NaN.
Lifter::Value* Lifter::canonical(Value* value) {
  auto& b = builder_;
  llvm::Type* const type = value->getType();
  auto* const before = b.GetInsertBlock();
  auto* const nan = llvm::BasicBlock::Create(context_, "", function_);
  auto* const behind = llvm::BasicBlock::Create(context_, "", function_);
  Value* const is_nan = b.CreateFCmpUNO(value, value);
  b.CreateCondBr(is_nan, nan, behind, llvm::MDBuilder(context_).createBranchWeights(1, 1 << 20));
  b.SetInsertPoint(nan);
  // Opaque, so that it does not become a selection after all.
  b.CreateCall(llvm::InlineAsm::get(llvm::FunctionType::get(b.getVoidTy(), false), "", "", true));
  b.CreateBr(behind);
  b.SetInsertPoint(behind);
  llvm::PHINode* const result = b.CreatePHI(type, 2);
  result->addIncoming(value, before);
  Value* const bits =
      type->isDoubleTy() ? static_cast<Value*>(b.getInt64(kCanonicalDouble)) : b.getInt32(kCanonicalSingle);
  result->addIncoming(b.CreateBitCast(bits, type), nan);
  return result;
}

Lifter::Value* Lifter::box(Value* single) {
  Value* const bits = builder_.CreateZExt(builder_.CreateBitCast(single, builder_.getInt32Ty()), builder_.getInt64Ty());
  return builder_.CreateBitCast(builder_.CreateOr(bits, constant(kBox)), builder_.getDoubleTy());
}

// --- registers ---

// What only the hart has is known to be exact, not more.
void Lifter::fetch_float(unsigned reg) {
  if ((present_ & float_bit(reg)) != 0) return;
  load(float_bit(reg));
  present_ |= float_bit(reg);
  opaque_ |= float_bit(reg);
}

Lifter::Value* Lifter::get_double(unsigned reg) {
  fetch_float(reg);
  if (is_single(kinds_[reg])) return get_exact(reg);
  return builder_.CreateLoad(builder_.getDoubleTy(), doubles_[reg]);
}

Lifter::Value* Lifter::get_exact(unsigned reg) {
  fetch_float(reg);
  if (is_single(kinds_[reg])) return box(get_exact_single(reg));
  Value* const value = builder_.CreateLoad(builder_.getDoubleTy(), doubles_[reg]);
  return kinds_[reg] == FloatKind::kComputed ? canonical(value) : value;
}

// A register that holds no boxed single reads as the canonical NaN (the manual's section 21.2).
Lifter::Value* Lifter::get_single(unsigned reg) {
  auto& b = builder_;
  fetch_float(reg);
  if (is_single(kinds_[reg])) return b.CreateLoad(b.getFloatTy(), singles_[reg]);
  Value* const bits = b.CreateBitCast(get_exact(reg), b.getInt64Ty());
  Value* const is_boxed = b.CreateICmpUGE(bits, constant(kBox));
  Value* const low = b.CreateTrunc(bits, b.getInt32Ty());
  return b.CreateBitCast(b.CreateSelect(is_boxed, low, b.getInt32(kCanonicalSingle)), b.getFloatTy());
}

Lifter::Value* Lifter::get_exact_single(unsigned reg) {
  Value* const value = get_single(reg);
  return kinds_[reg] == FloatKind::kComputedSingle ? canonical(value) : value;
}

void Lifter::make_exact(unsigned reg) {
  builder_.CreateStore(get_exact(reg), doubles_[reg]);
  kinds_[reg] = FloatKind::kExact;
}

// Whoever looks at the bits twice, or at the number afterwards, needs no second value beside this one.
void Lifter::make_canonical(unsigned reg) {
  if (kinds_[reg] == FloatKind::kComputed) make_exact(reg);
  if (kinds_[reg] == FloatKind::kComputedSingle) {
    builder_.CreateStore(get_exact_single(reg), singles_[reg]);
    kinds_[reg] = FloatKind::kSingle;
  }
}

// A value that was computed is stored as it is, and one comparison looks for NaNs behind two stores. Where there is one, both are stored again, made
// canonical. Until then nothing that may be the same memory is read or written (touch()), and where anything faults, everything is done again
// from the anchor on, where the value is made canonical.
void Lifter::note_stored_float(const StoredFloat& stored) {
  if (stored_float_) return check_stored_floats(&stored);
  stored_float_ = stored;
}

void Lifter::check_stored_floats(const StoredFloat* other) {
  if (!stored_float_) return;
  const StoredFloat first = *std::exchange(stored_float_, std::nullopt);
  Value* const is_nan = builder_.CreateFCmpUNO(first.value, other == nullptr ? first.value : other->value);
  auto* const again = llvm::BasicBlock::Create(context_, "", function_);
  auto* const go_on = llvm::BasicBlock::Create(context_, "", function_);
  builder_.CreateCondBr(is_nan, again, go_on, llvm::MDBuilder(context_).createBranchWeights(1, 1 << 20));
  builder_.SetInsertPoint(again);
  for (const StoredFloat* const stored : {&first, other}) {
    if (stored == nullptr) continue;
    Value* const arguments[] = {stored->at.base, canonical(stored->value)};
    site({.access = stored->access, .displacement = stored->at.displacement}, nullptr, arguments);
  }
  builder_.CreateBr(go_on);
  builder_.SetInsertPoint(go_on);
}

void Lifter::set_opaque(unsigned reg, const Value* value) {
  opaque_ = is_opaque(value) ? opaque_ | float_bit(reg) : opaque_ & ~float_bit(reg);
}

void Lifter::set_double(unsigned reg, Value* value, FloatKind kind) {
  set_opaque(reg, value);
  builder_.CreateStore(value, doubles_[reg]);
  kinds_[reg] = kind;
  dirty_ |= float_bit(reg);
  present_ |= float_bit(reg);
  anchor_.defined |= float_bit(reg);
}

void Lifter::set_single(unsigned reg, Value* value, FloatKind kind) {
  set_opaque(reg, value);
  builder_.CreateStore(value, singles_[reg]);
  kinds_[reg] = kind;
  dirty_ |= float_bit(reg);
  present_ |= float_bit(reg);
  anchor_.defined |= float_bit(reg);
}

// --- conversions and corners ---

// x86 gives the smallest integer, and raises invalid alone, for what does not fit; RISC-V gives the nearest integer that fits, and the
// largest for a NaN.
Lifter::Value* Lifter::convert_to_integer(Value* value, bool is_wide, bool truncates) {
  auto& b = builder_;
  const bool is_double = value->getType()->isDoubleTy();
  llvm::Type* const type = is_wide ? b.getInt64Ty() : b.getInt32Ty();
  std::string text = truncates ? "vcvtt" : "vcvt";
  text += is_double ? "sd2si" : "ss2si";
  text += is_wide ? "q" : "l";
  text += " $1, $0";
  auto* const assembly =
      llvm::InlineAsm::get(llvm::FunctionType::get(type, {value->getType()}, false), text, "=r,x", true);
  Value* const result = b.CreateCall(assembly, {value});
  const std::uint64_t smallest = is_wide ? std::uint64_t{1} << 63 : std::uint64_t{1} << 31;
  Value* const is_odd = b.CreateICmpEQ(result, llvm::ConstantInt::get(type, smallest));
  // Of what does not fit: negative numbers stay the smallest; NaNs of either sign become the largest.
  Value* const bits = b.CreateBitCast(value, is_double ? b.getInt64Ty() : b.getInt32Ty());
  Value* const is_negative = b.CreateICmpSLT(bits, llvm::ConstantInt::get(bits->getType(), 0));
  const std::uint64_t infinity = is_double ? std::uint64_t{0x7FF0000000000000} : std::uint64_t{0x7F800000};
  const std::uint64_t magnitude = is_double ? ~kDoubleSign : std::uint64_t{0x7FFFFFFF};
  Value* const is_nan = b.CreateICmpUGT(b.CreateAnd(bits, llvm::ConstantInt::get(bits->getType(), magnitude)),
                                        llvm::ConstantInt::get(bits->getType(), infinity));
  Value* const is_low = b.CreateAnd(is_negative, b.CreateNot(is_nan));
  Value* const becomes_largest = b.CreateAnd(is_odd, b.CreateNot(is_low));
  Value* const settled = b.CreateSelect(becomes_largest, llvm::ConstantInt::get(type, smallest - 1), result);
  return settled;
}

// The number where one operand is a NaN; -0 below +0; invalid for signalling NaNs alone.
void Lifter::make_minimum(const Decoded& decoded, bool is_double, bool is_maximum) {
  auto& b = builder_;
  Value* const first = is_double ? get_double(decoded.rs1) : get_single(decoded.rs1);
  Value* const second = is_double ? get_double(decoded.rs2) : get_single(decoded.rs2);
  llvm::Type* const type = first->getType();
  llvm::Type* const bits_type = is_double ? b.getInt64Ty() : b.getInt32Ty();
  // Quiet comparisons raise invalid for signalling NaNs, each for the operands it compares.
  Value* const first_is_nan = b.CreateFCmpUNO(first, first);
  Value* const second_is_nan = b.CreateFCmpUNO(second, second);
  Value* const is_less = b.CreateFCmpOLT(first, second);
  Value* const is_equal = b.CreateFCmpOEQ(first, second);
  Value* const first_bits = b.CreateBitCast(first, bits_type);
  Value* const second_bits = b.CreateBitCast(second, bits_type);
  // Equal operands differ in the sign of zero at most.
  Value* const of_equal = is_maximum ? b.CreateAnd(first_bits, second_bits) : b.CreateOr(first_bits, second_bits);
  Value* const of_ordered =
      is_maximum ? b.CreateSelect(is_less, second_bits, first_bits) : b.CreateSelect(is_less, first_bits, second_bits);
  Value* result = b.CreateSelect(is_equal, of_equal, of_ordered);
  Value* const nan = is_double ? static_cast<Value*>(b.getInt64(kCanonicalDouble)) : b.getInt32(kCanonicalSingle);
  result = b.CreateSelect(second_is_nan, first_bits, result);
  result = b.CreateSelect(first_is_nan, b.CreateSelect(second_is_nan, nan, second_bits), result);
  result = b.CreateBitCast(result, type);
  if (is_double) {
    set_double(decoded.rd, result, FloatKind::kExact);
  } else {
    set_single(decoded.rd, result, FloatKind::kSingle);
  }
}

// infinity × 0 + quiet NaN is invalid in RISC-V (the manual's section 21.6) and silent in x86. Where the third operand is a NaN the product
// is computed by itself, if it is one that raises invalid and nothing else.
void Lifter::raise_for_product(Value* first, Value* second, Value* third) {
  auto& b = builder_;
  llvm::Type* const type = first->getType();
  const bool is_double = type->isDoubleTy();
  auto* const nan = llvm::BasicBlock::Create(context_, "", function_);
  auto* const raise = llvm::BasicBlock::Create(context_, "", function_);
  auto* const behind = llvm::BasicBlock::Create(context_, "", function_);
  // Comparing a signalling NaN raises invalid, as the instruction itself does.
  Value* const is_nan = b.CreateFCmpUNO(third, third);
  b.CreateCondBr(is_nan, nan, behind, llvm::MDBuilder(context_).createBranchWeights(1, 1 << 20));
  b.SetInsertPoint(nan);
  llvm::Type* const bits_type = is_double ? b.getInt64Ty() : b.getInt32Ty();
  const auto magnitude = [&](Value* value) {
    return b.CreateAnd(b.CreateBitCast(value, bits_type),
                       llvm::ConstantInt::get(bits_type, is_double ? ~kDoubleSign : std::uint64_t{~kSingleSign}));
  };
  Value* const infinity =
      llvm::ConstantInt::get(bits_type, is_double ? std::uint64_t{0x7FF0000000000000} : std::uint64_t{0x7F800000});
  Value* const none = llvm::ConstantInt::get(bits_type, 0);
  const auto is_invalid = [&](Value* a, Value* c) {
    return b.CreateAnd(b.CreateICmpEQ(magnitude(a), infinity), b.CreateICmpEQ(magnitude(c), none));
  };
  b.CreateCondBr(b.CreateOr(is_invalid(first, second), is_invalid(second, first)), raise, behind);
  b.SetInsertPoint(raise);
  auto* const multiply = llvm::InlineAsm::get(llvm::FunctionType::get(type, {type, type}, false),
                                              is_double ? "vmulsd $2, $1, $0" : "vmulss $2, $1, $0", "=x,x,x", true);
  b.CreateCall(multiply, {first, second});
  b.CreateBr(behind);
  b.SetInsertPoint(behind);
}

// What comes from memory, and what is computed from that. LLVM knows nothing of it.
bool Lifter::is_opaque(const Value* value) const {
  if (const auto* const load = llvm::dyn_cast<llvm::LoadInst>(value)) {
    const Value* const variable = load->getPointerOperand();
    if (!llvm::isa<llvm::AllocaInst>(variable)) return true;
    for (unsigned reg = 0; reg < doubles_.size(); ++reg) {
      if (variable == doubles_[reg] || variable == singles_[reg]) return (opaque_ & float_bit(reg)) != 0;
    }
    return false;
  }
  const auto* const call = llvm::dyn_cast<llvm::CallInst>(value);
  if (call == nullptr) return false;
  if (call->getCallingConv() == llvm::CallingConv::AnyReg || call->isInlineAsm()) return true;
  return llvm::isa<llvm::ConstrainedFPIntrinsic>(call) &&
         std::ranges::any_of(call->args(), [this](const llvm::Use& operand) { return is_opaque(operand.get()); });
}

// A sum that LLVM knows to be exact it computes itself, as if rounding were to nearest; but the sign of an exact zero depends on the mode.
// So at least one operand of each sum is nothing that LLVM knows: one of the others, or this value hidden, which may take a copy.
Lifter::Value* Lifter::unknown(Value* value, std::initializer_list<const Value*> others) {
  if (is_opaque(value) || std::ranges::any_of(others, [this](const Value* other) { return is_opaque(other); }))
    return value;
  auto* const type = llvm::FunctionType::get(value->getType(), {value->getType()}, false);
  return builder_.CreateCall(llvm::InlineAsm::get(type, "", "=x,0", false), {value});
}

bool Lifter::lift_float(const Decoded& decoded) {
  auto& b = builder_;
  const auto rs1d = [&] { return get_double(decoded.rs1); };
  const auto rs2d = [&] { return get_double(decoded.rs2); };
  const auto rs3d = [&] { return get_double(decoded.rs3); };
  const auto rs1s = [&] { return get_single(decoded.rs1); };
  const auto rs2s = [&] { return get_single(decoded.rs2); };
  const auto rs3s = [&] { return get_single(decoded.rs3); };
  const auto put_double = [&](Value* value, FloatKind kind = FloatKind::kComputed) {
    set_double(decoded.rd, value, kind);
    return true;
  };
  const auto put_single = [&](Value* value, FloatKind kind = FloatKind::kComputedSingle) {
    set_single(decoded.rd, value, kind);
    return true;
  };
  const auto put_integer = [&](Value* value) {
    set(decoded.rd, value);
    return true;
  };
  // IRBuilder has no name for these.
  const auto constrained = [&](llvm::Intrinsic::ID which, std::initializer_list<Value*> operands) -> Value* {
    llvm::SmallVector<Value*, 5> all(operands);
    Value* const rounding = llvm::MetadataAsValue::get(context_, llvm::MDString::get(context_, "round.dynamic"));
    Value* const exceptions = llvm::MetadataAsValue::get(context_, llvm::MDString::get(context_, "fpexcept.strict"));
    all.push_back(rounding);
    all.push_back(exceptions);
    llvm::CallInst* const call = b.CreateIntrinsic(which, {(*operands.begin())->getType()}, all);
    call->addFnAttr(llvm::Attribute::StrictFP);
    return call;
  };
  const auto root = [&](Value* value) { return constrained(llvm::Intrinsic::experimental_constrained_sqrt, {value}); };
  // ±(a × b) ± c, rounded once. Negating a NaN changes bits that nobody sees.
  const auto negate = [&](Value* value) -> Value* {
    const bool is_double = value->getType()->isDoubleTy();
    llvm::Type* const bits_type = is_double ? b.getInt64Ty() : b.getInt32Ty();
    Value* const sign = is_double ? static_cast<Value*>(b.getInt64(kDoubleSign)) : b.getInt32(kSingleSign);
    return b.CreateBitCast(b.CreateXor(b.CreateBitCast(value, bits_type), sign), value->getType());
  };
  const auto sum_of = [&](Value* first, Value* second, bool subtracts) {
    Value* const hidden = unknown(first, {second});
    return subtracts ? b.CreateFSub(hidden, second) : b.CreateFAdd(hidden, second);
  };
  const auto fused = [&](Value* first, Value* second, Value* third, bool negates_product, bool negates_third) {
    raise_for_product(first, second, third);
    Value* const negated = negates_product ? negate(first) : first;
    return constrained(llvm::Intrinsic::experimental_constrained_fma,
                       {unknown(negated, {first, second, third}), second, negates_third ? negate(third) : third});
  };
  enum class Sign : std::uint8_t { kTake, kNegate, kXor };
  const auto inject_double = [&](Sign how) {
    if (how == Sign::kTake && decoded.rs1 == decoded.rs2 && !is_single(kinds_[decoded.rs1])) {
      const FloatKind kind = kinds_[decoded.rs1];
      return put_double(get_double(decoded.rs1), kind);
    }
    Value* const first = b.CreateBitCast(get_exact(decoded.rs1), b.getInt64Ty());
    Value* const second = b.CreateBitCast(get_exact(decoded.rs2), b.getInt64Ty());
    Value* const sign = b.CreateAnd(how == Sign::kNegate ? b.CreateNot(second) : second, constant(kDoubleSign));
    Value* const magnitude = how == Sign::kXor ? first : b.CreateAnd(first, constant(~kDoubleSign));
    Value* const bits = how == Sign::kXor ? b.CreateXor(magnitude, sign) : b.CreateOr(magnitude, sign);
    return put_double(b.CreateBitCast(bits, b.getDoubleTy()), FloatKind::kExact);
  };
  const auto inject_single = [&](Sign how) {
    Value* const first = b.CreateBitCast(get_exact_single(decoded.rs1), b.getInt32Ty());
    Value* const second = b.CreateBitCast(get_exact_single(decoded.rs2), b.getInt32Ty());
    Value* const sign = b.CreateAnd(how == Sign::kNegate ? b.CreateNot(second) : second, b.getInt32(kSingleSign));
    Value* const magnitude = how == Sign::kXor ? first : b.CreateAnd(first, b.getInt32(~kSingleSign));
    Value* const bits = how == Sign::kXor ? b.CreateXor(magnitude, sign) : b.CreateOr(magnitude, sign);
    return put_single(b.CreateBitCast(bits, b.getFloatTy()), FloatKind::kSingle);
  };
  const auto compare = [&](Value* result) { return put_integer(b.CreateZExt(result, b.getInt64Ty())); };
  const bool truncates = decoded.rm == static_cast<std::uint8_t>(riscv::RoundingMode::kTowardZero);
  const auto from_signed = [&](Value* value, llvm::Type* type) { return b.CreateSIToFP(value, type); };
  const auto low = [&](unsigned reg) { return get_half(reg); };
  const auto unsigned_word = [&](unsigned reg) { return b.CreateZExt(low(reg), b.getInt64Ty()); };

  switch (decoded.op) {
    case Op::kFaddD:
      return put_double(sum_of(rs1d(), rs2d(), false));
    case Op::kFsubD:
      return put_double(sum_of(rs1d(), rs2d(), true));
    case Op::kFmulD:
      return put_double(b.CreateFMul(rs1d(), rs2d()));
    case Op::kFdivD:
      return put_double(b.CreateFDiv(rs1d(), rs2d()));
    case Op::kFsqrtD:
      return put_double(root(rs1d()));
    case Op::kFmaddD:
      return put_double(fused(rs1d(), rs2d(), rs3d(), false, false));
    case Op::kFmsubD:
      return put_double(fused(rs1d(), rs2d(), rs3d(), false, true));
    case Op::kFnmsubD:
      return put_double(fused(rs1d(), rs2d(), rs3d(), true, false));
    case Op::kFnmaddD:
      return put_double(fused(rs1d(), rs2d(), rs3d(), true, true));
    case Op::kFsgnjD:
      return inject_double(Sign::kTake);
    case Op::kFsgnjnD:
      return inject_double(Sign::kNegate);
    case Op::kFsgnjxD:
      return inject_double(Sign::kXor);
    case Op::kFminD:
      make_minimum(decoded, true, false);
      return true;
    case Op::kFmaxD:
      make_minimum(decoded, true, true);
      return true;
    case Op::kFeqD:
      return compare(b.CreateFCmpOEQ(rs1d(), rs2d()));
    case Op::kFltD:
      return compare(b.CreateFCmpS(llvm::CmpInst::FCMP_OLT, rs1d(), rs2d()));
    case Op::kFleD:
      return compare(b.CreateFCmpS(llvm::CmpInst::FCMP_OLE, rs1d(), rs2d()));
    case Op::kFcvtWD:
      return put_integer(convert_to_integer(rs1d(), false, truncates));
    case Op::kFcvtLD:
      return put_integer(convert_to_integer(rs1d(), true, truncates));
    case Op::kFcvtDW:
      return put_double(from_signed(low(decoded.rs1), b.getDoubleTy()), FloatKind::kNumber);
    case Op::kFcvtDWu:
      return put_double(from_signed(unsigned_word(decoded.rs1), b.getDoubleTy()), FloatKind::kNumber);
    case Op::kFcvtDL:
      return put_double(from_signed(get(decoded.rs1), b.getDoubleTy()), FloatKind::kNumber);
    case Op::kFmvXD:
      return put_integer(b.CreateBitCast(get_exact(decoded.rs1), b.getInt64Ty()));
    case Op::kFmvDX: {
      const FloatKind kind = decoded.rs1 == 0 ? FloatKind::kNumber : FloatKind::kExact;
      return put_double(b.CreateBitCast(get(decoded.rs1), b.getDoubleTy()), kind);
    }
    case Op::kFaddS:
      return put_single(sum_of(rs1s(), rs2s(), false));
    case Op::kFsubS:
      return put_single(sum_of(rs1s(), rs2s(), true));
    case Op::kFmulS:
      return put_single(b.CreateFMul(rs1s(), rs2s()));
    case Op::kFdivS:
      return put_single(b.CreateFDiv(rs1s(), rs2s()));
    case Op::kFsqrtS:
      return put_single(root(rs1s()));
    case Op::kFmaddS:
      return put_single(fused(rs1s(), rs2s(), rs3s(), false, false));
    case Op::kFmsubS:
      return put_single(fused(rs1s(), rs2s(), rs3s(), false, true));
    case Op::kFnmsubS:
      return put_single(fused(rs1s(), rs2s(), rs3s(), true, false));
    case Op::kFnmaddS:
      return put_single(fused(rs1s(), rs2s(), rs3s(), true, true));
    case Op::kFsgnjS:
      return inject_single(Sign::kTake);
    case Op::kFsgnjnS:
      return inject_single(Sign::kNegate);
    case Op::kFsgnjxS:
      return inject_single(Sign::kXor);
    case Op::kFminS:
      make_minimum(decoded, false, false);
      return true;
    case Op::kFmaxS:
      make_minimum(decoded, false, true);
      return true;
    case Op::kFeqS:
      return compare(b.CreateFCmpOEQ(rs1s(), rs2s()));
    case Op::kFltS:
      return compare(b.CreateFCmpS(llvm::CmpInst::FCMP_OLT, rs1s(), rs2s()));
    case Op::kFleS:
      return compare(b.CreateFCmpS(llvm::CmpInst::FCMP_OLE, rs1s(), rs2s()));
    case Op::kFcvtWS:
      return put_integer(convert_to_integer(rs1s(), false, truncates));
    case Op::kFcvtLS:
      return put_integer(convert_to_integer(rs1s(), true, truncates));
    case Op::kFcvtSW:
      return put_single(from_signed(low(decoded.rs1), b.getFloatTy()), FloatKind::kSingle);
    case Op::kFcvtSWu:
      return put_single(from_signed(unsigned_word(decoded.rs1), b.getFloatTy()), FloatKind::kSingle);
    case Op::kFcvtSL:
      return put_single(from_signed(get(decoded.rs1), b.getFloatTy()), FloatKind::kSingle);
    case Op::kFmvXW: {
      // The low 32 bits, boxed or not.
      Value* const bits = is_single(kinds_[decoded.rs1])
                              ? b.CreateBitCast(get_exact_single(decoded.rs1), b.getInt32Ty())
                              : b.CreateTrunc(b.CreateBitCast(get_exact(decoded.rs1), b.getInt64Ty()), b.getInt32Ty());
      return put_integer(bits);
    }
    case Op::kFmvWX:
      return put_single(b.CreateBitCast(low(decoded.rs1), b.getFloatTy()), FloatKind::kSingle);
    case Op::kFcvtSD:
      return put_single(b.CreateFPTrunc(rs1d(), b.getFloatTy()));
    case Op::kFcvtDS:
      return put_double(b.CreateFPExt(rs1s(), b.getDoubleTy()));
    default:
      return false;
  }
}

}  // namespace caisson::optimized
