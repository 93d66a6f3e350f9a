// Path counters as a build with CAISSON_PERF has them, whatever the build around this test has.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <future>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "caisson/perf.h"
#include "perf/counter.h"
#include "perf/scope.h"

namespace caisson::perf {
namespace {

// The later section first: positions order a report, and not when a counter was registered.
CAISSON_PERF_MODULE(late_module, "LATE", 20);
CAISSON_PERF_MODULE(early_module, "EARLY", 10);
CAISSON_PERF_COUNTER(late_counter, late_module, "late::step");
CAISSON_PERF_COUNTER(outer_counter, early_module, "early::outer");
CAISSON_PERF_COUNTER(inner_counter, early_module, "early::inner");
CAISSON_PERF_COUNTER(unused_counter, early_module, "early::unused");

constexpr double kMillisecond = 1e6;

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_RAW, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

void spin(double nanoseconds) {
  for (const double start = now(); now() - start < nanoseconds;) {
  }
}

int step_that_may_return_early(bool early) {
  CAISSON_PERF_SCOPE(inner_counter);
  spin(kMillisecond);
  if (early) return 1;
  spin(kMillisecond);
  return 2;
}

const Row* find_row(const Report& report, std::string_view name) {
  const auto row = std::ranges::find(report.rows, name, &Row::name);
  return row == report.rows.end() ? nullptr : &*row;
}

Report measured(const Options& options, const std::function<void()>& body) {
  Result<Report> report = measure(options, [&]() -> Result<void> {
    body();
    return {};
  });
  EXPECT_TRUE(report) << (report ? "" : report.error().to_string());
  return report ? *std::move(report) : Report{};
}

std::vector<const Counter*> enabled_counters() {
  std::vector<const Counter*> enabled;
  for (const Counter* const counter : registered_counters()) {
    if (counter->state() != 0) enabled.push_back(counter);
  }
  return enabled;
}

class EachTimer : public testing::TestWithParam<Timer> {};
INSTANTIATE_TEST_SUITE_P(Timers, EachTimer, testing::Values(Timer::kClock, Timer::kTsc),
                         [](const auto& info) { return info.param == Timer::kTsc ? "Tsc" : "Clock"; });

TEST_P(EachTimer, OneRunPerCounterWithThatOneAloneEnabled) {
  std::multiset<const Counter*> enabled_in_runs;
  measured({.timer = GetParam()}, [&] {
    const std::vector<const Counter*> enabled = enabled_counters();
    ASSERT_EQ(enabled.size(), 1u);
    enabled_in_runs.insert(enabled.front());
  });
  const std::vector<Counter*> all = registered_counters();
  EXPECT_EQ(enabled_in_runs, std::multiset<const Counter*>(all.begin(), all.end()));
  EXPECT_TRUE(enabled_counters().empty());
}

TEST_P(EachTimer, TimesAScopeToItsEnd) {
  const Report report = measured({.timer = GetParam()}, [] { step_that_may_return_early(false); });
  const Row* const row = find_row(report, "early::inner");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->calls, 1u);
  EXPECT_GE(row->total, 1.9 * kMillisecond);
  EXPECT_EQ(row->cycles > 0, GetParam() == Timer::kTsc);
}

TEST_P(EachTimer, TimesAnEarlyReturn) {
  const Report report = measured({.timer = GetParam()}, [] { EXPECT_EQ(step_that_may_return_early(true), 1); });
  const Row* const row = find_row(report, "early::inner");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->calls, 1u);
  EXPECT_GE(row->total, 0.95 * kMillisecond);
}

TEST_P(EachTimer, TimesAScopeThatAnExceptionLeaves) {
  const Report report = measured({.timer = GetParam()}, [] {
    try {
      CAISSON_PERF_SCOPE(inner_counter);
      spin(kMillisecond);
      throw std::runtime_error("left");
    } catch (const std::runtime_error&) {
    }
  });
  const Row* const row = find_row(report, "early::inner");
  ASSERT_NE(row, nullptr);
  EXPECT_GE(row->total, 0.95 * kMillisecond);
}

