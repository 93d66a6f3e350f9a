#include "support/tiers.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <random>
#include <utility>
#include <vector>

#include "baseline/baseline.h"
#include "gas/gas_schedule.h"
#include "optimized/unit_format.h"
#include "runtime/execution.h"

namespace caisson::tests {
namespace {

// Ends some hundred times in a batch of generated programs, so that resuming and what tiers do between slices is tested, too.
constexpr std::uint64_t kSlice = 50'000;

template <class Made>
Made made_or_exit(Result<Made> made) {
  if (made) return *std::move(made);
  std::fprintf(stderr, "a tier under test cannot be made: %s\n", made.error().to_string().c_str());
  std::exit(1);
}

template <interp::CacheMode kMode>
std::unique_ptr<TierRunner> make_interpreter(memory::AddressSpace& memory, interp::TimeSource time,
                                             void* time_context) {
  class Runner final : public TierRunner {
   public:
    Runner(memory::AddressSpace& memory, interp::TimeSource time, void* time_context)
        : interpreter_(made_or_exit(interp::Interpreter::create(memory, kMode, time, time_context))) {}
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
        : baseline_(made_or_exit(baseline::Baseline::create(
              memory, {.time = time, .time_context = time_context, .whole_pages = kWholePages}))) {}
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

// Where a slice ends in a unit, it goes on with another one, as it does in an engine.
std::uint64_t next_slice(void*) {
  static thread_local std::minstd_rand random{1};
  return 2 * optimized::kGasReserve + random() % 8192;
}

// Tiers in turns, as a program meets them.
template <caisson::Tier kTier>
std::unique_ptr<TierRunner> make_execution(memory::AddressSpace& memory, interp::TimeSource time, void* time_context) {
  class Runner final : public TierRunner {
   public:
    Runner(memory::AddressSpace& memory, interp::TimeSource time, void* time_context)
        : execution_(made_or_exit(runtime::Execution::create(
              memory, {.tier = kTier, .context = time_context, .time = time, .next_slice = &next_slice}))) {}
    void run(riscv::HartState& hart, std::uint64_t slice) override {
      constexpr std::uint64_t kFirstSlice = kTier == caisson::Tier::kOptimized ? 5000 : kSlice;
      execution_->run(hart, std::min(slice, kFirstSlice));
    }

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
        : execution_(made_or_exit(runtime::Execution::create(
              memory, {.tier = caisson::Tier::kOptimized, .context = time_context, .time = time}))) {}
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

// What a slice ends at is optimised before the next one. A block is seen, compiled by the baseline tier and found hot by slices that do not
// hold it; those between are long enough to enter units.
std::unique_ptr<TierRunner> make_promoting(memory::AddressSpace& memory, interp::TimeSource time, void* time_context) {
  class Runner final : public TierRunner {
   public:
    Runner(memory::AddressSpace& memory, interp::TimeSource time, void* time_context)
        : execution_(made_or_exit(runtime::Execution::create(
              memory, {.tier = caisson::Tier::kAuto, .context = time_context, .time = time, .jit = service()}))) {}
    void run(riscv::HartState& hart, std::uint64_t slice) override {
      constexpr std::uint64_t kSlices[] = {1, 1, 8192, 1, 1};  // and a whole one
      hart.trap = {};
      const std::size_t turn = turn_++ % (std::size(kSlices) + 1);
      if (turn < std::size(kSlices)) return execution_->run_exactly(hart, std::min(slice, kSlices[turn]));
      execution_->run(hart, slice);
    }

   private:
    static const std::shared_ptr<runtime::JitService>& service() {
      static const auto made =
          std::make_shared<runtime::JitService>(runtime::JitOptions{.hot_threshold = 0, .blocking = true});
      return made;
    }

    std::size_t turn_ = 0;
    std::unique_ptr<runtime::Execution> execution_;
  };
  return std::make_unique<Runner>(memory, time, time_context);
}

// At every block entry anything may happen: slices are of all lengths, also in the middle of units; the block becomes a unit, or units or
// all code go.
std::unique_ptr<TierRunner> make_random(memory::AddressSpace& memory, interp::TimeSource time, void* time_context) {
  class Runner final : public TierRunner {
   public:
    Runner(memory::AddressSpace& memory, interp::TimeSource time, void* time_context)
        : time_(time),
          time_context_(time_context),
          execution_(made_or_exit(runtime::Execution::create(
              memory,
              {.tier = caisson::Tier::kAuto, .context = this, .time = &read_time, .next_slice = &next_slice}))) {}
    void run(riscv::HartState& hart, std::uint64_t slice) override {
      hart_ = &hart;
      change_units(hart.pc);
      slice = std::min(slice, random_slice());
      hart.trap = {};
      // A slice that does not hold the next block is followed by one that does.
      is_exact_ = !is_exact_;
      if (is_exact_) return execution_->run_exactly(hart, slice);
      execution_->run(hart, slice);
    }

   private:
    static std::uint64_t read_time(void* runner) {
      const auto& self = *static_cast<Runner*>(runner);
      return self.time_(self.time_context_);
    }
    static std::uint64_t next_slice(void* runner) {
      auto& self = *static_cast<Runner*>(runner);
      return self.random_() % 4 == 0 ? 0 : std::min(self.hart_->gas, self.random_slice());
    }
    static unsigned next_seed() {
      static std::atomic<unsigned> count{0};
      return ++count;
    }
    std::uint64_t random_slice() {
      constexpr unsigned kMostBits = 17;
      return 1 + random_() % (std::uint64_t{1} << random_() % kMostBits);
    }
    void change_units(std::uint64_t pc) {
      switch (random_() % 8) {
        case 0:
        case 1:
          if (execution_->add_unit(pc)) units_.push_back(static_cast<std::uint32_t>(pc));
          break;
        case 2:
          if (units_.empty()) break;
          std::swap(units_[random_() % units_.size()], units_.back());
          execution_->remove_unit(units_.back());
          units_.pop_back();
          break;
        case 3:
          if (random_() % 16 != 0) break;
          execution_->release_code();
          units_.clear();
          break;
        default:
          break;
      }
    }

    const interp::TimeSource time_;
    void* const time_context_;
    std::minstd_rand random_{next_seed()};
    bool is_exact_ = false;
    riscv::HartState* hart_ = nullptr;  // that runs
    std::vector<std::uint32_t> units_;  // that were added
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
