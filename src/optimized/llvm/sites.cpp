// Sites: patchpoints, and the guest state that they keep alive.
#include <llvm/IR/Intrinsics.h>

#include <algorithm>
#include <bit>

#include "optimized/llvm/access_encoder.h"
#include "optimized/llvm/lifter.h"

namespace caisson::optimized {

// The guest's state here is what execution can go back to.
void Lifter::drop_anchor(const Place& here) {
  anchor_ = {.is_valid = true, .pc = here.pc, .charged = here.ahead, .dirty = dirty_};
  sums_ = {};  // what registers hold is needed as it is from here on
  for (RegisterSet left = dirty_; left != 0; left &= left - 1) {
    const auto bit = static_cast<unsigned>(std::countr_zero(left));
    const auto guest = static_cast<std::uint8_t>(bit);
    if (bit < 32) {
      const bool is_half = words_[bit] == WordKind::kWord;
      anchor_.values.push_back(is_half ? get_half(bit) : get(bit));
      anchor_.registers.push_back({guest, is_half ? ValueForm::kSigned32 : ValueForm::kWord});
      continue;
    }
    const FloatKind kind = kinds_[bit - 32];
    const ValueForm form = kind == FloatKind::kComputed         ? ValueForm::kComputed
                           : kind == FloatKind::kSingle         ? ValueForm::kSingle
                           : kind == FloatKind::kComputedSingle ? ValueForm::kComputedSingle
                                                                : ValueForm::kWord;
    anchor_.values.push_back(is_single(kind) ? builder_.CreateLoad(builder_.getFloatTy(), singles_[bit - 32])
                                             : builder_.CreateLoad(builder_.getDoubleTy(), doubles_[bit - 32]));
    anchor_.registers.push_back({guest, form});
  }
}

// An anchor costs the values that nobody else wants here; where there are fewer of them, execution goes back to here. Of registers that were
// only increased since, accesses want the values at the anchor, and a move would have to compute the sums.
void Lifter::settle_anchor(const Place& here) {
  // Another store may share the comparison that this one still needs: nbody went from 1.7 to 1.5 times native by that.
  if (anchor_.is_valid && stored_float_) return;
  RegisterSet summed = 0;
  for (unsigned reg = 1; reg < sums_.size(); ++reg) {
    if (sums_[reg].base != nullptr) summed |= integer_bit(reg);
  }
  // Where it is even, the hart is as good a place for what would be kept (hash_table, regex: 3 % fewer instructions).
  const int kept = std::popcount(anchor_.dirty & (anchor_.defined | ~here.live) & ~summed);
  const int gained = std::popcount((dirty_ & ~here.live) | (dirty_ & summed));
  if (!anchor_.is_valid || gained < kept || (gained == kept && kept > 0 && summed == 0)) move_anchor(here);
}

void Lifter::move_anchor(const Place& here) {
  check_stored_floats();
  flush(unit_.homed);
  dirty_ &= ~unit_.homed;
  // Read again where they are wanted, so that their values need no place until then.
  for (RegisterSet left = unit_.homed & present_ & kIntegers; left != 0; left &= left - 1)
    words_[static_cast<unsigned>(std::countr_zero(left))] = WordKind::kWide;
  for (RegisterSet left = (unit_.homed & present_) >> 32; left != 0; left &= left - 1)
    kinds_[static_cast<unsigned>(std::countr_zero(left))] = FloatKind::kExact;
  present_ &= ~unit_.homed;
  drop_anchor(here);
}

Lifter::Value* Lifter::site(const LiftedSite& what, llvm::Type* result, std::span<Value* const> arguments) {
  const auto id = made_.sites.size();
  LiftedSite& made = made_.sites.emplace_back(what);
  made.guest = anchor_.pc;
  made.gas_due = due_ - anchor_.charged;
  made.repeated = what.kind == SiteKind::kFault ? anchor_.charged : 0;
  std::vector<Value*> operands = {constant(id),
                                  builder_.getInt32(encoded_size(what.access, what.address, what.displacement)),
                                  llvm::ConstantPointerNull::get(builder_.getPtrTy()),
                                  builder_.getInt32(static_cast<std::uint32_t>(arguments.size()))};
  operands.insert(operands.end(), arguments.begin(), arguments.end());
  operands.push_back(builder_.CreateLoad(builder_.getInt64Ty(), gas_));
  for (std::size_t index = 0; index < anchor_.values.size(); ++index) {
    const LiftedSite::Register& kept = anchor_.registers[index];
    if (what.kind == SiteKind::kFault && (anchor_.killed >> kept.guest & 1) != 0) continue;
    made.registers.push_back(kept);
    operands.push_back(anchor_.values[index]);
  }
  llvm::Function* const patchpoint =
      result == nullptr ? llvm::Intrinsic::getDeclaration(&module_, llvm::Intrinsic::experimental_patchpoint_void)
                        : llvm::Intrinsic::getDeclaration(&module_, llvm::Intrinsic::experimental_patchpoint, {result});
  llvm::CallInst* const call = builder_.CreateCall(patchpoint, operands);
  call->setCallingConv(llvm::CallingConv::AnyReg);
  return result == nullptr ? nullptr : call;
}

Lifter::Range Lifter::range_of(Access access, const Decoded& decoded) const {
  const bool has_base = decoded.rs1 != 0 && (anchor_.defined & integer_bit(decoded.rs1)) == 0;
  return {.base = has_base ? decoded.rs1 : 0U, .offset = decoded.imm, .size = bytes_of(access)};
}

void Lifter::touch(Access access, const Decoded& decoded) {
  if (stored_float_ && !stored_float_->range.is_apart_from(range_of(access, decoded))) check_stored_floats();
}

Lifter::Value* Lifter::access(Access access, const Decoded& decoded, std::int32_t displacement, llvm::Type* result,
                              std::span<Value* const> arguments) {
  if (!is_in_address_) settle_anchor(here_);
  Range range = range_of(access, decoded);
  constexpr std::size_t kMostRanges = 64;
  if (is_load(access)) {
    const auto holds = [&](const Range& stored) { return stored.contains(range); };
    if (std::ranges::none_of(anchor_.stored, holds)) {
      if (anchor_.loaded.size() == kMostRanges) anchor_.loaded = {Range{}};
      anchor_.loaded.push_back(range);
    }
  } else {
    const auto is_safe = [&](const Range& loaded) { return loaded.is_apart_from(range); };
    if (!std::ranges::all_of(anchor_.loaded, is_safe)) {
      move_anchor(here_);
      range.base = decoded.rs1;
    }
    if (anchor_.stored.size() < kMostRanges) anchor_.stored.push_back(range);
    anchor_.has_stores = true;
  }
  return site({.access = access, .displacement = displacement}, result, arguments);
}

}  // namespace caisson::optimized
