#include "optimized/llvm/generate_object.h"

#include <llvm/CodeGen/MachineBlockFrequencyInfo.h>
#include <llvm/CodeGen/MachineFrameInfo.h>
#include <llvm/CodeGen/MachineFunctionPass.h>
#include <llvm/CodeGen/MachineJumpTableInfo.h>
#include <llvm/CodeGen/MachineLoopInfo.h>
#include <llvm/CodeGen/MachineModuleInfo.h>
#include <llvm/CodeGen/Passes.h>
#include <llvm/CodeGen/TargetInstrInfo.h>
#include <llvm/CodeGen/TargetPassConfig.h>
#include <llvm/CodeGen/TargetRegisterInfo.h>
#include <llvm/CodeGen/TargetSubtargetInfo.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>

#include "isa/riscv/hart_state.h"

namespace caisson::optimized {
namespace {

// Functions with patchpoints get a frame pointer, for those who walk the stack to find what a stack map names. Sites are found with all
// registers, so slots may as well be named by the stack pointer, and rbp holds a value.
class FramePointerRelease final : public llvm::MachineFunctionPass {
 public:
  FramePointerRelease() : llvm::MachineFunctionPass(kIdentity) {}
  bool runOnMachineFunction(llvm::MachineFunction& function) override {
    function.getFrameInfo().setHasPatchPoint(false);
    return false;
  }

 private:
  static inline char kIdentity = 0;
};

// Homed registers go through the hart. Processors hand a word from a store to a load that follows at once where the load is a move; as
// an operand of an addition it comes as late as from the cache (Zen 4: less than 0.3 ns, and 2.3). So loads of words that were just
// stored become moves: SHA-256 took 1.5 times native, now 1.25.
class ForwardedLoads final : public llvm::MachineFunctionPass {
 public:
  ForwardedLoads() : llvm::MachineFunctionPass(kIdentity) {}

  bool runOnMachineFunction(llvm::MachineFunction& function) override {
    bool has_changed = false;
    for (llvm::MachineBasicBlock& block : function) has_changed |= run_on(function, block);
    return has_changed;
  }

 private:
  // In instructions: what is farther behind its store has been written by then. Of 16, 24, 64, 128 and all, 64 was best.
  static constexpr std::int64_t kNear = 64, kLargestLoop = 100;
  static constexpr unsigned kMemoryOperands = 5;  // base, scale, index, displacement, segment

  // The place in the hart that an instruction with memory operands from `first` on accesses, if it is one of an integer register.
  static std::optional<std::int64_t> register_of(const llvm::MachineInstr& instruction, unsigned first) {
    constexpr auto kEnd = static_cast<std::int64_t>(offsetof(riscv::HartState, x) + sizeof(riscv::HartState::x));
    if (instruction.getNumOperands() < first + kMemoryOperands) return std::nullopt;
    const llvm::MachineOperand& base = instruction.getOperand(first);
    const llvm::MachineOperand& index = instruction.getOperand(first + 2);
    const llvm::MachineOperand& displacement = instruction.getOperand(first + 3);
    const llvm::MachineOperand& segment = instruction.getOperand(first + 4);
    const bool is_in_hart = base.isReg() && base.getReg().isVirtual() && index.isReg() && !index.getReg() &&
                            displacement.isImm() && displacement.getImm() >= 0 && displacement.getImm() < kEnd &&
                            segment.isReg() && !segment.getReg();
    return is_in_hart ? std::optional(displacement.getImm()) : std::nullopt;
  }

  // Where a store writes.
  static std::optional<std::int64_t> stored_by(const llvm::MachineInstr& instruction) {
    const bool is_store = instruction.mayStore() && !instruction.mayLoad() && !instruction.isCall() &&
                          instruction.getNumOperands() == kMemoryOperands + 1;
    return is_store ? register_of(instruction, 0) : std::nullopt;
  }

