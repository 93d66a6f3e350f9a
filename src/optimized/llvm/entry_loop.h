// A unit that is entered at a loop within loops, as where execution goes over to it in the loop's middle.
#pragma once

#include <cstddef>

#include "optimized/llvm/guest_unit.h"

namespace caisson::optimized {

// From such an entry, the loops around look as if they were one with the entry's loop, all of one header. So the entry gets a copy of its
// loop, and the loop that others come to is within the loops around it again. Only edges and the blocks' own instructions are read, as in
// unroll_loops(). Gives the block from which a depth-first search finds the loops as they are nested in the guest: the entry, or if that is
// within loops, the first block of the outermost.
std::size_t separate_entry_loop(GuestUnit& unit);

}  // namespace caisson::optimized
