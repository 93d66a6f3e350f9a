// The machine that a spec row describes: its state before, and how a state after differs from what the row wants.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "spec/spec_case.h"

namespace caisson::spec {

struct PageContents {
  memory::Permissions permissions = memory::kNone;
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(memory::kPageSize);
};

struct MachineState {
  std::array<std::uint64_t, 32> x{}, f{};
  std::uint64_t pc = 0;
  std::uint32_t frm = 0, fflags = 0;
  std::map<std::uint64_t, PageContents> pages;  // by address
};

// Registers that a row does not set hold values that nothing computes by chance, so that a write to a wrong one shows. Memory is
// the code, the data area and the case's own pages. Fails where the row sets memory that the case does not map.
Result<MachineState> initial_state(const SpecCase& spec_case, const Row& row);

// One line for each difference in pc, registers, flags and memory; empty where all is right.
std::vector<std::string> compare_state(const SpecCase& spec_case, const Row& row, const MachineState& found);

}  // namespace caisson::spec
