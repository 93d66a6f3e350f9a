// What the lifter has to know of a unit's blocks beside their instructions: where gas is looked at and what is due, which registers have
// to be out of the hart, and what they hold.
#pragma once

#include <cstddef>

#include "optimized/llvm/guest_unit.h"

namespace caisson::optimized {

// Fills in what GuestUnit and UnitBlock say beyond instructions and edges. `root`: the block from which loops are found
// (separate_entry_loop()).
void find_facts(GuestUnit& unit, std::size_t root);

}  // namespace caisson::optimized
