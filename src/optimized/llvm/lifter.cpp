#include "optimized/llvm/lifter.h"

#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/MDBuilder.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdlib>

#include "gas/gas_schedule.h"
#include "isa/riscv/hart_state.h"

namespace caisson::optimized {

using riscv::HartState;

LiftedUnit lift(llvm::Module& module, const GuestUnit& unit, const char* name) {
  return Lifter(module, unit, name).lift();
}

Lifter::Lifter(llvm::Module& module, const GuestUnit& unit, const char* name)
    : module_(module), context_(module.getContext()), builder_(context_), unit_(unit) {
  declare(name);
}

void Lifter::declare(const char* name) {
  llvm::Type* const word = builder_.getInt64Ty();
  llvm::Type* const pointer = builder_.getPtrTy();
  std::vector<llvm::Type*> members(2 + kPassedRegisters.size(), word);
  members.push_back(pointer);
  result_type_ = llvm::StructType::get(context_, members);
  auto* const type = llvm::FunctionType::get(result_type_, members, false);
  function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module_);
  function_->setCallingConv(llvm::CallingConv::X86_RegCall);
  function_->setDSOLocal(true);  // so that it calls itself without a table
  made_.function = function_;
  // Sites are found with the stack as it was at the fault, and signal handlers run on it.
  function_->addFnAttr(llvm::Attribute::NoRedZone);
  function_->addFnAttr(llvm::Attribute::NoUnwind);
  // Nothing but what is passed lives across a call, so that nobody saves registers for others.
  function_->addFnAttr("no_callee_saved_registers");
  // Sums of three are as cheap as others, as they are since Ice Lake and Zen. Artifacts are for any host, so that it is not the host's name.
  function_->addFnAttr("tune-cpu", "znver4");
  if (unit_.uses_floats) function_->addFnAttr(llvm::Attribute::StrictFP);
  function_->getArg(function_->arg_size() - 1)->addAttr(llvm::Attribute::NoAlias);
  builder_.setDefaultConstrainedExcept(llvm::fp::ebStrict);
  builder_.setDefaultConstrainedRounding(llvm::RoundingMode::Dynamic);
  builder_.setIsFPConstrained(unit_.uses_floats);
}

LiftedUnit Lifter::lift() {
  auto* const entry = llvm::BasicBlock::Create(context_, "entry", function_);
  builder_.SetInsertPoint(entry);
  gas_ = builder_.CreateAlloca(builder_.getInt64Ty(), nullptr, "gas");
  hart_ = builder_.CreateAlloca(builder_.getPtrTy(), nullptr, "hart");
  for (unsigned reg = 1; reg < 32; ++reg) {
    integers_[reg] = builder_.CreateAlloca(builder_.getInt64Ty());
    halves_[reg] = builder_.CreateAlloca(builder_.getInt32Ty());
  }
  for (unsigned reg = 0; reg < 32; ++reg) {
    doubles_[reg] = builder_.CreateAlloca(builder_.getDoubleTy());
    singles_[reg] = builder_.CreateAlloca(builder_.getFloatTy());
  }
  std::vector<Value*> given;
  for (llvm::Argument& argument : function_->args()) given.push_back(&argument);
  builder_.CreateStore(given.front(), gas_);
  for (std::size_t index = 0; index < kPassedRegisters.size(); ++index)
    builder_.CreateStore(given[2 + index], integers_[kPassedRegisters[index]]);
  builder_.CreateStore(given.back(), hart_);
  for (std::size_t index = 0; index < unit_.blocks.size(); ++index)
    blocks_.push_back(llvm::BasicBlock::Create(context_, "", function_));
  if (unit_.makes_calls) {
    // Deep recursion goes on with an empty stack.
    auto* const deep = llvm::BasicBlock::Create(context_, "deep", function_);
    auto* const go_on = llvm::BasicBlock::Create(context_, "go_on", function_);
    Value* const top = builder_.CreateIntrinsic(llvm::Intrinsic::addressofreturnaddress, {builder_.getPtrTy()}, {});
    Value* const is_deep =
        builder_.CreateICmpULT(builder_.CreatePtrToInt(top, builder_.getInt64Ty()), word(UnitWord::kStackLimit));
    builder_.CreateCondBr(is_deep, deep, go_on, llvm::MDBuilder(context_).createBranchWeights(1, 1 << 20));
    builder_.SetInsertPoint(deep);
    given[1] = constant(unit_.blocks[0].pc);
    give(given);
    builder_.SetInsertPoint(go_on);
  }
  dirty_ = present_ = kPassed;
  forget_words();
  bring_home();
  flush(unit_.flushed_at_entry());
  dirty_ &= ~unit_.flushed_at_entry();
  check_gas(unit_.blocks[0]);
  anchors_.resize(unit_.blocks.size());
  sums_at_entry_.resize(unit_.blocks.size());
  anchors_[0] = anchor_;
  load(unit_.blocks[0].needed & ~present_);
  builder_.CreateBr(blocks_[0]);
  for (std::size_t index = 0; index < unit_.blocks.size(); ++index) lift_block(index);
  return std::move(made_);
}

