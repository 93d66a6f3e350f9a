// How a process begins: the program, its interpreter, the stack and the signal page are mapped, and the hart stands at the
// first instruction.
#pragma once

#include "caisson/linux.h"
#include "caisson/result.h"

namespace caisson::linux_personality {

class LinuxProcess;

// Starts the instance's module in a process that has nothing mapped. Pays for every page. Errors: kNotFound, kPermission or
// kInvalidImage for the interpreter (PT_INTERP), kOutOfMemory, kLimit (gas), kInvalidArgument (arguments too long).
Result<void> start_program(LinuxProcess& process, const LinuxOptions& options);

}  // namespace caisson::linux_personality
