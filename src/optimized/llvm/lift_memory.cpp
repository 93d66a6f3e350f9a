// Loads and stores: patchpoints whose bytes are filled in once LLVM has chosen registers (access_encoder.h).
//
// The window's base is that of the segment register GS, and the address-size prefix makes the processor take the sum of register and
// displacement modulo 2^32: that is the guest's address, at no cost (the idea: Narayan et al., "Segue & ColorGuard", 2023).
#include "optimized/llvm/lifter.h"

namespace caisson::optimized {

using riscv::Op;

Lifter::Address Lifter::address(const Decoded& decoded) {
  if (const Sum& sum = sums_[decoded.rs1]; sum.base != nullptr) return {sum.base, sum.more + decoded.imm};
  return {words_[decoded.rs1] == WordKind::kWord ? get_half(decoded.rs1) : get(decoded.rs1), decoded.imm};
}

bool Lifter::lift_memory(const Decoded& decoded) {
  const auto load = [&](Access kind, llvm::Type* type) {
    touch(kind, decoded);
    const Address at = address(decoded);
    Value* const arguments[] = {at.base};
    return access(kind, decoded, at.displacement, type, arguments);
  };
  const auto load_word = [&](Access kind) {
    set(decoded.rd, load(kind, builder_.getInt64Ty()));
    return true;
  };
  const auto store = [&](Access kind, Value* value) {
    touch(kind, decoded);
    const Address at = address(decoded);
    Value* const arguments[] = {at.base, value};
    access(kind, decoded, at.displacement, nullptr, arguments);
    return true;
  };
  // As it was computed; one comparison is for two of a type.
  const auto store_computed = [&](Access kind, Value* value) {
    if (stored_float_ && stored_float_->access != kind) check_stored_floats();
    const Address at = address(decoded);
    Value* const arguments[] = {at.base, value};
    access(kind, decoded, at.displacement, nullptr, arguments);
    note_stored_float({.value = value, .access = kind, .at = at, .range = range_of(kind, decoded)});
    return true;
  };
  const auto stored = [&] { return words_[decoded.rs2] == WordKind::kWord ? get_half(decoded.rs2) : get(decoded.rs2); };
  switch (decoded.op) {
    case Op::kLb:
      return load_word(Access::kLoad8Signed);
    case Op::kLbu:
      return load_word(Access::kLoad8);
    case Op::kLh:
      return load_word(Access::kLoad16Signed);
    case Op::kLhu:
      return load_word(Access::kLoad16);
    case Op::kLw:
      if (result_kind_ == WordKind::kShort) return load_word(Access::kLoad32Signed);
      set(decoded.rd, load(Access::kLoad32, builder_.getInt32Ty()));
      return true;
    case Op::kLwu:
      return load_word(Access::kLoad32);
    case Op::kLd:
      return load_word(Access::kLoad64);
    case Op::kFlw:
      set_single(decoded.rd, load(Access::kLoadSingle, builder_.getFloatTy()), FloatKind::kSingle);
      return true;
    case Op::kFld:
      set_double(decoded.rd, load(Access::kLoadDouble, builder_.getDoubleTy()), FloatKind::kExact);
      return true;
    case Op::kSb:
      return store(Access::kStore8, stored());
    case Op::kSh:
      return store(Access::kStore16, stored());
    case Op::kSw:
      return store(Access::kStore32, stored());
    case Op::kSd:
      return store(Access::kStore64, get(decoded.rs2));
    case Op::kFsw: {
      if (kinds_[decoded.rs2] == FloatKind::kComputedSingle)
        return store_computed(Access::kStoreSingle, get_single(decoded.rs2));
      make_canonical(decoded.rs2);
      // The register's low 32 bits, boxed or not.
      if (is_single(kinds_[decoded.rs2])) return store(Access::kStoreSingle, get_exact_single(decoded.rs2));
      Value* const bits = builder_.CreateBitCast(get_exact(decoded.rs2), builder_.getInt64Ty());
      return store(Access::kStore32, bits);
    }
    case Op::kFsd:
      if (kinds_[decoded.rs2] == FloatKind::kComputed)
        return store_computed(Access::kStoreDouble, get_double(decoded.rs2));
      make_canonical(decoded.rs2);
      return store(Access::kStoreDouble, get_exact(decoded.rs2));
    default:
      return false;
  }
}

}  // namespace caisson::optimized
