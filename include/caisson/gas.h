// Gas: the exact bill of a run.
//
// Each block of guest code costs the sum of its instructions' weights and is charged when it is entered; what a system call
// grants (memory) or a host function declares is charged before it takes effect. The bill depends on the executed
// instructions only: it is the same in every tier, cold or warm (docs/gas.md).
#pragma once

#include <cstdint>
#include <limits>

namespace caisson {

// Grants a run as much gas as it likes; it is counted all the same.
inline constexpr std::uint64_t kUnlimitedGas = std::numeric_limits<std::uint64_t>::max();

}  // namespace caisson
