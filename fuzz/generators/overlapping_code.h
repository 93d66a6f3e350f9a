// Code that means something wherever it is entered. Knots, in which each half-word begins an instruction, so that ways through them overlap
// and meet anywhere, and straight-line pieces between them, which compilers treat as a whole: where the two join is where compiling
// one page in several pieces goes wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace caisson::fuzz {

struct OverlappingCode {
  std::vector<std::uint8_t> bytes;
  std::vector<std::size_t> joints;  // offsets at which straight-line pieces begin
};

// At least `length` bytes. `shape`, two bits each from the lowest: how long knots are, how many half-words of anything there are, how many
// compressed instructions, how long pieces are.
OverlappingCode overlapping_code(std::uint64_t seed, std::size_t length, unsigned shape);

}  // namespace caisson::fuzz
