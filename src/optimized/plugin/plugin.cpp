// The symbols of libcaisson-optimized.so: for engines (optimized/unit_compiler.h), and for caisson-compile-helper.
#include "optimized/llvm/compile_unit.h"
#include "optimized/riscv_compiler.h"

extern "C" __attribute__((visibility("default"))) caisson::optimized::CompileUnit caisson_unit_compiler(
    std::uint32_t version) {
  return version == caisson::optimized::kPluginVersion ? &caisson::optimized::compile_unit : nullptr;
}

extern "C" __attribute__((visibility("default"))) caisson::GuestCompiler* caisson_guest_compiler() {
  static caisson::optimized::RiscvCompiler compiler(&caisson::optimized::compile_unit);
  return &compiler;
}
