// Test programs as data: what the generator makes, the shrinker takes apart and the text form stores.
//
// A program is a list of items that runs from the first to behind the last, with forward branches, counted loops and calls; it
// always ends, whatever items are removed. Before it, registers and data are set; behind it, they are written out.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/result.h"
#include "generators/encoder.h"

namespace caisson::fuzz {

inline constexpr std::size_t kDataBytes = 1024;

enum class ItemKind : std::uint8_t {
  kPlain,  // the instruction, behind what sets up its operands
  kBranch,  // a conditional branch or direct jump over the `span` items that follow
  kIndirect,  // jalr, c.jr or c.jalr over the `span` items that follow; rs1 is the register that gets the target
  kLoopBegin,  // sets loop counter `counter` to `span`
  kLoopEnd,  // counts down and goes back to the item behind its begin
  kCall,  // calls function `span`; the link register is ra
};

struct Item {
  ItemKind kind = ItemKind::kPlain;
  std::uint32_t span = 0;
  std::uint8_t counter = 0;  // 0 is the outer loop's, 1 the inner one's
  std::vector<Instruction> setup = {};  // executed before `instruction`
  Instruction instruction = {};
};

using Items = std::vector<Item>;

// Registers that a program's own instructions do not write.
struct Reservation {
  std::uint8_t state = 3;  // points to the program's state while it runs
  std::uint8_t pointer = 8;  // 8 … 15, into the data: the base of compressed loads and stores
  std::array<std::uint8_t, 2> counters = {30, 31};  // loop counters
};

struct Program {
  std::array<std::uint64_t, 32> x{}, f{};  // at the start; reserved registers and sp get their own values
  std::uint32_t fcsr = 0;
  std::uint32_t sp_offset = 0, pointer_offset = 0;  // from the start of the data
  Reservation reserved;
  std::array<std::uint8_t, kDataBytes> data{};
  Items items;
  std::vector<Items> functions;  // kPlain items only, none writes ra
};

// Text that parse_program() reads, with what anyone debugging wants to see.
std::string to_text(const Program& program);
Result<Program> parse_program(std::string_view text);

}  // namespace caisson::fuzz
