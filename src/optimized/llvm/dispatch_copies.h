// A jump by a table for each place that comes to it, as where interpreters go on with the next instruction.
#pragma once

#include "optimized/llvm/guest_unit.h"

namespace caisson::optimized {

// Where blocks come together only to jump by a table, each gets the blocks up to the jump, and the jump, for itself: processors predict by the
// place of a jump. Called before loops are unrolled; only edges and the blocks' own instructions are read.
void copy_dispatch(GuestUnit& unit);

}  // namespace caisson::optimized
