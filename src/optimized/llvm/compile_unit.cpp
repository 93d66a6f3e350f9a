#include "optimized/llvm/compile_unit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llvm-c/Disassembler.h>
#include <llvm/Analysis/AliasAnalysis.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <algorithm>
#include <cassert>
#include <mutex>

#include "isa/riscv/decoder.h"
#include "isa/riscv/host_float.h"
#include "optimized/llvm/access_encoder.h"
#include "optimized/llvm/addresses.h"
#include "optimized/llvm/generate_object.h"
#include "optimized/llvm/lifter.h"
#include "optimized/llvm/object_image.h"

namespace caisson::optimized {
namespace {

constexpr const char* kTriple = "x86_64-unknown-linux-gnu";
// What the baseline tier asks of the processor as well (Baseline::is_supported).
constexpr const char* kProcessor = "x86-64-v3";

// Options of LLVM that only a command line can set.
void set_option(llvm::StringRef name, llvm::StringRef value) {
  auto& options = llvm::cl::getRegisteredOptions();
  if (const auto found = options.find(name); found != options.end()) found->second->addOccurrence(0, name, value);
}

// What LLVM keeps per process.
void prepare_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeX86Disassembler();
    // The pass computes which registers live across patchpoints, which nobody wants, and of some registers it cannot tell.
    set_option("enable-patchpoint-liveness", "false");
    // Counts differences of iterations into registers of their own, of which unrolled loops have too few.
    set_option("disable-lsr", "true");
    // Percent of a jump table's places that have to be targets: those of guests are places in their code (Lifter::indirect_jump).
    set_option("jump-table-density", "2");
    // Values that live long take registers after those that live shortly.
    set_option("greedy-reverse-local-assignment", "1");
    // Instructions in an order that needs few registers, of which guests leave hardly any.
    set_option("pre-RA-sched", "list-burr");
    // Loads stay what they are: ForwardedLoads (generate_object.cpp) has said which are better alone.
    set_option("disable-spill-fusing", "true");
    // Common ends of blocks would be jumped to, and what jumped there is how processors tell places apart that go on by a table.
    set_option("enable-tail-merge", "false");
  });
}

std::unique_ptr<llvm::TargetMachine> make_machine() {
  std::string error;
  const llvm::Target* const target = llvm::TargetRegistry::lookupTarget(kTriple, error);
  if (target == nullptr) return nullptr;
  llvm::TargetOptions options;
  options.EnableFastISel = false;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      kTriple, kProcessor, "", options, llvm::Reloc::PIC_, llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}

// A trimmed list: a unit is straight from a compiler, which has done what could be done about its loops.
void improve(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager passes;
  // Not instcombine: it rewrites sums of 32 bits, of which guests are full, into longer ones that code generation does not undo.
  constexpr const char* kPasses = "function(mem2reg,early-cse,simplifycfg,sccp,early-cse,adce,simplifycfg)";
  if (llvm::Error error = builder.parsePassPipeline(passes, kPasses)) {
    llvm::consumeError(std::move(error));
    return;
  }
  passes.run(module, modules);
}

// LLVM would load a constant anew into a register of its own for each site that keeps it, more than there are.
void settle_constants(llvm::Function& function) {
  llvm::Type* const word = llvm::Type::getInt64Ty(function.getContext());
  for (llvm::BasicBlock& block : function) {
    for (llvm::Instruction& instruction : block) {
      auto* const call = llvm::dyn_cast<llvm::CallInst>(&instruction);
      if (call == nullptr || call->getCallingConv() != llvm::CallingConv::AnyReg) continue;
      constexpr unsigned kFixedOperands = 4;
      const auto arguments = llvm::cast<llvm::ConstantInt>(call->getArgOperand(3))->getZExtValue();
      for (unsigned index = kFixedOperands + static_cast<unsigned>(arguments); index < call->arg_size(); ++index) {
        llvm::Value* const operand = call->getArgOperand(index);
        if (const auto* const number = llvm::dyn_cast<llvm::ConstantFP>(operand)) {
          const std::uint64_t bits = number->getValueAPF().bitcastToAPInt().getZExtValue();
          call->setArgOperand(index, llvm::ConstantInt::get(word, bits));
        } else if (const auto* const half = llvm::dyn_cast<llvm::ConstantInt>(operand)) {
          call->setArgOperand(index, llvm::ConstantInt::getSigned(word, half->getSExtValue()));
        } else if (llvm::isa<llvm::UndefValue>(operand)) {
          call->setArgOperand(index, llvm::ConstantInt::get(word, 0));
        }
      }
    }
  }
}

