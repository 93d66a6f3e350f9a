// Where around a pc a unit is worth beginning: at the header of the innermost loop, and at what was entered from elsewhere.
//
// Slices end wherever their gas does, which is another block in every run. The places that are found here depend on the code alone, so
// that all runs ask for the same units, and later ones find what earlier ones stored. Guest code is hostile: all of it is bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "memory/address_space.h"
#include "optimized/guest_code.h"

namespace caisson::runtime {

// The target of the first backward branch or jump, in the order of addresses from the block at `pc` on, that leads to `pc` or to before
// it, yet not before `lowest`: of the innermost loop around it, as compilers lay loops out. Where that is entered elsewhere (find_loop_entry),
// there.
std::optional<std::uint32_t> find_loop_header(const optimized::GuestCode& code, std::uint32_t pc, std::uint32_t lowest);

// The block at which a loop of [first, last] is entered, whose last instruction leads back to the first: that, or the place in it to which what
// stands before it jumps. A unit that began elsewhere would have the loops around it as one with it.
std::uint32_t find_loop_entry(const optimized::GuestCode& code, std::uint32_t first, std::uint32_t last);

// What only calls and indirect jumps can enter, as far as `code` tells: what stands behind a jump or a return, and is the target of no
// branch or jump. Where functions have no symbols, it stands for their starts. Ascending.
std::vector<std::uint32_t> find_entries(const optimized::GuestCode& code);

// The same of one address space, remembered.
class CodePlaces {
 public:
  explicit CodePlaces(const memory::AddressSpace& memory) : memory_(memory) {}

  std::optional<std::uint32_t> loop_header(std::uint32_t pc, std::uint32_t lowest);
  // The last entry at or before `pc`, at most kPagesBack pages away.
  std::optional<std::uint32_t> entry_before(std::uint32_t pc);
  // The code of some pages changed.
  void forget();

  // Of instructions and bytes that a loop has, at most: a unit does not hold longer ones.
  static constexpr std::size_t kLongestLoop = 1024;
  static constexpr std::uint32_t kLongestJump = 4096;
  static constexpr std::uint32_t kPagesBack = 4;

 private:
  bool is_code(std::uint32_t page) const {
    return (memory_.permissions(page) & memory::kExecute) != 0 && !memory_.is_mixed(page);
  }
  std::vector<std::uint8_t> read(std::uint32_t address, std::size_t most_bytes) const;
  std::uint32_t first_code_before(std::uint32_t pc, std::uint32_t most_bytes) const;
  const std::vector<std::uint32_t>& entries_of(std::uint32_t page);

  static constexpr std::size_t kMostLoops = 1 << 14;
  static constexpr std::size_t kMostPages = 1 << 11;

  const memory::AddressSpace& memory_;
  // By pc and by page; forgotten as a whole when there are many.
  std::unordered_map<std::uint32_t, std::optional<std::uint32_t>> headers_;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> entries_;
};

}  // namespace caisson::runtime
