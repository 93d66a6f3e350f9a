// From guest code to machine code with its tables: read, lift, let LLVM optimise and generate, place sections, fill in accesses.
#pragma once

#include "optimized/unit_compiler.h"

namespace caisson::optimized {

// What the plug-in gives (unit_compiler.h).
Result<CodeBlob> compile_unit(const GuestCode& code, std::uint32_t entry, const UnitLimits& limits, UnitDump* dump);

}  // namespace caisson::optimized