// Errors of code generation become errors of the compilation, where LLVM would end the process.
class DiagnosticCollector final : public llvm::DiagnosticHandler {
 public:
  explicit DiagnosticCollector(std::string& errors) : errors_(errors) {}
  bool handleDiagnostics(const llvm::DiagnosticInfo& diagnostic) override {
    if (diagnostic.getSeverity() == llvm::DS_Error) {
      llvm::raw_string_ostream stream(errors_);
      llvm::DiagnosticPrinterRawOStream printer(stream);
      diagnostic.print(printer);
    }
    return true;
  }

 private:
  std::string& errors_;
};

std::string text_of(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, nullptr);
  return text;
}

std::string text_of(const GuestUnit& unit) {
  std::string text;
  for (std::size_t index = 0; index < unit.blocks.size(); ++index) {
    const UnitBlock& block = unit.blocks[index];
    text += fmt::format("block {} at 0x{:x}: cost {}, {} in{}{}\n", index, block.pc, block.cost, block.predecessors,
                        block.is_checked ? ", checked" : "", block.end == BlockEnd::kLeave ? ", leaves" : "");
    if (block.next_block >= 0 || block.target_block >= 0)
      text += fmt::format("  to {} {}\n", block.next_block, block.target_block);
    if (block.again_block >= 0)
      text += fmt::format("  for all of {} rounds again to {}\n", block.count.rounds, block.again_block);
    if (!block.targets.empty()) text += fmt::format("  by a table to {}\n", fmt::join(block.targets, " "));
    text += fmt::format("  needed {:x} dirty {:x}\n", block.needed, block.dirty);
  }
  return text;
}

std::optional<Location> location_of(const StackMapLocation& from, const std::vector<std::uint64_t>& constants) {
  Location to;
  switch (from.kind) {
    case StackMapLocation::kRegister:
      to.kind = LocationKind::kRegister;
      to.host = static_cast<std::uint8_t>(from.dwarf_register);
      if (from.dwarf_register > 32 || from.offset != 0) return std::nullopt;
      return to;
    case StackMapLocation::kIndirect:
      to.kind = LocationKind::kStackSlot;
      to.host = static_cast<std::uint8_t>(from.dwarf_register);
      to.offset = from.offset;
      if (from.dwarf_register > 32) return std::nullopt;
      return to;
    case StackMapLocation::kConstant:
      to.kind = LocationKind::kConstant;
      to.offset = from.offset;
      return to;
    case StackMapLocation::kConstantIndex:
      to.kind = LocationKind::kLargeConstant;
      if (static_cast<std::uint32_t>(from.offset) >= constants.size()) return std::nullopt;
      to.constant = constants[static_cast<std::uint32_t>(from.offset)];
      return to;
    default:
      return std::nullopt;
  }
}

// Fills in the accesses of `image` and gives their table.
std::optional<std::vector<Site>> fill_sites(const LiftedUnit& unit, ObjectImage& image) {
  std::vector<Site> sites;
  for (const StackMapRecord& record : image.records) {
    if (record.id >= unit.sites.size()) return std::nullopt;
    const LiftedSite& lifted = unit.sites[record.id];
    const bool is_exit = lifted.access == Access::kExit;
    const bool gives = is_exit || is_load(lifted.access);
    const std::size_t first = lifted.address.registers() + 1;  // a value is given or an argument
    if (record.locations.size() != first + 1 + lifted.registers.size()) return std::nullopt;
    const auto host_register = [&](std::size_t index) {
      const StackMapLocation& location = record.locations[index];
      return location.kind == StackMapLocation::kRegister ? unsigned{location.dwarf_register} : 255U;
    };
    AccessRegisters registers;
    std::size_t next = gives ? 1 : 0;
    if (lifted.address.has_base) registers.base = host_register(next++);
    if (lifted.address.has_index) registers.index = host_register(next++);
    registers.value = host_register(gives ? 0 : next);
    const std::optional<EncodedAccess> encoded = encode(lifted.access, lifted.address, lifted.displacement, registers);
    if (!encoded || encoded->size > encoded_size(lifted.access, lifted.address, lifted.displacement))
      return std::nullopt;
    if (record.offset + encoded->size > image.bytes.size()) return std::nullopt;
    std::copy_n(encoded->bytes.begin(), encoded->size, image.bytes.begin() + record.offset);
    Site site{.host = record.offset + encoded->call_size,
              .guest = lifted.guest,
              .kind = lifted.kind,
              .gas_due = lifted.gas_due,
              .repeated = lifted.repeated};
    const std::optional<Location> gas = location_of(record.locations[first], image.constants);
    if (!gas) return std::nullopt;
    site.gas = *gas;
    for (std::size_t index = 0; index < lifted.registers.size(); ++index) {
      std::optional<Location> location = location_of(record.locations[first + 1 + index], image.constants);
      if (!location) return std::nullopt;
      location->guest = lifted.registers[index].guest;
      location->form = lifted.registers[index].form;
      site.registers.push_back(*location);
    }
    sites.push_back(std::move(site));
  }
  std::ranges::sort(sites, {}, &Site::host);
  return sites;
}

