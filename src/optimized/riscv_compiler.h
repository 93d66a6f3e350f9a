// The RISC-V guest kind towards the JitBackend: what a unit is compiled from, its key, and how code becomes a LoadedUnit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caisson/guest_compiler.h"
#include "optimized/guest_code.h"
#include "optimized/unit_compiler.h"

namespace caisson::optimized {

inline constexpr const char* kGuestKind = "riscv";

// Compiles units through the plug-in, which the first compilation loads: loading artifacts does not map LLVM. Thread-safe.
class RiscvCompiler final : public GuestCompiler {
 public:
  // `compile`: the plug-in's function, where it is there already (in the helper process).
  explicit RiscvCompiler(CompileUnit compile = nullptr, const UnitLimits& limits = {})
      : compile_(compile), limits_(limits) {}
  std::string_view guest_kind() const override { return kGuestKind; }
  ArtifactContext context() const override;
  bool is_eligible(const CompileInput& input) const override;
  Result<CodeBlob> compile(const CompileInput& input, CompileLimits& limits, CompileDump* dump) override;
  // Gives LoadedUnits.
  Result<std::shared_ptr<const LoadedCode>> load(const CodeBlob& blob) override;

 private:
  const CompileUnit compile_;
  const UnitLimits limits_;
};

// The input for the unit at `entry` of the code that begins at `base`.
CompileInput unit_input(std::uint32_t base, std::vector<std::uint8_t> bytes, std::uint32_t entry, std::string label);

}  // namespace caisson::optimized
