// The one symbol of libcaisson-optimized.so (optimized/unit_compiler.h).
#include "optimized/llvm/compile_unit.h"

extern "C" __attribute__((visibility("default"))) caisson::optimized::CompileUnit caisson_unit_compiler(
    std::uint32_t version) {
  return version == caisson::optimized::kPluginVersion ? &caisson::optimized::compile_unit : nullptr;
}
