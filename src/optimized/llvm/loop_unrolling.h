// Small loops several times over, so that gas is looked at and state is reconciled once for some iterations.
#pragma once

#include <cstddef>

#include "optimized/llvm/guest_unit.h"

namespace caisson::optimized {

// Unrolls the innermost loops of `unit` that are small and make no calls, as they are found from the block `root`. Of the blocks' fields, what read_unit() finds out by following
// edges is not there yet: only edges and the blocks' own instructions are read.
void unroll_loops(GuestUnit& unit, std::size_t root);

}  // namespace caisson::optimized