TEST_P(EachTimer, ASnippetEndsByHandAndOnlyOnce) {
  const Report report = measured({.timer = GetParam()}, [] {
    CAISSON_PERF_SCOPE(outer_counter);
    CAISSON_PERF_SNIPPET(part, inner_counter);
    spin(kMillisecond);
    CAISSON_PERF_STOP(part);
    spin(20 * kMillisecond);
    CAISSON_PERF_STOP(part);
  });
  ASSERT_EQ(report.rows.size(), 2u);
  const Row& scope = report.rows[0];
  const Row& snippet = report.rows[1];
  EXPECT_EQ(snippet.calls, 1u);
  EXPECT_GE(snippet.total, 0.95 * kMillisecond);
  // The 20 ms behind its end are the scope's alone.
  EXPECT_GE(scope.total, 20.9 * kMillisecond);
}

// In both modes: it is no call, and its time is the outer scope's.
TEST_P(EachTimer, ADroppedSnippetLeavesNoTrace) {
  for (const Mode mode : {Mode::kSeparate, Mode::kNested}) {
    const Report report = measured({.timer = GetParam(), .mode = mode}, [] {
      CAISSON_PERF_SCOPE(outer_counter);
      CAISSON_PERF_SNIPPET(dropped, inner_counter);
      spin(5 * kMillisecond);
      {
        CAISSON_PERF_SCOPE(late_counter);
        spin(kMillisecond);
      }
      CAISSON_PERF_DROP(dropped);
      CAISSON_PERF_DROP(dropped);
      CAISSON_PERF_STOP(dropped);
      // The counter is as it was.
      CAISSON_PERF_SCOPE(inner_counter);
    });
    ASSERT_EQ(report.rows.size(), 3u);
    const Row* const outer = find_row(report, "early::outer");
    EXPECT_GE(outer->total, 4.9 * kMillisecond);
    EXPECT_EQ(find_row(report, "early::inner")->calls, 1u);
    EXPECT_LT(find_row(report, "early::inner")->total, 4.9 * kMillisecond);
    EXPECT_EQ(find_row(report, "late::step")->calls, 1u);
  }
}

TEST_P(EachTimer, TheFloorIsMeasuredAndSubtracted) {
  constexpr int kScopes = 100'000;
  const Report report = measured({.timer = GetParam()}, [] {
    for (int index = 0; index < kScopes; ++index) CAISSON_PERF_SCOPE(inner_counter);
  });
  EXPECT_GT(report.floor, 0);
  EXPECT_GE(report.scope_cost, report.floor);
  const Row* const row = find_row(report, "early::inner");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->calls, static_cast<std::uint64_t>(kScopes));
  // Unsubtracted it would be kScopes floors and what the machine interrupts.
  EXPECT_GE(row->total, 0);
}

TEST(PerfCounters, RowsStandInTheOrderOfThePathAndOnlyThoseThatWereCalled) {
  const Report report = measured({}, [] {
    {
      CAISSON_PERF_SCOPE(late_counter);
    }
    CAISSON_PERF_SCOPE(outer_counter);
    CAISSON_PERF_SCOPE(inner_counter);
  });
  std::vector<std::string> names;
  for (const Row& row : report.rows) names.push_back(row.section + " " + row.name);
  EXPECT_EQ(names, (std::vector<std::string>{"EARLY early::outer", "EARLY early::inner", "LATE late::step"}));
}

