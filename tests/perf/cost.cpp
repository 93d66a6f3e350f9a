// What scopes cost on this machine, for the figures in PROMISES.md: medians of many batches, the whole repeated; run it on a quiet machine.
//
// usage: perf_cost [--check]     --check: exit 1 where a median is above a limit that is promised.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "caisson/perf.h"
#include "perf/counter.h"
#include "perf/enabled/timer.h"
#include "perf/scope.h"

namespace {

using namespace caisson::perf;

CAISSON_PERF_MODULE(cost_module, "COST", 1);
CAISSON_PERF_COUNTER(cost_counter, cost_module, "cost::scope");

constexpr int kScopes = 500, kBatches = 801, kRepeats = 5;

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

// Nanoseconds of one turn of a loop around `body`, which is more than the body alone.
template <class Body>
double turn(Body body) {
  std::vector<double> batches;
  for (int batch = 0; batch < kBatches; ++batch) {
    const std::uint64_t start = clock_ticks();
    for (int index = 0; index < kScopes; ++index) {
      body();
      asm volatile("" ::: "memory");
    }
    batches.push_back(static_cast<double>(clock_ticks() - start) / kScopes);
  }
  return median(batches);
}

void empty_scope() { CAISSON_PERF_SCOPE(cost_counter); }

// The two reads that a timed scope consists of at least.
void read_twice(Timer timer) {
  volatile std::uint64_t elapsed;
  if (timer == Timer::kTsc) {
    const std::uint64_t start = tsc_ticks();
    elapsed = tsc_ticks() - start;
  } else {
    const std::uint64_t start = clock_ticks();
    elapsed = clock_ticks() - start;
  }
  static_cast<void>(elapsed);
}

double enabled_turn(Timer timer) {
  // Above the states of measurements.
  cost_counter.set_state((std::uint64_t{1} << 40) | (timer == Timer::kTsc ? CountingState::kTsc : 0));
  const double result = turn(empty_scope);
  cost_counter.set_state(0);
  return result;
}

double floor_of(Timer timer) {
  const caisson::Result<Report> report =
      measure({.timer = timer, .mode = Mode::kNested}, []() -> caisson::Result<void> { return {}; });
  if (report) return report->floor;
  std::fprintf(stderr, "perf_cost: %s\n", report.error().to_string().c_str());
  std::exit(1);
}

struct Figure {
  const char* name;
  double promised;  // at most; 0: nothing
  std::vector<double> repeats;
};

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc > 1 && std::strcmp(argv[1], "--check") == 0;
  Figure figures[] = {{"not enabled", 2, {}},
                      {"clock: recorded by an empty scope (floor)", 45, {}},
                      {"tsc: recorded by an empty scope (floor)", 35, {}},
                      {"clock: taken by an empty scope", 0, {}},
                      {"tsc: taken by an empty scope", 0, {}},
                      {"clock: two bare reads", 0, {}},
                      {"tsc: two bare reads", 0, {}},
                      {"clock: taken beside its two reads", 10, {}},
                      {"tsc: taken beside its two reads", 10, {}}};
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const double loop = turn([] {});
    const double clock_taken = enabled_turn(Timer::kClock) - loop, tsc_taken = enabled_turn(Timer::kTsc) - loop;
    const double clock_reads = turn([] { read_twice(Timer::kClock); }) - loop;
    const double tsc_reads = turn([] { read_twice(Timer::kTsc); }) - loop;
    const double now[] = {turn(empty_scope) - loop,
                          floor_of(Timer::kClock),
                          floor_of(Timer::kTsc),
                          clock_taken,
                          tsc_taken,
                          clock_reads,
                          tsc_reads,
                          clock_taken - clock_reads,
                          tsc_taken - tsc_reads};
    for (std::size_t index = 0; index < std::size(now); ++index) figures[index].repeats.push_back(now[index]);
  }
  bool good = true;
  std::printf("%-42s %9s %9s %9s\n", "ns", "median", "least", "most");
  for (const Figure& figure : figures) {
    const auto [least, most] = std::ranges::minmax(figure.repeats);
    const double middle = median(figure.repeats);
    std::printf("%-42s %9.2f %9.2f %9.2f", figure.name, middle, least, most);
    if (figure.promised != 0) std::printf("   promised: at most %.0f", figure.promised);
    std::printf("\n");
    good = good && (figure.promised == 0 || middle <= figure.promised);
  }
  return check && !good ? 1 : 0;
}
