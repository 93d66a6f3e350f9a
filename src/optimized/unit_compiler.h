// The compiler of units, which lives in a plug-in, so that an engine that never gets hot does not map LLVM.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "caisson/code_blob.h"
#include "caisson/result.h"
#include "optimized/guest_code.h"

namespace caisson::optimized {

// Compiles the unit at `entry`. Any number of threads may. Errors: kUnsupported (the block at the entry is for other tiers), kInternal
// (LLVM made what is not understood; the unit is not compiled).
using CompileUnit = Result<CodeBlob> (*)(const GuestCode& code, std::uint32_t entry, const UnitLimits& limits,
                                         UnitDump* dump);

// Loads the plug-in at the first call. It is looked for at $CAISSON_OPTIMIZED_PLUGIN and, where that is not set, beside the program that
// holds the engine and in its ../lib and ../lib/caisson. Thread-safe. Error: kNotFound, which names the places.
Result<CompileUnit> load_unit_compiler();
// Where it would be loaded from, for who loads it in another process; nothing where it is nowhere.
std::optional<std::string> find_unit_compiler();
// Whether that was done.
bool is_unit_compiler_loaded();

// The plug-in's symbol for engines, a function that gives a CompileUnit for the version that it is asked for, or null.
inline constexpr const char* kPluginSymbol = "caisson_unit_compiler";
inline constexpr std::uint32_t kPluginVersion = 3;

}  // namespace caisson::optimized
