// What --crosscheck compares and says: registers, traps, bytes of memory, and the code that was executed.
#pragma once

#include <cstdint>
#include <string>

#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"

namespace caisson::runtime {

// What was executed between two checkpoints.
struct CheckedBlocks {
  std::uint64_t first_pc = 0, last_pc = 0;
  std::uint64_t gas_before = 0;  // used when the first block began
  bool is_one = false;  // first_pc is all there was
  bool last_is_known = false;
};

// One line for each register that differs, the trap included; empty where none does. A bus error may be an ordinary fault where the
// shadow does not have the page (the file ends before it).
std::string compare_harts(const riscv::HartState& tier, const riscv::HartState& shadow,
                          const memory::AddressSpace& shadow_memory);

// The same for the bytes of writable pages, the first few of them.
std::string compare_memories(const memory::AddressSpace& tier, const memory::AddressSpace& shadow);

// The instructions from `pc` to the end of their block, a line each.
std::string disassemble_block(const memory::AddressSpace& memory, std::uint64_t pc);

// The whole text about registers.
std::string report_registers(const CheckedBlocks& blocks, const std::string& lines, const memory::AddressSpace& memory,
                             std::uint64_t gas_used);
// And about memory, which was the same at `gas_before`.
std::string report_memory(const std::string& lines, std::uint64_t pc, std::uint64_t gas_before, std::uint64_t gas_used);

}  // namespace caisson::runtime