// The code with the guest addresses of its sites, up to where constants begin.
std::string disassembly_of(std::vector<std::uint8_t>& code, std::uint32_t entry, const std::vector<Site>& sites) {
  const LLVMDisasmContextRef disassembler = LLVMCreateDisasmCPU(kTriple, kProcessor, nullptr, 0, nullptr, nullptr);
  if (disassembler == nullptr) return "this LLVM has no disassembler\n";
  std::string text;
  auto site = sites.begin();
  for (std::size_t at = entry; at < code.size();) {
    char line[160];
    const std::size_t size = LLVMDisasmInstruction(disassembler, &code[at], code.size() - at, at, line, sizeof line);
    if (size == 0) break;
    while (site != sites.end() && site->host < at) ++site;
    const bool is_site = site != sites.end() && site->host < at + size;
    text += is_site ? fmt::format("{:6x}:{}  # guest 0x{:x}\n", at, line, site->guest)
                    : fmt::format("{:6x}:{}\n", at, line);
    at += size;
  }
  LLVMDisasmDispose(disassembler);
  return text;
}

std::vector<std::uint32_t> pages_of(const GuestUnit& unit) {
  std::vector<std::uint32_t> pages;
  for (const UnitBlock& block : unit.blocks) {
    pages.push_back(block.pc / 4096);
    pages.push_back((block.behind - 1) / 4096);
  }
  std::ranges::sort(pages);
  const auto rest = std::ranges::unique(pages);
  pages.erase(rest.begin(), rest.end());
  return pages;
}

}  // namespace

Result<CodeBlob> compile_unit(const GuestCode& code, std::uint32_t entry, const UnitLimits& limits, UnitDump* dump) {
  const riscv::OwnFloatState floats;
  prepare_llvm();
  const std::optional<GuestUnit> unit = read_unit(code, entry, limits);
  if (!unit) {
    return fail(ErrorCode::kUnsupported, fmt::format("the block at 0x{:x} is for other tiers", entry));
  }
  const std::unique_ptr<llvm::TargetMachine> machine = make_machine();
  if (machine == nullptr) return fail(ErrorCode::kUnsupported, "this LLVM has no x86-64 target");
  llvm::LLVMContext context;
  std::string errors;
  context.setDiagnosticHandler(std::make_unique<DiagnosticCollector>(errors));
  llvm::Module module("unit", context);
  module.setTargetTriple(kTriple);
  module.setDataLayout(machine->createDataLayout());
  // Nothing in a unit needs more, and what a unit calls does without.
  module.setOverrideStackAlignment(8);
  LiftedUnit lifted = lift(module, *unit, "unit");
  if (dump != nullptr) {
    dump->blocks = text_of(*unit);
    dump->lifted = text_of(module);
  }
  if (llvm::verifyModule(module, nullptr)) {
    assert(false && "a unit was lifted to what LLVM does not accept");
    std::string text;
    llvm::raw_string_ostream stream(text);
    llvm::verifyModule(module, &stream);
    return fail(ErrorCode::kInternal, "the unit was lifted to what LLVM does not accept: " + text);
  }
  improve(module, *machine);
  fold_addresses(*lifted.function, lifted.sites);
  settle_constants(*lifted.function);
  if (dump != nullptr) dump->improved = text_of(module);
  llvm::SmallVector<char, 0> object;
  if (!generate_object(*machine, module, object)) return fail(ErrorCode::kInternal, "LLVM cannot write object code");
  if (!errors.empty()) return fail(ErrorCode::kInternal, "LLVM cannot generate the unit: " + errors);
  Result<ObjectImage> image = read_object(std::span<const char>(object.data(), object.size()));
  if (!image) return std::unexpected(image.error());
  std::optional<std::vector<Site>> sites = fill_sites(lifted, *image);
  if (!sites) return fail(ErrorCode::kInternal, "the stack map of a unit is not understood");
  CodeBlob blob;
  blob.code = std::move(image->bytes);
  blob.entries.push_back({.guest_pc = entry, .offset = image->entry});
  if (dump != nullptr) dump->assembly = disassembly_of(blob.code, image->entry, *sites);
  blob.pc_map = encode_tables({.pages = pages_of(*unit), .sites = *std::move(sites)});
  return blob;
}

}  // namespace caisson::optimized
