// The tiers under test. Semantic tests run over all of them, so a new tier joins every test by one line in tiers.inc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "interp/interpreter.h"
#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"

namespace caisson::tests {

// One tier, made for one guest memory. run() is Interpreter::run's contract (interp/interpreter.h).
class TierRunner {
 public:
  virtual ~TierRunner() = default;
  virtual void run(riscv::HartState& hart, std::uint64_t slice) = 0;

  // Runs to a trap whatever slices it takes.
  void run_whole(riscv::HartState& hart);
};

struct Tier {
  std::string_view name;
  std::unique_ptr<TierRunner> (*make)(memory::AddressSpace& memory, interp::TimeSource time, void* time_context);

  // Takes 10 ms and more for each entry: tests of many programs give it few of them.
  bool compiles_slowly() const { return name.starts_with("optimized") || name.starts_with("auto-"); }
};

std::span<const Tier> tiers();

// nullptr where no tier has that name.
const Tier* find_tier(std::string_view name);

// Runs until a trap. With a step, gas is given out in portions of `step`, so that the run is out of gas again and again and
// resumed; what hart.gas holds is the most that it gets either way.
void run_to_trap(TierRunner& tier, riscv::HartState& hart, std::uint64_t step = 0);

}  // namespace caisson::tests
