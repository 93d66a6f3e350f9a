// Where a program that has not run may get hot: what an ahead-of-time compilation has to go by.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "memory/address_space.h"

namespace caisson::runtime {

struct UnitCandidate {
  std::uint32_t pc = 0;
  std::uint32_t bytes = 0;  // of the loop, or up to the next function
  std::uint32_t calls = 0;  // direct ones from a root, at least; kNotCalled: there is no such way
  bool has_loop = false;
  static constexpr std::uint32_t kNotCalled = ~std::uint32_t{0};
};

// Functions (`functions`: those that symbols tell; targets of direct calls) and loop headers of all code that is mapped, as Promotion will
// ask for them. What the roots call comes first, in the order of its distance, for a program's own code is nearer to its `main` than a
// library's depths; then what has loops, then what is small. The code is hostile; at most 64 MiB of it are read.
std::vector<UnitCandidate> find_unit_candidates(const memory::AddressSpace& memory,
                                                std::span<const std::uint32_t> functions,
                                                std::span<const std::uint32_t> roots);

}  // namespace caisson::runtime
