// Which pairs of instructions become one record.
#pragma once

#include <cstdint>

#include "interp/lowering.h"
#include "interp/record.h"
#include "isa/riscv/decoder.h"

namespace caisson::interp {

// Whether `first` at `pc` and `second` right behind it, in one block, can be one record; if so, *fused is given its handler and
// operands (its cost is left). It takes the place of the first one's only record; the second one's stands behind it. Where
// `second` is a branch, `distance` is from the fused record to the target's in bytes, or 0 while that is not known.
bool fuse(const riscv::Decoded& first, std::uint32_t pc, const riscv::Decoded& second, std::int32_t distance,
          const ClassMap& classes, Record* fused);

}  // namespace caisson::interp