void Lifter::lift_block(std::size_t index) {
  const UnitBlock& block = unit_.blocks[index];
  builder_.SetInsertPoint(blocks_[index]);
  block_ = index;
  dirty_ = block.dirty;
  present_ = block.needed;
  kinds_ = block.kinds;
  opaque_ = 0;
  words_ = block.words;
  constants_ = block.constants;
  due_ = static_cast<std::int32_t>(block.due + block.cost);
  std::vector<RegisterSet> live(block.instructions.size());
  RegisterSet behind = unit_.live_behind(block);
  for (std::size_t at = live.size(); at-- > 0;) {
    const RegisterUse use = registers_of(block.instructions[at].decoded);
    behind = live[at] = (behind & ~use.writes) | use.reads;
  }
  sums_ = sums_at_entry_[index];
  here_ = {.pc = block.pc, .live = block.live, .ahead = static_cast<std::int32_t>(block.cost)};
  anchor_ = std::move(anchors_[index]);
  constexpr std::int32_t kFarthest = static_cast<std::int32_t>(kGasReserve / 2);
  if (!anchor_.is_valid || block.predecessors != 1 || anchor_.charged > kFarthest) {
    drop_anchor(here_);
    anchor_.is_at_block = true;
  } else {
    anchor_.charged += here_.ahead;
  }
  address_end_ = 0;
  for (std::size_t at = 0; at < live.size(); ++at) {
    const UnitInstruction& instruction = block.instructions[at];
    here_.pc = instruction.pc;
    here_.live = live[at];
    if (at >= address_end_) begin_address(block, at, live);
    is_in_address_ = at < address_end_;
    lift_instruction(instruction);
    follow_constants(constants_, instruction);
    here_.ahead -= static_cast<std::int32_t>(gas::weight(instruction.decoded.op));
  }
  check_stored_floats();
  due_ -= static_cast<std::int32_t>(block.refund);
  end_block(block);
}

// Where instructions from `at` on only compute an address that nobody but the access behind them wants, the anchor is settled before them: what they
// make is no part of its state, and becomes a part of the access (addresses.h).
void Lifter::begin_address(const UnitBlock& block, std::size_t at, std::span<const RegisterSet> live) {
  address_end_ = end_of_address(block, at, live);
  if (address_end_ == at) return;
  settle_anchor(here_);
  is_anchored_ = anchor_.pc == here_.pc && (anchor_.read | anchor_.defined) == 0;
}

