// Loops of which a look at two registers tells that they go around some more times.
//
// Compilers end most of their innermost loops by comparing a register that changes by the same each time with one that stays. Where enough is
// left between the two, copies of the loop's body need no branches between them: LLVM sees straight-line code.
#pragma once

#include <optional>

#include "optimized/llvm/guest_loops.h"
#include "optimized/llvm/guest_unit.h"

namespace caisson::optimized {

struct CountedLoop {
  std::size_t latch = 0;  // the block whose branch is taken to go around
  LoopCount count;  // but for the rounds
};

// Nothing where the loop is of another kind.
std::optional<CountedLoop> find_count(const std::vector<UnitBlock>& blocks, const GuestLoop& loop);

}  // namespace caisson::optimized