// A total of nested mode is what passed in the scope and in none inside it.
TEST_P(EachTimer, NestedModeIsOneRunWithSelfTimes) {
  int runs = 0;
  double wall = 0;
  const Report report = measured({.timer = GetParam(), .mode = Mode::kNested}, [&] {
    ++runs;
    EXPECT_EQ(enabled_counters().size(), registered_counters().size());
    const double start = now();
    {
      CAISSON_PERF_SCOPE(outer_counter);
      spin(kMillisecond);
      CAISSON_PERF_SCOPE(late_counter);
      spin(40 * kMillisecond);
    }
    wall = now() - start;
  });
  EXPECT_EQ(runs, 1);
  const Row* const outer = find_row(report, "early::outer");
  const Row* const late = find_row(report, "late::step");
  ASSERT_TRUE(outer != nullptr && late != nullptr);
  EXPECT_GE(outer->total, 0.95 * kMillisecond);
  EXPECT_GE(late->total, 39 * kMillisecond);
  // With the inner step in both it would be nearly twice what passed.
  EXPECT_LE(outer->total + late->total, 1.01 * wall);
}

TEST(PerfCounters, NestedScopesMayEndInAnyOrder) {
  const Report report = measured({.mode = Mode::kNested}, [] {
    CAISSON_PERF_SNIPPET(outer, outer_counter);
    CAISSON_PERF_SNIPPET(inner, inner_counter);
    CAISSON_PERF_STOP(outer);
    {
      CAISSON_PERF_SCOPE(late_counter);
    }
    CAISSON_PERF_STOP(inner);
    CAISSON_PERF_SCOPE(outer_counter);
  });
  ASSERT_EQ(report.rows.size(), 3u);
  EXPECT_EQ(find_row(report, "early::outer")->calls, 2u);
  EXPECT_EQ(find_row(report, "early::inner")->calls, 1u);
  EXPECT_EQ(find_row(report, "late::step")->calls, 1u);
}

void recurse(int depth) {
  CAISSON_PERF_SCOPE(outer_counter);
  spin(kMillisecond);
  if (depth > 1) recurse(depth - 1);
}

// Were each entry timed for itself, ten would add up to 55 ms at least.
TEST_P(EachTimer, AStepWithinItselfIsACallMoreAndNoTimeTwice) {
  for (const Mode mode : {Mode::kSeparate, Mode::kNested}) {
    double wall = 0;
    const Report report = measured({.timer = GetParam(), .mode = mode}, [&] {
      const double start = now();
      recurse(10);
      wall = std::max(wall, now() - start);
    });
    const Row* const row = find_row(report, "early::outer");
    ASSERT_NE(row, nullptr);
    EXPECT_EQ(row->calls, 10u);
    EXPECT_GE(row->total, 9.9 * kMillisecond);
    EXPECT_LE(row->total, 1.01 * wall);
  }
}

TEST_P(EachTimer, ThreadsCountForThemselvesAndAreSummed) {
  constexpr int kThreads = 4, kScopes = 5000;
  // Half of the threads end before the count is taken, the others after it.
  std::promise<void> done;
  const std::shared_future<void> released = done.get_future().share();
  std::vector<std::thread> lasting;
  const Report report = measured({.timer = GetParam(), .mode = Mode::kNested}, [&] {
    std::vector<std::promise<void>> counted(kThreads);
    std::vector<std::thread> ending;
    for (int thread = 0; thread < kThreads; ++thread) {
      (thread % 2 == 0 ? ending : lasting).emplace_back([&counted, thread, released] {
        for (int index = 0; index < kScopes; ++index) CAISSON_PERF_SCOPE(inner_counter);
        counted[static_cast<std::size_t>(thread)].set_value();
        if (thread % 2 != 0) released.wait();
      });
    }
    for (std::promise<void>& promise : counted) promise.get_future().wait();
    for (std::thread& thread : ending) thread.join();
  });
  done.set_value();
  for (std::thread& thread : lasting) thread.join();
  const Row* const row = find_row(report, "early::inner");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->calls, static_cast<std::uint64_t>(kThreads) * kScopes);
}