// Behind the access. `at` where there is none.
std::size_t Lifter::end_of_address(const UnitBlock& block, std::size_t at, std::span<const RegisterSet> live) const {
  constexpr std::size_t kLongest = 3;
  const std::size_t end = std::min(block.instructions.size(), at + kLongest);
  RegisterSet made = 0;
  for (std::size_t index = at; index < end; ++index) {
    const Decoded& decoded = block.instructions[index].decoded;
    const riscv::InstructionInfo& row = riscv::info(decoded.op);
    const RegisterUse use = registers_of(decoded);
    if (row.has(riscv::traits::kLoad) || row.has(riscv::traits::kStore)) {
      const RegisterSet base = integer_bit(decoded.rs1);
      const bool is_address = (made & base) != 0 && (made & use.reads & ~base) == 0;
      const RegisterSet behind = index + 1 < live.size() ? live[index + 1] : unit_.live_behind(block);
      return is_address && (made & behind & ~use.writes) == 0 ? index + 1 : at;
    }
    switch (decoded.op) {
      case riscv::Op::kAdd:
      case riscv::Op::kAddi:
      case riscv::Op::kSlli:
      case riscv::Op::kLui:
      case riscv::Op::kAuipc:
      case riscv::Op::kAddUw:
      case riscv::Op::kSh1add:
      case riscv::Op::kSh2add:
      case riscv::Op::kSh3add:
      case riscv::Op::kSh1addUw:
      case riscv::Op::kSh2addUw:
      case riscv::Op::kSh3addUw:
        break;
      default:
        return at;
    }
    if (made != 0 && (use.reads & made) == 0) return at;
    made |= use.writes;
  }
  return at;
}

void Lifter::lift_instruction(const UnitInstruction& instruction) {
  const Decoded& decoded = instruction.decoded;
  const riscv::InstructionInfo& row = riscv::info(decoded.op);
  const RegisterUse use = registers_of(decoded);
  anchor_.read |= use.reads;
  if (row.has(riscv::traits::kTerminator)) return;  // end_block()
  result_kind_ = word_kind_of(words_, instruction);
  if (row.has(riscv::traits::kRaisesFlags)) anchor_.has_flags = true;
  if (!lift_integer(decoded, instruction.pc) && !lift_memory(decoded)) lift_float(decoded);
  anchor_.read |= use.reads;  // it may be another one by now
  const bool is_access = row.has(riscv::traits::kLoad) || row.has(riscv::traits::kStore);
  if (is_in_address_ && is_anchored_ && !is_access) anchor_.killed |= use.writes & ~anchor_.read;
}

// --- gas ---

// On the way to `block`, which is then entered or not paid for.
void Lifter::check_gas(const UnitBlock& block) {
  if (!unit_.is_metered) return;
  const Place here{.pc = block.pc, .live = block.live};
  // For the way on, too. Where gas ends, others see the guest: at a block, and with nothing ahead of the registers.
  if (anchor_.has_stores || anchor_.has_flags || !anchor_.is_at_block) anchor_.is_valid = false;
  settle_anchor(here);
  anchor_.is_at_block = true;
  auto* const exit = llvm::BasicBlock::Create(context_, "", function_);
  auto* const go_on = llvm::BasicBlock::Create(context_, "", function_);
  Value* const gas = builder_.CreateLoad(builder_.getInt64Ty(), gas_);
  builder_.CreateCondBr(builder_.CreateICmpSLT(gas, constant(0)), exit, go_on,
                        llvm::MDBuilder(context_).createBranchWeights(1, 1 << 20));
  builder_.SetInsertPoint(exit);
  Value* const arguments[] = {hart()};
  Value* const more = site({.kind = SiteKind::kOutOfGas, .access = Access::kExit}, builder_.getInt64Ty(), arguments);
  builder_.CreateStore(more, gas_);
  builder_.CreateBr(go_on);
  builder_.SetInsertPoint(go_on);
}

void Lifter::pay(std::int32_t rest) {
  if (due_ != rest && unit_.is_metered) {
    Value* const gas = builder_.CreateLoad(builder_.getInt64Ty(), gas_);
    builder_.CreateStore(builder_.CreateSub(gas, constant(static_cast<std::uint64_t>(std::int64_t{due_ - rest}))),
                         gas_);
  }
  due_ = rest;
}

// --- registers ---

Lifter::Value* Lifter::hart() { return builder_.CreateLoad(builder_.getPtrTy(), hart_); }

Lifter::Value* Lifter::hart_field(std::size_t offset) {
  return builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), hart(), offset);
}

