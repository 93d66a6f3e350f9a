#include "optimized/llvm/addresses.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>
#include <llvm/Transforms/Utils/Local.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "optimized/llvm/access_encoder.h"

namespace caisson::optimized {
namespace {

// Of a patchpoint: its number, bytes, target, and how many arguments follow before the state.
constexpr unsigned kNumberOperand = 0, kBytesOperand = 1, kCountOperand = 3, kFirstArgument = 4;

constexpr unsigned kDeepest = 4;

std::uint64_t number_of(const llvm::CallInst& call, unsigned operand) {
  return llvm::cast<llvm::ConstantInt>(call.getArgOperand(operand))->getZExtValue();
}

// base + (index << scale) + displacement, modulo 2^32; what is null is 0.
struct Sum {
  llvm::Value* base = nullptr;
  llvm::Value* index = nullptr;
  unsigned scale = 0;
  std::uint32_t displacement = 0;

  bool add(llvm::Value* value, unsigned shift) {
    if (shift == 0 && base == nullptr) {
      base = value;
    } else if (index == nullptr) {
      index = value;
      scale = shift;
    } else if (scale == 0 && base == nullptr) {
      base = std::exchange(index, value);
      scale = shift;
    } else {
      return false;
    }
    return true;
  }
};

class Folding {
 public:
  Folding(llvm::Function& function, std::vector<LiftedSite>& sites)
      : function_(function), sites_(sites), dominators_(function), loops_(dominators_) {}

  void run() {
    std::vector<llvm::CallInst*> accesses;
    for (llvm::BasicBlock& block : function_) {
      for (llvm::Instruction& instruction : block) {
        if (auto* const call = access_of(&instruction)) accesses.push_back(call);
      }
    }
    for (llvm::CallInst* const access : accesses) fold(*access);
  }

 private:
  // Where it is an access to memory.
  llvm::CallInst* access_of(llvm::User* user) const {
    auto* const call = llvm::dyn_cast<llvm::CallInst>(user);
    if (call == nullptr || call->getCallingConv() != llvm::CallingConv::AnyReg) return nullptr;
    return sites_[number_of(*call, kNumberOperand)].access == Access::kExit ? nullptr : call;
  }

  // Whether nobody but addresses wants what the instruction gives.
  bool is_for_addresses(const llvm::Instruction& instruction, unsigned depth) const {
    if (depth == kDeepest) return false;
    return llvm::all_of(instruction.uses(), [&](const llvm::Use& use) {
      if (const llvm::CallInst* const access = access_of(use.getUser())) {
        const unsigned registers = sites_[number_of(*access, kNumberOperand)].address.registers();
        return access->getArgOperandNo(&use) - kFirstArgument < registers;
      }
      const auto* const user = llvm::dyn_cast<llvm::Instruction>(use.getUser());
      return user != nullptr && is_sum(*user) && is_for_addresses(*user, depth + 1);
    });
  }

  static bool is_address(const llvm::Value& value) {
    return value.getType()->isIntegerTy(32) || value.getType()->isIntegerTy(64);
  }
  static std::optional<unsigned> shift_of(const llvm::Instruction& instruction) {
    constexpr unsigned kMost = 3;
    if (instruction.getOpcode() != llvm::Instruction::Shl || !is_address(instruction)) return std::nullopt;
    const auto* const amount = llvm::dyn_cast<llvm::ConstantInt>(instruction.getOperand(1));
    if (amount == nullptr || amount->getValue().ugt(kMost)) return std::nullopt;
    return static_cast<unsigned>(amount->getZExtValue());
  }
  // Of which the low 32 bits come from low 32 bits, of what is in one register.
  static bool is_sum(const llvm::Instruction& instruction) {
    switch (instruction.getOpcode()) {
      case llvm::Instruction::Add:
      case llvm::Instruction::Trunc:
      case llvm::Instruction::ZExt:
      case llvm::Instruction::SExt:
        return is_address(*instruction.getOperand(0)) && is_address(instruction);
      default:
        return shift_of(instruction).has_value();
    }
  }

  // Adds `value << shift` to `sum`, as what it is made of where that leaves less to do. False, and `sum` is anything, where it has no room.
  bool add(llvm::Value* value, unsigned shift, unsigned depth, Sum& sum) const {
    if (const auto* const constant = llvm::dyn_cast<llvm::ConstantInt>(value)) {
      sum.displacement += static_cast<std::uint32_t>(constant->getSExtValue()) << shift;
      return true;
    }
    const auto* const instruction = llvm::dyn_cast<llvm::Instruction>(value);
    if (instruction != nullptr && depth < kDeepest && is_sum(*instruction) && is_near(*instruction) &&
        is_for_addresses(*instruction, 0)) {
      Sum parts = sum;
      if (add_parts(*instruction, shift, depth + 1, parts)) {
        sum = parts;
        return true;
      }
    }
    return sum.add(value, shift);
  }
  bool add_parts(const llvm::Instruction& instruction, unsigned shift, unsigned depth, Sum& sum) const {
    if (const auto more = shift_of(instruction))
      return shift + *more <= 3 && add(instruction.getOperand(0), shift + *more, depth, sum);
    if (!add(instruction.getOperand(0), shift, depth, sum)) return false;
    return instruction.getOpcode() != llvm::Instruction::Add || add(instruction.getOperand(1), shift, depth, sum);
  }

  // What is computed before a loop stays there, since it needs one register within.
  bool is_near(const llvm::Instruction& instruction) const {
    return loops_.getLoopFor(instruction.getParent()) == loops_.getLoopFor(at_);
  }

  void fold(llvm::CallInst& access) {
    LiftedSite& site = sites_[number_of(access, kNumberOperand)];
    llvm::Value* const address = access.getArgOperand(kFirstArgument);
    at_ = access.getParent();
    Sum sum;
    sum.displacement = static_cast<std::uint32_t>(site.displacement);
    if (!add(address, 0, 0, sum) || sum.base == address) return;
    site.displacement = static_cast<std::int32_t>(sum.displacement);
    site.address = {.has_base = sum.base != nullptr, .has_index = sum.index != nullptr, .scale = sum.scale};
    llvm::IRBuilder<> builder(&access);
    std::vector<llvm::Value*> operands(access.arg_begin(), access.arg_begin() + kFirstArgument);
    if (sum.base != nullptr) operands.push_back(sum.base);
    if (sum.index != nullptr) operands.push_back(sum.index);
    operands.insert(operands.end(), access.arg_begin() + kFirstArgument + 1, access.arg_end());
    operands[kBytesOperand] = builder.getInt32(encoded_size(site.access, site.address, site.displacement));
    const auto added = operands.size() - access.arg_size();
    operands[kCountOperand] = builder.getInt32(static_cast<std::uint32_t>(number_of(access, kCountOperand) + added));
    llvm::CallInst* const made = builder.CreateCall(access.getFunctionType(), access.getCalledOperand(), operands);
    made->setCallingConv(access.getCallingConv());
    made->setAttributes(access.getAttributes());
    access.replaceAllUsesWith(made);
    access.eraseFromParent();
    llvm::RecursivelyDeleteTriviallyDeadInstructions(address);
  }

  llvm::Function& function_;
  std::vector<LiftedSite>& sites_;
  llvm::DominatorTree dominators_;
  llvm::LoopInfo loops_;
  const llvm::BasicBlock* at_ = nullptr;
};

}  // namespace

void fold_addresses(llvm::Function& function, std::vector<LiftedSite>& sites) { Folding(function, sites).run(); }

}  // namespace caisson::optimized
