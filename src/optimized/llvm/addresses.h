// What only addresses are made of becomes part of the accesses: the processor adds a register, a scaled one and a constant for nothing.
#pragma once

#include <llvm/IR/Function.h>

#include <vector>

#include "optimized/llvm/lifter.h"

namespace caisson::optimized {

// Gives the accesses of `function`, whose sites are `sites`, the operands that their addresses are sums of.
void fold_addresses(llvm::Function& function, std::vector<LiftedSite>& sites);

}  // namespace caisson::optimized