  static bool run_on(llvm::MachineFunction& function, llvm::MachineBasicBlock& block) {
    std::map<std::int64_t, std::int64_t> stored_at;  // by the place in the hart
    std::int64_t at = 0;
    const auto look = [&](const llvm::MachineInstr& instruction) {
      if (const auto place = stored_by(instruction)) stored_at[*place] = at;
      ++at;
    };
    // A loop of one block comes from its own end.
    const bool is_loop = block.isSuccessor(&block);
    if (is_loop) {
      for (const llvm::MachineInstr& instruction : block) look(instruction);
    }
    const bool is_small_loop = is_loop && at <= kLargestLoop;
    bool has_changed = false;
    for (llvm::MachineInstr& instruction : llvm::make_early_inc_range(block)) {
      look(instruction);
      if (!instruction.mayLoad() || instruction.isCall()) continue;
      const bool stores = instruction.mayStore();
      const llvm::TargetInstrInfo& instructions = *function.getSubtarget().getInstrInfo();
      unsigned first = 0;
      const unsigned apart = instructions.getOpcodeAfterMemoryUnfold(instruction.getOpcode(), true, stores, &first);
      const bool is_operation = apart != 0 && !instructions.get(apart).isMoveReg();
      const auto place = is_operation ? register_of(instruction, first) : std::nullopt;
      if (!place) continue;
      const auto store = stored_at.find(*place);
      const bool is_near = stores ? is_small_loop : store != stored_at.end() && at - store->second <= kNear;
      if (!is_near) continue;
      const llvm::TargetRegisterClass* const kind =
          instructions.getRegClass(instructions.get(apart), first, function.getSubtarget().getRegisterInfo(), function);
      const llvm::Register value = function.getRegInfo().createVirtualRegister(kind);
      llvm::SmallVector<llvm::MachineInstr*, 3> parts;
      if (!instructions.unfoldMemoryOperand(function, instruction, value, true, stores, parts)) continue;
      for (llvm::MachineInstr* const part : parts) block.insert(instruction.getIterator(), part);
      instruction.eraseFromParent();
      has_changed = true;
    }
    return has_changed;
  }

  static inline char kIdentity = 0;
};

// Of a jump by a table, whose targets come together from several such jumps, LLVM makes a block for some edges that copies a register as the block
// with the jump has done already. The table leads past it then: two instructions and a jump less (bytecode executed 6 % more).
class ShortEdges final : public llvm::MachineFunctionPass {
 public:
  ShortEdges() : llvm::MachineFunctionPass(kIdentity) {}

  bool runOnMachineFunction(llvm::MachineFunction& function) override {
    llvm::MachineJumpTableInfo* const tables = function.getJumpTableInfo();
    if (tables == nullptr) return false;
    bool has_changed = false;
    for (llvm::MachineBasicBlock& edge : llvm::make_early_inc_range(function)) {
      if (edge.pred_size() != 1 || edge.succ_size() != 1) continue;
      llvm::MachineBasicBlock& from = **edge.pred_begin();
      llvm::MachineBasicBlock* const to = *edge.succ_begin();
      const bool is_by_table =
          !from.empty() && from.back().isIndirectBranch() && &*from.getFirstTerminator() == &from.back();
      if (!is_by_table || from.isSuccessor(to) || to == &edge || edge.hasAddressTaken() || !repeats(edge, from))
        continue;
      tables->ReplaceMBBInJumpTables(&edge, to);
      from.replaceSuccessor(&edge, to);
      edge.removeSuccessor(to);
      edge.eraseFromParent();
      has_changed = true;
    }
    return has_changed;
  }

 private:
  // Whether all that `edge` does is what the last instructions of `from` did.
  static bool repeats(const llvm::MachineBasicBlock& edge, const llvm::MachineBasicBlock& from) {
    for (const llvm::MachineInstr& instruction : edge) {
      if (instruction.isMetaInstruction() || instruction.isUnconditionalBranch()) continue;
      if (!is_copied(instruction, from)) return false;
    }
    return true;
  }
  static bool is_copied(const llvm::MachineInstr& wanted, const llvm::MachineBasicBlock& from) {
    if (!wanted.isMoveReg() && !wanted.isCopy()) return false;
    const llvm::TargetRegisterInfo& registers = *from.getParent()->getSubtarget().getRegisterInfo();
    const llvm::Register target = wanted.getOperand(0).getReg(), source = wanted.getOperand(1).getReg();
    for (auto at = std::next(from.rbegin()); at != from.rend(); ++at) {
      const bool is_same = at->getOpcode() == wanted.getOpcode() && at->getOperand(0).getReg() == target &&
                           at->getOperand(1).getReg() == source;
      if (is_same) return true;
      if (at->modifiesRegister(target, &registers) || at->modifiesRegister(source, &registers)) return false;
    }
    return false;
  }

