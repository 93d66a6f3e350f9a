// Where compiled code leaves with its state exact because it cannot go on now: a block cannot be paid, or a call not be remembered.
//
// A jump to `call Thunks::depart()` would name its reason by the call's return address, at 5 bytes for each of many reasons that hardly
// ever come true. So the call has several ways in: before it stand pushes of the hart register, a byte each, and who enters n pushes
// early leaves that address n times on the stack, where all else is guest pcs and addresses of code. A jump of 2 bytes reaches them
// from code near by.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace caisson::baseline {

// In one word, for compilation makes one for every block.
struct Departure {
  std::uint32_t half_word : 15 = 0;  // of the instruction to go on with; its block is not paid
  std::uint32_t cost : 16 = 0;  // was charged for it and goes back
  std::uint32_t is_slice_end : 1 = 1;  // else execution goes on at once, with an empty return stack
};

// Of a unit.
struct Departures {
  // One `call`: its return address, as an offset in the unit, and its first departure. The one that is entered n pushes early is the
  // n-th behind that.
  struct Call {
    std::uint32_t behind = 0;
    std::uint32_t first = 0;
  };
  std::vector<Call> calls;  // in the order of offsets
  std::vector<Departure> list;

  std::optional<Departure> of(std::uint32_t behind, std::uint32_t pushes) const {
    const auto call = std::ranges::lower_bound(calls, behind, {}, &Call::behind);
    if (call == calls.end() || call->behind != behind) return std::nullopt;
    const std::size_t end = call + 1 == calls.end() ? list.size() : (call + 1)->first;
    const std::size_t index = std::size_t{call->first} + pushes;
    if (index >= end) return std::nullopt;
    return list[index];
  }
};

}  // namespace caisson::baseline
