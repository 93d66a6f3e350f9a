#include "support/tiers.h"

#include <algorithm>

namespace caisson::tests {
namespace {

template <interp::CacheMode kMode>
std::unique_ptr<TierRunner> make_interpreter(memory::AddressSpace& memory, interp::TimeSource time,
                                             void* time_context) {
  class Runner final : public TierRunner {
   public:
    Runner(memory::AddressSpace& memory, interp::TimeSource time, void* time_context)
        : interpreter_(interp::Interpreter::create(memory, kMode, time, time_context).value()) {}
    void run(riscv::HartState& hart, std::uint64_t slice) override { interpreter_->run(hart, slice); }

   private:
    std::unique_ptr<interp::Interpreter> interpreter_;
  };
  return std::make_unique<Runner>(memory, time, time_context);
}

constexpr Tier kTiers[] = {
#define CAISSON_TIER(name, factory) {#name, factory},
#include "support/tiers.inc"
#undef CAISSON_TIER
};

}  // namespace

std::span<const Tier> tiers() { return kTiers; }

const Tier* find_tier(std::string_view name) {
  const auto* found = std::ranges::find(kTiers, name, &Tier::name);
  return found == std::end(kTiers) ? nullptr : found;
}

void run_to_trap(TierRunner& tier, riscv::HartState& hart, std::uint64_t slice) {
  do {
    tier.run(hart, slice);
  } while (hart.trap.kind == riscv::TrapKind::kNone);
}

}  // namespace caisson::tests