  static inline char kIdentity = 0;
};

// What is jumped to in a loop begins a line of the instruction cache, since processors fetch and predict branches by lines. A search for primes took
// 1.46 times native where 25 bytes lay in two of them, now 1.23; a product of matrices 3 % less. Only parts that nobody falls into, so that the
// bytes between are not executed, and no targets of jumps by a table, which predictors tell apart by more bits of their addresses (bytecode took 7 % more).
class LoopLines final : public llvm::MachineFunctionPass {
 public:
  LoopLines() : llvm::MachineFunctionPass(kIdentity) {}

  void getAnalysisUsage(llvm::AnalysisUsage& usage) const override {
    usage.addRequired<llvm::MachineLoopInfoWrapperPass>();
    usage.addRequired<llvm::MachineBlockFrequencyInfoWrapperPass>();
    usage.setPreservesAll();
    llvm::MachineFunctionPass::getAnalysisUsage(usage);
  }

  bool runOnMachineFunction(llvm::MachineFunction& function) override {
    const auto& loops = getAnalysis<llvm::MachineLoopInfoWrapperPass>().getLI();
    const auto& frequencies = getAnalysis<llvm::MachineBlockFrequencyInfoWrapperPass>().getMBFI();
    const auto frequency = [&](const llvm::MachineBasicBlock* block) {
      return frequencies.getBlockFreq(block).getFrequency();
    };
    bool has_changed = false;
    for (llvm::MachineBasicBlock& block : function) {
      const llvm::MachineLoop* const loop = loops.getLoopFor(&block);
      if (loop == nullptr || frequency(&block) < frequency(loop->getHeader()) / kSeldom || !is_jumped_to(block))
        continue;
      block.setAlignment(llvm::Align(kLine));
      block.setMaxBytesForAlignment(0);  // no limit
      has_changed = true;
    }
    if (has_changed) function.ensureAlignment(llvm::Align(kLine));
    return has_changed;
  }

 private:
  static constexpr unsigned kLine = 64;
  static constexpr std::uint64_t kSeldom = 8;

  // By jumps to a known place alone.
  static bool is_jumped_to(llvm::MachineBasicBlock& block) {
    if (&block == &block.getParent()->front() || std::prev(block.getIterator())->canFallThrough()) return false;
    return std::ranges::none_of(block.predecessors(), [](const llvm::MachineBasicBlock* from) {
      return !from->empty() && from->back().isIndirectBranch();
    });
  }

  static inline char kIdentity = 0;
};

}  // namespace

// As LLVMTargetMachine::addPassesToEmitFile(), which has no place for passes of others.
bool generate_object(llvm::TargetMachine& machine, llvm::Module& module, llvm::SmallVectorImpl<char>& object) {
  llvm::raw_svector_ostream stream(object);
  auto& target = static_cast<llvm::LLVMTargetMachine&>(machine);
  llvm::legacy::PassManager passes;  // takes what it is given
  llvm::TargetPassConfig* const config = target.createPassConfig(passes);
  config->insertPass(&llvm::FinalizeISelID, new FramePointerRelease);
  config->insertPass(&llvm::FinalizeISelID, new ForwardedLoads);
  config->insertPass(&llvm::ExpandPostRAPseudosID, new ShortEdges);
  config->insertPass(&llvm::MachineBlockPlacementID, new LoopLines);
  passes.add(config);
  auto* const information = new llvm::MachineModuleInfoWrapperPass(&target);
  passes.add(information);
  if (config->addISelPasses()) return false;
  config->addMachinePasses();
  config->setInitialized();
  if (target.addAsmPrinter(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile,
                           information->getMMI().getContext()))
    return false;
  passes.add(llvm::createFreeMachineFunctionPass());
  passes.run(module);
  return true;
}

}  // namespace caisson::optimized
