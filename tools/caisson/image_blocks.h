// The blocks of a guest function: where control can enter it, and what entering there costs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "caisson/result.h"
#include "image/elf_image.h"

namespace caisson::cli {

struct Instruction {
  std::uint64_t address = 0;
  std::string text;
  std::uint32_t gas = 0;
};

// The instructions from one entry to the next one or to the terminator, whichever comes first.
struct Block {
  std::uint64_t address = 0;
  std::uint64_t gas = 0;  // charged when control enters here: up to the terminator or the page's end
  std::vector<Instruction> instructions;
};

// Entries are the function's start, targets of its branches and jumps, what stands behind a terminator, and page starts;
// a jump from elsewhere into the middle makes further ones. `file` are the bytes that `elf` was read from.
// Errors: kNotFound (no such function), kInvalidImage (its bytes are not in the file), kLimit (longer than 16 MiB).
Result<std::vector<Block>> blocks_of_function(const image::ElfImage& elf, std::span<const std::uint8_t> file,
                                              const std::string& name);

}  // namespace caisson::cli
