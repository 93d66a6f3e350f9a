// Guest code as a compiler of units gets it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "isa/riscv/instructions.h"

namespace caisson::optimized {

// Instructions that no unit has.
constexpr bool is_for_other_tiers(riscv::GasClass gas_class) {
  switch (gas_class) {
    case riscv::GasClass::kIllegal:
    case riscv::GasClass::kAtomic:
    case riscv::GasClass::kFenceI:
    case riscv::GasClass::kCsr:
    case riscv::GasClass::kEnvironment:
      return true;
    default:
      return false;
  }
}

// The bytes of [base, base + bytes.size()), all of them executable.
struct GuestCode {
  std::uint32_t base = 0;
  std::span<const std::uint8_t> bytes;
};

// What one unit may take in. Compilation takes about 1 ms a block.
struct UnitLimits {
  std::uint32_t most_blocks = 160;
  std::uint32_t most_instructions = 1600;
  // False: the unit neither pays gas nor looks at it, and so ends at no limit. Only to measure what metering costs (bench/).
  bool is_metered = true;
};

// Texts for people, made where they are wanted.
struct UnitDump {
  std::string lifted;  // LLVM IR as lifted
  std::string improved;  // and after LLVM's passes
  std::string assembly;  // with guest addresses
  std::string blocks;  // guest blocks, their costs and checks
};

}  // namespace caisson::optimized