Lifter::Value* Lifter::word(UnitWord which) {
  return builder_.CreateLoad(builder_.getInt64Ty(),
                             hart_field(offsetof(HartState, tier_words) + static_cast<std::size_t>(which) * 8));
}

Lifter::Value* Lifter::get(unsigned reg) {
  if (reg == 0) return constant(0);
  fetch(reg);
  if (words_[reg] == WordKind::kWord) return builder_.CreateSExt(get_half(reg), builder_.getInt64Ty());
  return builder_.CreateLoad(builder_.getInt64Ty(), integers_[reg]);
}

Lifter::Value* Lifter::get_half(unsigned reg) {
  fetch(reg);
  if (words_[reg] == WordKind::kWord) return builder_.CreateLoad(builder_.getInt32Ty(), halves_[reg]);
  return builder_.CreateTrunc(get(reg), builder_.getInt32Ty());
}

void Lifter::forget_words() { std::fill(words_.begin() + 1, words_.end(), WordKind::kWide); }

void Lifter::set(unsigned reg, Value* value) {
  if (reg == 0) return;
  if (result_kind_ == WordKind::kWord) {
    builder_.CreateStore(builder_.CreateTrunc(value, builder_.getInt32Ty()), halves_[reg]);
  } else {
    builder_.CreateStore(value, integers_[reg]);
  }
  words_[reg] = result_kind_;
  sums_[reg] = {};
  dirty_ |= integer_bit(reg);
  anchor_.defined |= integer_bit(reg);
  present_ |= integer_bit(reg);
}

void Lifter::increase(unsigned reg, std::int32_t by) {
  // What lives in the hart, or has to be there behind a frame that is made, would only have to be kept beside it.
  const bool is_followed = (unit_.homed & integer_bit(reg)) == 0 && reg != riscv::kSp;
  constexpr std::int32_t kFarthest = 1 << 20;
  Sum sum = sums_[reg];
  if (sum.base == nullptr || std::abs(sum.more) >= kFarthest) sum = {.base = get(reg), .more = 0};
  sum.more += by;
  set(reg, builder_.CreateAdd(sum.base, constant(static_cast<std::uint64_t>(std::int64_t{sum.more}))));
  if (is_followed) sums_[reg] = sum;
}

void Lifter::fetch(unsigned reg) {
  if ((present_ & integer_bit(reg)) != 0) return;
  present_ |= integer_bit(reg);
  if ((constants_.known & integer_bit(reg)) != 0) {
    builder_.CreateStore(constant(constants_.values[reg]), integers_[reg]);
  } else {
    load(integer_bit(reg));
  }
}

// Where blocks end, so that they meet with all homed registers in the hart.
void Lifter::bring_home() {
  if ((dirty_ & unit_.homed) == 0) return;
  flush(unit_.homed);
  dirty_ &= ~unit_.homed;
  anchor_.is_valid = false;  // the hart is not as it was there
}

void Lifter::load(RegisterSet registers) {
  for (RegisterSet left = registers; left != 0; left &= left - 1) {
    const auto bit = static_cast<unsigned>(std::countr_zero(left));
    if (bit < 32) {
      Value* const from = hart_field(offsetof(HartState, x) + bit * 8);
      builder_.CreateStore(builder_.CreateLoad(builder_.getInt64Ty(), from), integers_[bit]);
    } else {
      Value* const from = hart_field(offsetof(HartState, f) + (bit - 32) * 8);
      builder_.CreateStore(builder_.CreateLoad(builder_.getDoubleTy(), from), doubles_[bit - 32]);
    }
  }
}

void Lifter::flush(RegisterSet registers) {
  for (RegisterSet left = dirty_ & registers; left != 0; left &= left - 1) {
    const auto bit = static_cast<unsigned>(std::countr_zero(left));
    if (bit < 32) {
      builder_.CreateStore(get(bit), hart_field(offsetof(HartState, x) + bit * 8));
    } else {
      builder_.CreateStore(get_exact(bit - 32), hart_field(offsetof(HartState, f) + (bit - 32) * 8));
    }
  }
}

}  // namespace caisson::optimized
