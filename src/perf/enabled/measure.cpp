// A measurement: which counters are enabled in which run, and what their ticks become.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>
#include <utility>
#include <vector>

#include "caisson/perf.h"
#include "perf/counter.h"
#include "perf/enabled/calibration.h"
#include "perf/enabled/thread_shards.h"

namespace caisson::perf {
namespace {

std::uint64_t next_state(const Options& options) {
  static constinit std::atomic<std::uint64_t> measured = 0;
  const std::uint64_t number = measured.fetch_add(1, std::memory_order_relaxed) + 1;
  return number << CountingState::kFlagBits | (options.timer == Timer::kTsc ? CountingState::kTsc : 0) |
         (options.mode == Mode::kNested ? CountingState::kNested : 0) | (options.detail ? CountingState::kDetail : 0);
}

// Counters are on for as long as it lives.
class Enabled {
 public:
  Enabled(std::vector<Counter*> counters, std::uint64_t state) : counters_(std::move(counters)) {
    for (Counter* const counter : counters_) counter->set_state(state);
  }
  ~Enabled() {
    for (Counter* const counter : counters_) counter->set_state(0);
  }
  Enabled(const Enabled&) = delete;
  Enabled& operator=(const Enabled&) = delete;

 private:
  std::vector<Counter*> counters_;
};

// Ticks that a call of this rank took, from the histogram: evenly spread within its bucket.
double ticks_of_rank(const Totals& totals, double fraction) {
  const double rank = std::ceil(fraction * static_cast<double>(totals.timed));
  double passed = 0;
  for (std::size_t width = 0; width < totals.histogram.size(); ++width) {
    const auto here = static_cast<double>(totals.histogram[width]);
    if (here == 0 || passed + here < rank) {
      passed += here;
      continue;
    }
    const double low = width == 0 ? 0 : std::ldexp(1, static_cast<int>(width) - 1);
    const double high = width == 0 ? 0 : 2 * low;
    const double ticks = low + (high - low) * (rank - passed) / here;
    return std::clamp(ticks, static_cast<double>(totals.shortest), static_cast<double>(totals.longest));
  }
  return static_cast<double>(totals.longest);
}

Row make_row(const Counter& counter, const Totals& totals, const Options& options, const Calibration& calibration) {
  const auto nanoseconds = [&](double ticks) { return std::max(0.0, ticks) / calibration.ticks_per_ns; };
  const double ticks = static_cast<double>(totals.ticks) - static_cast<double>(totals.timed) * calibration.floor_ticks;
  Row row{.section = counter.module().section(),
          .name = counter.name(),
          .calls = totals.calls,
          .total = nanoseconds(ticks),
          .cycles = options.timer == Timer::kTsc ? std::max(0.0, ticks) : 0,
          .detail = {}};
  if (options.detail && totals.timed != 0) {
    const auto without_floor = [&](double value) { return nanoseconds(value - calibration.floor_ticks); };
    row.detail = {.shortest = without_floor(static_cast<double>(totals.shortest)),
                  .median = without_floor(ticks_of_rank(totals, 0.5)),
                  .percentile_99 = without_floor(ticks_of_rank(totals, 0.99)),
                  .longest = without_floor(static_cast<double>(totals.longest))};
  }
  return row;
}

// One run with these counters enabled; adds a row for each that was called.
Result<void> run_once(const std::vector<Counter*>& counters, const Calibration& calibration,
                      const std::function<Result<void>()>& run, Report& report) {
  const std::uint64_t state = next_state(report.options);
  {
    const Enabled enabled(counters, state);
    if (Result<void> ended = run(); !ended) return ended;
  }
  for (const Counter* const counter : counters) {
    const Totals totals = collect(*counter, state);
    if (totals.calls != 0) report.rows.push_back(make_row(*counter, totals, report.options, calibration));
  }
  return {};
}

// The one measurement of the process; a run may ask for another, so that a mutex would not do.
class Measurement {
 public:
  Measurement() : is_the_one_(!under_way_.exchange(true, std::memory_order_acquire)) {}
  ~Measurement() {
    if (is_the_one_) under_way_.store(false, std::memory_order_release);
  }
  Measurement(const Measurement&) = delete;
  Measurement& operator=(const Measurement&) = delete;

  bool is_the_one() const { return is_the_one_; }

 private:
  static constinit std::atomic<bool> under_way_;
  bool is_the_one_;
};
constinit std::atomic<bool> Measurement::under_way_ = false;

Result<Report> measure_counters(const Options& options, const std::function<Result<void>()>& run) {
  const std::vector<Counter*> counters = registered_counters();
  if (std::ranges::any_of(counters, [](const Counter* counter) { return counter->index() >= kMostCounters; }))
    return fail(ErrorCode::kLimit, "more counters than a thread has places for (kMostCounters)");
  const Result<Calibration> calibration = calibrate(options, next_state(options));
  if (!calibration) return std::unexpected(calibration.error());
  const double ticks_per_ns = calibration->ticks_per_ns;
  Report report{.options = options,
                .floor = calibration->floor_ticks / ticks_per_ns,
                .scope_cost = calibration->cost_ticks / ticks_per_ns,
                .ticks_per_ns = ticks_per_ns,
                .rows = {}};
  if (options.mode == Mode::kNested) {
    set_nested_overhead(static_cast<std::uint64_t>(std::lround(calibration->cost_ticks - calibration->floor_ticks)));
    if (Result<void> ended = run_once(counters, *calibration, run, report); !ended)
      return std::unexpected(ended.error());
    return report;
  }
  for (Counter* const counter : counters) {
    if (Result<void> ended = run_once({counter}, *calibration, run, report); !ended)
      return std::unexpected(ended.error());
  }
  return report;
}

}  // namespace

bool available() noexcept { return true; }

Result<Report> measure(const Options& options, const std::function<Result<void>()>& run) {
  const Measurement measurement;
  if (!measurement.is_the_one()) return fail(ErrorCode::kBusy, "counters are being measured already");
  try {
    return measure_counters(options, run);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "the host has no memory left");
  }
}

}  // namespace caisson::perf
