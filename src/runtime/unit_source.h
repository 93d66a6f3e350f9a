// What a unit is compiled from: its entry's page and its neighbours. Its hash is part of the unit's key, so whoever prepares code ahead of
// a run and whoever looks for it in one have it from here.
#pragma once

#include <cstdint>
#include <optional>

#include "caisson/guest_compiler.h"
#include "memory/address_space.h"

namespace caisson::runtime {

struct UnitSource {
  std::uint32_t pc = 0;
  std::uint32_t first_page = 0, end_page = 0;
  CompileInput input;
};

// Nothing where the code at `pc` is not for units.
std::optional<UnitSource> unit_source(const memory::AddressSpace& memory, std::uint32_t pc);

}  // namespace caisson::runtime
