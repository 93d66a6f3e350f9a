// What scopes cost on this machine, for the promise in PROMISES.md: the best of many batches, so that what else runs does not count.
//
// usage: perf_cost [--check]     --check: exit 1 where a figure is above its limit (kLimits).
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "caisson/perf.h"
#include "perf/counter.h"
#include "perf/enabled/thread_shards.h"
#include "perf/scope.h"

namespace {

using namespace caisson::perf;

CAISSON_PERF_MODULE(cost_module, "COST", 1);
CAISSON_PERF_COUNTER(cost_counter, cost_module, "cost::scope");

constexpr int kScopes = 500, kBatches = 4000;

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_RAW, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Nanoseconds of one turn of a loop around `body`, which is more than the body alone.
template <class Body>
double best_turn(Body body) {
  double best = 1e9;
  for (int batch = 0; batch < kBatches; ++batch) {
    const double start = now();
    for (int index = 0; index < kScopes; ++index) {
      body();
      asm volatile("" ::: "memory");
    }
    best = std::min(best, (now() - start) / kScopes);
  }
  return best;
}

void empty_scope() { CAISSON_PERF_SCOPE(cost_counter); }

struct Figures {
  double turn = 0;  // of the loop
  double floor = 0;  // what the scope records
};

Figures enabled(Timer timer) {
  Figures figures;
  const caisson::Result<Report> report =
      measure({.timer = timer, .mode = Mode::kNested}, []() -> caisson::Result<void> { return {}; });
  if (!report) {
    std::fprintf(stderr, "perf_cost: %s\n", report.error().to_string().c_str());
    std::exit(1);
  }
  const std::uint64_t state =
      (std::uint64_t{1} << 40) | (timer == Timer::kTsc ? CountingState::kTsc : 0);  // above those of measurements
  cost_counter.set_state(state);
  figures.turn = best_turn(empty_scope);
  cost_counter.set_state(0);
  figures.floor = report->floor;
  return figures;
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc > 1 && std::strcmp(argv[1], "--check") == 0;
  const double loop = best_turn([] {});
  const double disabled = best_turn(empty_scope) - loop;
  const Figures clock = enabled(Timer::kClock);
  const Figures tsc = enabled(Timer::kTsc);
  struct Limit {
    const char* name;
    double figure, most;
  };
  // The timer's own two reads are the rest of `whole`, and the machine's.
  const Limit limits[] = {{"disabled", disabled, 2},
                          {"clock, recorded (floor)", clock.floor, 45},
                          {"tsc, recorded (floor)", tsc.floor, 35}};
  bool good = true;
  for (const Limit& limit : limits) {
    std::printf("%-28s %6.2f ns (at most %.0f)\n", limit.name, limit.figure, limit.most);
    good = good && limit.figure <= limit.most;
  }
  std::printf("%-28s %6.2f ns\n%-28s %6.2f ns\n", "clock, whole", clock.turn - loop, "tsc, whole", tsc.turn - loop);
  return check && !good ? 1 : 0;
}
