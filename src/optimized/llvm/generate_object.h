// From LLVM's intermediate code to an object file, with passes of our own in code generation.
#pragma once

#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

namespace caisson::optimized {

// False where this LLVM cannot. Errors of code generation go to the context's diagnostic handler.
bool generate_object(llvm::TargetMachine& machine, llvm::Module& module, llvm::SmallVectorImpl<char>& object);

}  // namespace caisson::optimized
