// What a run must cost, derived from the instruction table and the code bytes alone: the tests' own reading of the gas rules.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace caisson::spec {

// The gas of a run that enters `code` (which lies at `code_address`) at `start_pc` and stops with a trap at `end_pc`, where no
// control transfer lies between: the sum over the blocks from start to end. nullopt where a transfer does, or where the way
// leaves the code.
std::optional<std::uint64_t> predict_straight_line_gas(std::span<const std::uint8_t> code, std::uint64_t code_address,
                                                       std::uint64_t start_pc, std::uint64_t end_pc);

}  // namespace caisson::spec
