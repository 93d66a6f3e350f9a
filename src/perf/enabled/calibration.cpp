#include "perf/enabled/calibration.h"

#include <cpuid.h>

#include <algorithm>
#include <array>

#include "perf/counter.h"
#include "perf/enabled/thread_shards.h"
#include "perf/enabled/timer.h"

namespace caisson::perf {
namespace {

constinit Module calibration_module("", 0);

constexpr std::uint64_t kCalibrationNs = 20'000'000;
constexpr int kLooks = 16;
constexpr int kScopesPerBatch = 1000;
constexpr std::size_t kBatches = 31;

// What both timers show at one moment.
struct Moment {
  std::uint64_t clock, tsc;
};

// Of several looks the one that took least: in the others something else may have run between the two.
Moment moment() {
  Moment best{};
  std::uint64_t least = ~std::uint64_t{0};
  for (int look = 0; look < kLooks; ++look) {
    const std::uint64_t before = tsc_ticks();
    const std::uint64_t clock = clock_ticks();
    const std::uint64_t took = tsc_ticks() - before;
    if (took >= least) continue;
    least = took;
    best = {.clock = clock, .tsc = before + took / 2};
  }
  return best;
}

double tsc_ticks_per_ns() {
  const Moment start = moment();
  Moment now = start;
  while (now.clock - start.clock < kCalibrationNs) now = moment();
  return static_cast<double>(now.tsc - start.tsc) / static_cast<double>(now.clock - start.clock);
}

std::uint64_t now(Timer timer) { return timer == Timer::kTsc ? tsc_ticks() : clock_ticks(); }

}  // namespace

bool has_even_tsc() {
  constexpr unsigned kPowerManagement = 0x8000'0007, kInvariantTsc = 1u << 8;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(kPowerManagement, &a, &b, &c, &d) != 0 && (d & kInvariantTsc) != 0;
}

Result<Calibration> calibrate(const Options& options, std::uint64_t state) {
  if (options.timer == Timer::kTsc && !has_even_tsc())
    return fail(ErrorCode::kUnsupported, "this processor has no time stamp counter of a constant rate; use the clock");
  static Counter empty(calibration_module, "empty scope");
  Calibration calibration;
  if (options.timer == Timer::kTsc) calibration.ticks_per_ns = tsc_ticks_per_ns();
  // The least of batches: whatever else the processor does only adds to what a scope costs, and may do so for all of this time.
  std::array<double, kBatches> recorded{}, taken{};
  empty.set_state(state);
  std::uint64_t ticks_before = 0;
  for (std::size_t batch = 0; batch < kBatches; ++batch) {
    const std::uint64_t start = now(options.timer);
    for (int index = 0; index < kScopesPerBatch; ++index) const Scope scope(empty);
    taken[batch] = static_cast<double>(now(options.timer) - start) / kScopesPerBatch;
    const std::uint64_t ticks = collect(empty, state).ticks;
    recorded[batch] = static_cast<double>(ticks - ticks_before) / kScopesPerBatch;
    ticks_before = ticks;
  }
  empty.set_state(0);
  calibration.floor_ticks = std::ranges::min(recorded);
  calibration.cost_ticks = std::max(std::ranges::min(taken), calibration.floor_ticks);
  return calibration;
}

}  // namespace caisson::perf