// A background thread may be inside a scope when a run ends, and come out during the next.
TEST(PerfCounters, AScopeThatOutlivesItsRunCountsNowhere) {
  std::promise<void> entered, leave;
  std::thread background;
  int runs = 0;
  const Report report = measured({.mode = Mode::kNested}, [&] {
    if (runs++ > 0) return;
    background = std::thread([&] {
      CAISSON_PERF_SCOPE(outer_counter);
      entered.set_value();
      leave.get_future().wait();
    });
    entered.get_future().wait();
  });
  EXPECT_EQ(find_row(report, "early::outer"), nullptr);
  const Report next = measured({.mode = Mode::kNested}, [&] {
    leave.set_value();
    background.join();
    CAISSON_PERF_SCOPE(inner_counter);
  });
  EXPECT_EQ(find_row(next, "early::outer"), nullptr);
  EXPECT_NE(find_row(next, "early::inner"), nullptr);
}

TEST_P(EachTimer, DetailHasTheShortestLongestAndPercentiles) {
  const Report report = measured({.timer = GetParam(), .detail = true}, [] {
    for (int index = 0; index < 99; ++index) CAISSON_PERF_SCOPE(inner_counter);
    CAISSON_PERF_SCOPE(inner_counter);
    spin(20 * kMillisecond);
  });
  const Row* const row = find_row(report, "early::inner");
  ASSERT_NE(row, nullptr);
  EXPECT_LE(row->detail.shortest, row->detail.median);
  EXPECT_LE(row->detail.median, row->detail.percentile_99);
  EXPECT_LE(row->detail.percentile_99, row->detail.longest);
  EXPECT_LT(row->detail.median, 20 * kMillisecond);
  EXPECT_GE(row->detail.longest, 19.9 * kMillisecond);
}

// Log2 buckets: a percentile is right within a factor of two.
TEST(PerfCounters, PercentilesAreWithinAFactorOfTwo) {
  const Report report = measured({.mode = Mode::kNested, .detail = true}, [] {
    for (int index = 0; index < 10; ++index) {
      CAISSON_PERF_SCOPE(inner_counter);
      spin((index < 9 ? 1 : 30) * kMillisecond);
    }
  });
  const Row* const row = find_row(report, "early::inner");
  ASSERT_NE(row, nullptr);
  EXPECT_GE(row->detail.median, 0.5 * kMillisecond);
  EXPECT_GE(row->detail.percentile_99, 15 * kMillisecond);
}

TEST(PerfCounters, TheFirstErrorOfARunEndsTheMeasurementAndDisablesAll) {
  int runs = 0;
  const Result<Report> report = measure({}, [&]() -> Result<void> {
    ++runs;
    return fail(ErrorCode::kNotFound, "no such program");
  });
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(enabled_counters().empty());
}

TEST(PerfCounters, OneMeasurementAtATime) {
  bool was_busy = false;
  measured({.mode = Mode::kNested}, [&] {
    std::thread([&] {
      const Result<Report> second = measure({}, []() -> Result<void> { return {}; });
      was_busy = !second && second.error().code == ErrorCode::kBusy;
    }).join();
  });
  EXPECT_TRUE(was_busy);
  // Nor within its own run.
  was_busy = false;
  measured({.mode = Mode::kNested}, [&] {
    const Result<Report> second = measure({}, []() -> Result<void> { return {}; });
    was_busy = !second && second.error().code == ErrorCode::kBusy;
  });
  EXPECT_TRUE(was_busy);
  EXPECT_TRUE(measure({.mode = Mode::kNested}, []() -> Result<void> { return {}; }));
}

TEST(PerfCounters, ARunWithoutMemoryIsAnError) {
  const Result<Report> report = measure({}, []() -> Result<void> { throw std::bad_alloc(); });
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kOutOfMemory);
  EXPECT_TRUE(enabled_counters().empty());
  EXPECT_TRUE(measure({.mode = Mode::kNested}, []() -> Result<void> { return {}; }));
}

TEST(PerfCounters, OutsideAMeasurementNothingIsCounted) {
  step_that_may_return_early(true);
  const Report report = measured({.mode = Mode::kNested}, [] {});
  EXPECT_TRUE(report.rows.empty());
}

}  // namespace
}  // namespace caisson::perf
