// What lies on a program's stack when it starts (System V ABI, "Process Initialization"; fs/binfmt_elf.c for the order):
// argc, argv, envp and the auxiliary vector at sp, the strings that they point to at the top.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "caisson/result.h"

namespace caisson::linux_personality {

class LinuxProcess;

// An entry of the auxiliary vector: AT_* and its value.
struct AuxiliaryEntry {
  std::uint64_t type = 0;
  std::uint64_t value = 0;
};

// Writes the process's arguments, environment, executable path and `auxiliary` (AT_RANDOM, AT_EXECFN and AT_NULL are added)
// to the mapped stack that ends at layout.stack_high, fills in the layout and auxiliary_vector, and returns sp.
// Errors: kInvalidArgument where the strings and pointers take more than a quarter of the stack or one string is longer than
// 128 KiB (execve's E2BIG); kIo where the host has no randomness.
Result<std::uint64_t> write_initial_stack(LinuxProcess& process, std::vector<AuxiliaryEntry> auxiliary);

}  // namespace caisson::linux_personality
