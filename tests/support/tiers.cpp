#include "support/tiers.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "baseline/baseline.h"
#include "gas/gas_schedule.h"
#include "runtime/execution.h"

namespace caisson::tests {
namespace {

// Ends some hundred times in a batch of generated programs, so that resuming and what tiers do between slices is tested, too.
constexpr std::uint64_t kSlice = 50'000;

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

// What --tier=baseline is with whole pages; without, each compilation covers what is reached.
template <bool kWholePages>
std::unique_ptr<TierRunner> make_baseline(memory::AddressSpace& memory, interp::TimeSource time, void* time_context) {
  class Runner final : public TierRunner {
   public:
    Runner(memory::AddressSpace& memory, interp::TimeSource time, void* time_context)
        : baseline_(baseline::Baseline::create(memory,
                                               {.time = time, .time_context = time_context, .whole_pages = kWholePages})
                        .value()) {}
    void run(riscv::HartState& hart, std::uint64_t slice) override {
      slice = std::clamp(slice, std::uint64_t{gas::dearest_block()}, interp::kLongestSlice);
      if (baseline_->run(hart, &slice) != baseline::Baseline::End::kNoMemory) return;
      std::fputs("no memory for compiled code\n", stderr);
      std::abort();
    }

   private:
    std::unique_ptr<baseline::Baseline> baseline_;
  };
  return std::make_unique<Runner>(memory, time, time_context);
}

// Tiers in turns, as a program meets them.
template <caisson::Tier kTier>
std::unique_ptr<TierRunner> make_execution(memory::AddressSpace& memory, interp::TimeSource time, void* time_context) {
  class Runner final : public TierRunner {
   public:
    Runner(memory::AddressSpace& memory, interp::TimeSource time, void* time_context)
        : execution_(
              runtime::Execution::create(memory, {.tier = kTier, .context = time_context, .time = time}).value()) {}
    void run(riscv::HartState& hart, std::uint64_t slice) override { execution_->run(hart, slice); }

   private:
    std::unique_ptr<runtime::Execution> execution_;
  };
  return std::make_unique<Runner>(memory, time, time_context);
}

// Units come and go: slices of all lengths end in their middle, and now and then all code is forgotten between two of them.
std::unique_ptr<TierRunner> make_dropping(memory::AddressSpace& memory, interp::TimeSource time, void* time_context) {
  class Runner final : public TierRunner {
   public:
    Runner(memory::AddressSpace& memory, interp::TimeSource time, void* time_context)
        : execution_(runtime::Execution::create(
                         memory, {.tier = caisson::Tier::kOptimized, .context = time_context, .time = time})
                         .value()) {}
    void run(riscv::HartState& hart, std::uint64_t slice) override {
      if (random_() % 8 == 0) execution_->release_code();
      execution_->run(hart, std::min(slice, std::uint64_t{1} + random_() % kSlice));
    }

   private:
    std::minstd_rand random_{1};
    std::unique_ptr<runtime::Execution> execution_;
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

void TierRunner::run_whole(riscv::HartState& hart) {
  do {
    run(hart, kSlice);
  } while (hart.trap.kind == riscv::TrapKind::kNone);
}

void run_to_trap(TierRunner& tier, riscv::HartState& hart, std::uint64_t step) {
  if (step == 0) return tier.run_whole(hart);
  std::uint64_t left = hart.gas;  // what the run may still use
  std::uint64_t given = 0;
  while (true) {
    given = std::min(given + step, left);
    const std::uint64_t used_before = hart.gas_used();
    hart.grant_gas(given);
    tier.run_whole(hart);
    left -= hart.gas_used() - used_before;
    given = hart.gas;
    if (hart.trap.kind != riscv::TrapKind::kOutOfGas || given == left) break;
  }
  hart.grant_gas(left);
}

}  // namespace caisson::tests
