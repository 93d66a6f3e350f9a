// Branches, calls, returns, and the ways out of a unit.
#include <llvm/IR/MDBuilder.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include "isa/riscv/hart_state.h"
#include "optimized/llvm/lifter.h"

namespace caisson::optimized {

using riscv::Op;

void Lifter::end_block(const UnitBlock& block) {
  switch (block.end) {
    case BlockEnd::kGoOn:
      bring_home();
      builder_.CreateBr(edge_to(block.next_block, block.next));
      return;
    case BlockEnd::kBranch:
      return branch(block);
    case BlockEnd::kCall:
    case BlockEnd::kIndirectCall:
      return call(block);
    case BlockEnd::kInlinedCall:
      result_kind_ = WordKind::kWide;
      set(block.instructions.back().decoded.rd, constant(block.next));
      bring_home();
      builder_.CreateBr(edge_to(block.next_block, block.target));
      return;
    case BlockEnd::kInlinedReturn:
      return inlined_return(block);
    case BlockEnd::kReturn: {
      const Decoded& decoded = block.instructions.back().decoded;
      pay();
      return leave(get(decoded.rs1));
    }
    case BlockEnd::kIndirectJump:
      return indirect_jump(block);
    case BlockEnd::kLeave:
      pay();
      return leave(constant(block.next));
    case BlockEnd::kCounted:
      return counted(block);
  }
}

// Where execution goes for the block of that index, which is at `pc`. The insertion point stays.
llvm::BasicBlock* Lifter::edge_to(int block, std::uint64_t pc) {
  const auto here = builder_.saveIP();
  auto* const edge = llvm::BasicBlock::Create(context_, "", function_);
  builder_.SetInsertPoint(edge);
  const FloatKinds kinds = kinds_;
  const WordKinds words = words_;
  const std::int32_t due = due_;
  const RegisterSet dirty = dirty_, present = present_;
  const Anchor anchor = anchor_;
  if (block == UnitBlock::kOutside) {
    pay();
    jump_away(constant(pc));
  } else {
    enter(static_cast<std::size_t>(block));
  }
  kinds_ = kinds;
  words_ = words;
  due_ = due;
  dirty_ = dirty;
  present_ = present;
  anchor_ = anchor;
  builder_.restoreIP(here);
  return edge;
}

// On an edge: pays where gas is looked at, and what differs from other edges to the block. The subtraction stands right before the
// check, so that its flags are the check.
void Lifter::enter(std::size_t index) {
  const UnitBlock& block = unit_.blocks[index];
  const RegisterSet flushed = unit_.flushed_between(block_, index);
  flush(flushed);
  if ((dirty_ & flushed) != 0) anchor_.is_valid = false;  // the hart is not as it was there
  dirty_ &= ~flushed;
  pay(static_cast<std::int32_t>(block.due));
  if (unit_.is_checked_between(block_, index)) check_gas(block);
  if (block.predecessors == 1) {
    anchors_[index] = anchor_;
    sums_at_entry_[index] = sums_;
  }
  reconcile(block);
  builder_.CreateBr(blocks_[index]);
}

// Brings registers into the form in which the next block expects them.
void Lifter::reconcile(const UnitBlock& next) {
  for (unsigned reg = 1; reg < 32; ++reg) {
    if ((next.needed & integer_bit(reg)) == 0) continue;
    const WordKind have = words_[reg], want = next.words[reg];
    if (have == WordKind::kWord && want == WordKind::kWide) builder_.CreateStore(get(reg), integers_[reg]);
    if (have != WordKind::kWord && want == WordKind::kWord) builder_.CreateStore(get_half(reg), halves_[reg]);
  }
  for (unsigned reg = 0; reg < 32; ++reg) {
    if ((next.needed & float_bit(reg)) == 0) continue;
    const FloatKind have = kinds_[reg], want = next.kinds[reg];
    if (have == want) continue;
    if (want == FloatKind::kExact) {
      make_exact(reg);
    } else if (want == FloatKind::kSingle) {
      builder_.CreateStore(get_exact_single(reg), singles_[reg]);
    }
    // A number is computed as well.
  }
}

// Sign extension keeps the unsigned order too.
Lifter::Value* Lifter::compare(llvm::CmpInst::Predicate condition, unsigned first, unsigned second) {
  const WordKind wider = std::max(words_[first], words_[second]);
  if (wider == WordKind::kWord) return builder_.CreateICmp(condition, get_half(first), get_half(second));
  return builder_.CreateICmp(condition, get(first), get(second));
}

void Lifter::branch(const UnitBlock& block) {
  const Decoded& decoded = block.instructions.back().decoded;
  const auto condition = [&] {
    switch (decoded.op) {
      case Op::kBeq:
        return llvm::CmpInst::ICMP_EQ;
      case Op::kBne:
        return llvm::CmpInst::ICMP_NE;
      case Op::kBlt:
        return llvm::CmpInst::ICMP_SLT;
      case Op::kBge:
        return llvm::CmpInst::ICMP_SGE;
      case Op::kBltu:
        return llvm::CmpInst::ICMP_ULT;
      default:
        return llvm::CmpInst::ICMP_UGE;
    }
  }();
  if (block.again_block != UnitBlock::kOutside) {
    Value* const holds_often = goes_around(block.count);
    bring_home();
    llvm::BasicBlock* const again = edge_to(block.again_block, block.target);
    auto* const seldom = llvm::BasicBlock::Create(context_, "", function_);
    builder_.CreateCondBr(holds_often, again, seldom, llvm::MDBuilder(context_).createBranchWeights(16, 1));
    builder_.SetInsertPoint(seldom);
  }
  Value* const holds = compare(condition, decoded.rs1, decoded.rs2);
  bring_home();
  llvm::BasicBlock* const taken = edge_to(block.target_block, block.target);
  llvm::BasicBlock* const passed = edge_to(block.next_block, block.next);
  builder_.CreateCondBr(holds, taken, passed);
}

// The distance that is left, without a sign, exceeds what all rounds but the last take of it: then no round but the last reaches the other
// register, or passes it.
Lifter::Value* Lifter::goes_around(const LoopCount& count) {
  const bool grows = count.step_register != 0 || count.step > 0;
  Value* const first = count.is_word ? get_half(count.first) : get(count.first);
  Value* const second = count.is_word ? get_half(count.second) : get(count.second);
  Value* const changing = count.first_changes ? first : second;
  Value* const fixed = count.first_changes ? second : first;
  Value* const left = grows ? builder_.CreateSub(fixed, changing) : builder_.CreateSub(changing, fixed);
  Value* holds;
  if (count.step_register != 0) {
    // A step that is larger would make more than 64 bits.
    Value* const step = get(count.step_register);
    Value* const taken = builder_.CreateMul(step, constant(count.rounds - 1));
    constexpr std::uint64_t kLargestStep = std::uint64_t{1} << 32;
    holds =
        builder_.CreateAnd(builder_.CreateICmpULT(step, constant(kLargestStep)), builder_.CreateICmpUGT(left, taken));
  } else {
    const auto step = static_cast<std::uint64_t>(std::abs(std::int64_t{count.step}));
    holds = builder_.CreateICmpUGT(left, llvm::ConstantInt::get(left->getType(), step * (count.rounds - 1)));
  }
  if (count.branch != Op::kBne) {
    const auto less = count.branch == Op::kBlt ? llvm::CmpInst::ICMP_SLT : llvm::CmpInst::ICMP_ULT;
    holds = builder_.CreateAnd(builder_.CreateICmp(less, first, second), holds);
  }
  return holds;
}

void Lifter::counted(const UnitBlock& block) {
  Value* const holds = goes_around(block.count);
  bring_home();
  llvm::BasicBlock* const often = edge_to(block.target_block, block.target);
  llvm::BasicBlock* const seldom = edge_to(block.next_block, block.next);
  builder_.CreateCondBr(holds, often, seldom, llvm::MDBuilder(context_).createBranchWeights(16, 1));
}

void Lifter::indirect_jump(const UnitBlock& block) {
  const Decoded& decoded = block.instructions.back().decoded;
  const auto offset = static_cast<std::uint64_t>(std::int64_t{decoded.imm});
  if (!block.targets.empty()) {
    bring_home();
    const auto pc_of = [this](int target) { return unit_.blocks[static_cast<std::size_t>(target)].pc; };
    const std::uint32_t first = pc_of(block.targets.front());
    auto* const elsewhere = llvm::BasicBlock::Create(context_, "", function_);
    // By half-words, so that a table of them has no gaps of its own; bit 0 of the sum goes, as in the pc. Of a word that is sign-extended
    // 32 bits tell as much where no target is what a negative one looks like.
    const bool is_word = words_[decoded.rs1] == WordKind::kWord && decoded.imm == 0 &&
                         pc_of(block.targets.back()) <= std::numeric_limits<std::int32_t>::max();
    Value* const base = is_word ? get_half(decoded.rs1) : get(decoded.rs1);
    llvm::IntegerType* const type = is_word ? builder_.getInt32Ty() : builder_.getInt64Ty();
    Value* const distance = builder_.CreateSub(base, llvm::ConstantInt::get(type, std::uint64_t{first} - offset));
    llvm::SwitchInst* const jump =
        builder_.CreateSwitch(builder_.CreateLShr(distance, 1), elsewhere, static_cast<unsigned>(block.targets.size()));
    for (const int target : block.targets)
      jump->addCase(llvm::ConstantInt::get(type, (pc_of(target) - first) / 2), edge_to(target, pc_of(target)));
    // Else LLVM thinks that a target within a loop is likelier than others, and asks for that before it uses its table.
    std::vector<std::uint32_t> weights(block.targets.size() + 1, 1 << 10);
    weights.front() = 1;  // of `elsewhere`
    jump->setMetadata(llvm::LLVMContext::MD_prof, llvm::MDBuilder(context_).createBranchWeights(weights));
    builder_.SetInsertPoint(elsewhere);
  }
  Value* const sum = builder_.CreateAdd(get(decoded.rs1), constant(offset));
  Value* const pc = builder_.CreateAnd(sum, constant(~std::uint64_t{1}));
  pay();
  jump_away(pc);
}

void Lifter::inlined_return(const UnitBlock& block) {
  const Decoded& decoded = block.instructions.back().decoded;
  Value* const pc = get(decoded.rs1);
  bring_home();
  llvm::BasicBlock* const back = edge_to(block.next_block, block.next);
  auto* const elsewhere = llvm::BasicBlock::Create(context_, "", function_);
  builder_.CreateCondBr(builder_.CreateICmpEQ(pc, constant(block.next)), back, elsewhere,
                        llvm::MDBuilder(context_).createBranchWeights(1 << 20, 1));
  builder_.SetInsertPoint(elsewhere);
  pay();
  leave(pc);
}

// Calls to code with the guest's state in what is passed and in the hart. Whoever returns to elsewhere than behind the call is passed on.
void Lifter::call(const UnitBlock& block) {
  const Decoded& decoded = block.instructions.back().decoded;
  pay();
  Value* target;
  if (block.end == BlockEnd::kCall) {
    target = constant(block.target);
  } else {
    Value* const sum =
        builder_.CreateAdd(get(decoded.rs1), constant(static_cast<std::uint64_t>(std::int64_t{decoded.imm})));
    target = builder_.CreateAnd(sum, constant(~std::uint64_t{1}));
  }
  result_kind_ = WordKind::kWide;
  set(decoded.rd, constant(block.next));
  flush_unpassed();
  const bool calls_itself = block.end == BlockEnd::kCall && block.target == unit_.blocks[0].pc;
  Value* const code = calls_itself ? function_ : find_code(target);
  llvm::CallInst* const result = call_code(code, target);
  unsigned member = 0;
  builder_.CreateStore(builder_.CreateExtractValue(result, member++), gas_);
  Value* const pc = builder_.CreateExtractValue(result, member++);
  for (const std::uint8_t reg : kPassedRegisters)
    builder_.CreateStore(builder_.CreateExtractValue(result, member++), integers_[reg]);
  builder_.CreateStore(builder_.CreateExtractValue(result, member), hart_);
  dirty_ = present_ = kPassed;
  kinds_.fill(FloatKind::kExact);
  forget_words();
  sums_ = {};
  anchor_.is_valid = false;
  auto* const back = llvm::BasicBlock::Create(context_, "", function_);
  auto* const elsewhere = llvm::BasicBlock::Create(context_, "", function_);
  llvm::MDNode* const likely = llvm::MDBuilder(context_).createBranchWeights(1 << 20, 1);
  builder_.CreateCondBr(builder_.CreateICmpEQ(pc, constant(block.next)), back, elsewhere, likely);
  if (decoded.rd == riscv::kRa) {
    // Who returned by ra left it as it was: a constant, which needs no place. Whoever did not is passed on as well.
    builder_.SetInsertPoint(back);
    auto* const with_link = llvm::BasicBlock::Create(context_, "", function_);
    builder_.CreateCondBr(builder_.CreateICmpEQ(get(riscv::kRa), constant(block.next)), with_link, elsewhere, likely);
    builder_.SetInsertPoint(elsewhere);
    leave(pc);
    builder_.SetInsertPoint(with_link);
    builder_.CreateStore(constant(block.next), integers_[riscv::kRa]);
  } else {
    builder_.SetInsertPoint(elsewhere);
    leave(pc);
    builder_.SetInsertPoint(back);
  }
  if (block.next_block == UnitBlock::kOutside) return jump_away(pc);
  const auto next = static_cast<std::size_t>(block.next_block);
  load(unit_.blocks[next].needed & ~present_);
  bring_home();
  enter(next);
}

void Lifter::flush_unpassed() { flush(~kPassed); }

std::vector<Lifter::Value*> Lifter::state(Value* pc) {
  std::vector<Value*> members = {builder_.CreateLoad(builder_.getInt64Ty(), gas_), pc};
  for (const std::uint8_t reg : kPassedRegisters) members.push_back(get(reg));
  members.push_back(hart());
  return members;
}

llvm::CallInst* Lifter::call_code(Value* code, Value* pc) {
  llvm::CallInst* const call = builder_.CreateCall(function_->getFunctionType(), code, state(pc));
  call->setCallingConv(llvm::CallingConv::X86_RegCall);
  call->addFnAttr(llvm::Attribute::get(context_, "no_callee_saved_registers"));
  return call;
}

void Lifter::give(std::span<Value* const> state) {
  Value* result = llvm::PoisonValue::get(result_type_);
  for (unsigned member = 0; member < state.size(); ++member)
    result = builder_.CreateInsertValue(result, state[member], member);
  builder_.CreateRet(result);
}

void Lifter::leave(Value* pc) {
  flush_unpassed();
  give(state(pc));
}

void Lifter::jump_away(Value* pc) {
  flush_unpassed();
  llvm::CallInst* const call = call_code(find_code(pc), pc);
  call->setTailCallKind(llvm::CallInst::TCK_MustTail);
  builder_.CreateRet(call);
}

// The code that the entry table has for an even `pc`; what is at the origin where it has none.
Lifter::Value* Lifter::find_code(Value* pc) {
  Value* const table = word(UnitWord::kEntryTable);
  Value* const origin = word(UnitWord::kOrigin);
  llvm::Type* const word_type = builder_.getInt64Ty();
  // Of a pc beyond 32 bits the first slot is read, which is always empty.
  Value* place = pc;
  if (!llvm::isa<llvm::ConstantInt>(pc))
    place = builder_.CreateSelect(builder_.CreateICmpULE(pc, constant(0xFFFFFFFF)), pc, constant(0));
  else if (llvm::cast<llvm::ConstantInt>(pc)->getZExtValue() >> 32 != 0)
    place = constant(0);
  Value* const address = builder_.CreateAdd(table, builder_.CreateShl(place, constant(1)));
  llvm::LoadInst* const slot =
      builder_.CreateLoad(builder_.getInt32Ty(), builder_.CreateIntToPtr(address, builder_.getPtrTy()));
  slot->setAlignment(llvm::Align(4));
  Value* const distance = builder_.CreateSExt(slot, word_type);
  return builder_.CreateIntToPtr(builder_.CreateAdd(origin, distance), builder_.getPtrTy());
}

}  // namespace caisson::optimized
