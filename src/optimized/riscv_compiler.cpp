#include "optimized/riscv_compiler.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "base/hash.h"
#include "gas/gas_schedule.h"
#include "isa/riscv/decoder.h"
#include "isa/riscv/hart_state.h"
#include "optimized/loaded_unit.h"
#include "optimized/unit_format.h"

namespace caisson::optimized {

// Of a source that the build writes (write_build_id.cmake).
extern const char* const kUnitBuildId;

namespace {

using riscv::HartState;

// Bytes that are hashed, in one order on every machine.
class Text {
 public:
  template <class Integer>
  void add(Integer value) {
    for (std::size_t shift = 0; shift < 64; shift += 8)
      bytes_.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> shift));
  }
  void add(std::string_view text) {
    add(text.size());
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  void add(std::span<const std::uint8_t> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  base::Sha256 hash() const { return base::sha256(bytes_); }

 private:
  std::vector<std::uint8_t> bytes_;
};

// x86-64-v3, the only processor that units are made for (Baseline::is_supported has its features).
constexpr std::uint64_t kProcessorV3 = 1;

base::Sha256 abi_hash() {
  Text text;
  text.add(offsetof(HartState, x));
  text.add(offsetof(HartState, f));
  text.add(offsetof(HartState, tier_words));
  text.add(kGasReserve);
  for (const UnitWord word : {UnitWord::kEntryTable, UnitWord::kOrigin, UnitWord::kStackLimit, UnitWord::kExit})
    text.add(static_cast<std::uint8_t>(word));
  return text.hash();
}

base::Sha256 gas_hash() {
  Text text;
  text.add(gas::kScheduleName);
  for (const std::uint32_t weight : gas::kWeights) text.add(weight);
  return text.hash();
}

base::Sha256 options_hash(const UnitLimits& limits) {
  Text text;
  text.add(limits.most_blocks);
  text.add(limits.most_instructions);
  text.add(static_cast<std::uint8_t>(limits.is_metered));
  return text.hash();
}

// No unit has these instructions: where one comes first, nothing needs to be compiled to know it.
bool may_begin_with(std::span<const std::uint8_t> bytes) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, bytes.data(), std::min(bytes.size(), sizeof bits));
  return !is_for_other_tiers(riscv::info(riscv::decode(bits).op).gas_class);
}

}  // namespace

ArtifactContext RiscvCompiler::context() const {
  static const ArtifactContext kOfBuild = [] {
    Text build;
    build.add(std::string_view(kUnitBuildId));
    return ArtifactContext{.cpu_features = kProcessorV3,
                           .build_id = build.hash(),
                           .abi_hash = abi_hash(),
                           .gas_hash = gas_hash(),
                           .options_hash = {}};
  }();
  ArtifactContext context = kOfBuild;
  context.options_hash = options_hash(limits_);
  return context;
}

bool RiscvCompiler::is_eligible(const CompileInput& input) const {
  return input.bytes != nullptr && input.guest_address >> 32 == 0 &&
         input.entry_pc - input.guest_address < input.bytes->size() && input.entry_pc % 2 == 0 &&
         may_begin_with(std::span(*input.bytes).subspan(input.entry_pc - input.guest_address));
}

Result<CodeBlob> RiscvCompiler::compile(const CompileInput& input, CompileLimits& limits, CompileDump* dump) {
  if (!limits.yield_point()) return fail(ErrorCode::kBusy, "cancelled");
  CompileUnit compile_unit = compile_;
  if (compile_unit == nullptr) {
    const Result<CompileUnit> loaded = load_unit_compiler();
    if (!loaded) return std::unexpected(loaded.error());
    compile_unit = *loaded;
  }
  const GuestCode code{.base = static_cast<std::uint32_t>(input.guest_address), .bytes = *input.bytes};
  UnitDump texts;
  Result<CodeBlob> blob =
      compile_unit(code, static_cast<std::uint32_t>(input.entry_pc), limits_, dump == nullptr ? nullptr : &texts);
  if (dump != nullptr) {
    dump->add("blocks.txt", std::move(texts.blocks));
    dump->add("lifted.ll", std::move(texts.lifted));
    dump->add("improved.ll", std::move(texts.improved));
    dump->add("code.s", std::move(texts.assembly));
  }
  return blob;
}

Result<std::shared_ptr<const LoadedCode>> RiscvCompiler::load(const CodeBlob& blob) { return LoadedUnit::load(blob); }

CompileInput unit_input(std::uint32_t base, std::vector<std::uint8_t> bytes, std::uint32_t entry, std::string label) {
  Text text;
  text.add(std::string_view(kGuestKind));
  text.add(static_cast<std::uint8_t>(CodeTier::kOptimized));
  text.add(gas::kScheduleName);
  text.add(base);
  text.add(entry);
  text.add(std::span<const std::uint8_t>(base::sha256(bytes)));
  return {.guest_kind = kGuestKind,
          .key = {text.hash()},
          .tier = CodeTier::kOptimized,
          .guest_address = base,
          .entry_pc = entry,
          .bytes = std::make_shared<const std::vector<std::uint8_t>>(std::move(bytes)),
          .label = std::move(label)};
}

}  // namespace caisson::optimized
