// The bench program: kernels against an independent computation and against each other, the suites. bench_report_test.cpp has what is
// made of their results.
#include "bench/bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <new>
#include <sstream>
#include <thread>

#include "bench/allocation_count.h"
#include "bench/child_process.h"
#include "bench/compute_engines.h"
#include "bench/kernel_bench.h"
#include "bench/kernels.h"
#include "bench/suites.h"
#include "bench/tiers.h"
#include "support/guest_compiler.h"

namespace caisson::bench {
namespace {

TEST(BenchKernels, GiveWhatPythonComputes) {
  const auto output = test::output_of("python3 -B " CAISSON_SOURCE_DIR "/tests/bench/kernel_reference.py");
  ASSERT_TRUE(output) << output.error().to_string();
  std::map<std::string, std::uint64_t, std::less<>> expected;
  std::istringstream lines(*output);
  std::string name, checksum;
  while (lines >> name >> checksum) expected[name] = std::stoull(checksum, nullptr, 16);
  for (const Kernel& kernel : kernels()) {
    if (kernel.name == "lz") continue;  // expands what it compressed, compares, and gives 0 where they differ
    ASSERT_TRUE(expected.contains(kernel.name)) << kernel.name;
    EXPECT_EQ(kernel.native(1), expected.find(kernel.name)->second) << kernel.name;
  }
  EXPECT_EQ(expected.size() + 1, kernels().size());
}

TEST(BenchKernels, DoNotRememberAndDependOnTheirRounds) {
  for (const Kernel& kernel : kernels()) {
    const std::uint64_t first = kernel.native(2);
    EXPECT_NE(first, 0u) << kernel.name;
    EXPECT_NE(kernel.native(3), first) << kernel.name;
    EXPECT_EQ(kernel.native(2), first) << kernel.name;
  }
}

TEST(BenchKernels, EveryEngineGivesTheNativeChecksum) {
  for (const Kernel& kernel : kernels()) {
    for (const ComputeEngineKind& kind : compute_engines()) {
      const auto engine = kind.make(kernel);
      if (!engine && engine.error().code == ErrorCode::kNotFound) continue;
      ASSERT_TRUE(engine) << kind.name << ": " << engine.error().to_string();
      for (const std::uint64_t rounds : {2, 1}) {
        const auto sample = (*engine)->run(rounds);
        ASSERT_TRUE(sample) << kernel.name << " on " << kind.name << ": " << sample.error().to_string();
        EXPECT_EQ(sample->checksum, kernel.native(rounds)) << kernel.name << " on " << kind.name;
        EXPECT_GT(sample->nanoseconds, 0) << kernel.name << " on " << kind.name;
      }
    }
  }
}

TEST(BenchReport, RatiosAreTakenWithinATurn) {
  Report report;
  add_time_rows(report, "suite", "case", {"native", "engine"}, {{10, 20, 40}, {30, 100, 80}});
  ASSERT_EQ(report.rows.size(), 3u);
  EXPECT_EQ(report.rows[1].summary.median, 80);
  EXPECT_EQ(report.rows[2].metric, "ratio_to_native");
  EXPECT_EQ(report.rows[2].summary.median, 3);
  EXPECT_EQ(report.rows[2].summary.minimum, 2);
  EXPECT_EQ(report.rows[2].summary.maximum, 5);
}

TEST(BenchRun, MeasuresWhatTheFilterLeaves) {
  std::vector<std::string> seen;
  const auto report = run({"compute"}, {.filter = "goldi", .runs = 2},
                          [&](std::string_view name, std::size_t index, std::size_t count) {
                            EXPECT_LT(index, count);
                            seen.emplace_back(name);
                          });
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(seen, std::vector<std::string>{"goldilocks"});
  const auto ratio = [&](std::string_view case_name) {
    return std::ranges::find_if(report->rows, [&](const Row& row) {
      return row.case_name == case_name && row.engine == "interp" && row.metric == "ratio_to_native";
    });
  };
  ASSERT_NE(ratio("goldilocks"), report->rows.end());
  ASSERT_NE(ratio("geomean"), report->rows.end());
  EXPECT_EQ(ratio("goldilocks")->summary.runs, 2u);
  EXPECT_EQ(ratio("goldilocks")->measured_by, "goldilocks");
  EXPECT_EQ(ratio("geomean")->measured_by, "");
  EXPECT_DOUBLE_EQ(ratio("geomean")->summary.median, ratio("goldilocks")->summary.median);
}

TEST(BenchRun, AnIdleInstanceHoldsMemory) {
  const auto report = run({"idle"}, {.runs = 3}, [](std::string_view, std::size_t, std::size_t) {});
  ASSERT_TRUE(report) << report.error().to_string();
  ASSERT_EQ(report->rows.size() + 4 * report->absent.size(), 12u);  // two metrics of two cases on three tiers
  for (const Row& row : report->rows) {
    EXPECT_TRUE(row.metric == "rss_bytes" || row.metric == "first_rss_bytes") << row.metric;
    // At least a page of its stack; in one sample or another the host takes back memory of the process meanwhile.
    EXPECT_GT(row.summary.maximum, 4096) << row.case_name;
  }
}

// Cases of the capability kernel's suites, with three samples each: a wrong result, other gas or another outcome in some tier is an error.
TEST(BenchRun, MeasuresTheCapabilityKernel) {
  struct Selection {
    const char* suite;
    const char* filter;
    std::size_t cases;
  };
  for (const Selection& selection : {Selection{"recurse", "recurse-100", 3},
                                     {"recurse-data", "recurse-100", 3},
                                     {"ptcache", "calls-10", 3},
                                     {"lifecycle", "instances", 2},
                                     {"raw", "", 24}}) {
    const auto report = run({selection.suite}, {.filter = selection.filter, .runs = 3},
                            [](std::string_view, std::size_t, std::size_t) {});
    ASSERT_TRUE(report) << report.error().to_string();
    std::map<std::string, std::vector<std::string>, std::less<>> engines;
    for (const Row& row : report->rows) {
      if (row.metric != "time_ns") continue;
      engines[row.case_name].push_back(row.engine);
      EXPECT_GT(row.summary.minimum, 0) << row.case_name << " on " << row.engine;
    }
    EXPECT_EQ(engines.size(), selection.cases) << selection.suite;
    for (const auto& [name, tiers] : engines) {
      if (name == "put-hit") continue;
      EXPECT_EQ(std::ranges::count(tiers, "interp"), 1) << name;
      EXPECT_GE(tiers.size(), 2u) << name;
    }
  }
}

TEST(BenchRun, ForksOfALargeInstanceShareItsMemory) {
  const auto report =
      run({"call"}, {.filter = "live-forks", .runs = 1}, [](std::string_view, std::size_t, std::size_t) {});
  ASSERT_TRUE(report) << report.error().to_string();
  std::size_t seen = 0;
  for (const Row& row : report->rows) {
    if (row.metric != "rss_bytes") continue;
    ++seen;
    EXPECT_LT(row.summary.maximum, 1 << 20) << row.case_name;  // of 64 MiB
  }
  EXPECT_GE(seen, 2u);
}

TEST(BenchKernel, GuestsGiveWhatTheSuitesExpect) {
  const auto image = build_instances_image();
  ASSERT_TRUE(image) << image.error().to_string();
  const auto bench = make_kernel_bench(kKernelTiers[0], *image);
  ASSERT_TRUE(bench) << bench.error().to_string();
  auto instance = bench->kernel->derive(bench->image);
  ASSERT_TRUE(instance) << instance.error().to_string();
  const auto call_one_child = static_cast<std::uint64_t>(InstancesEndpoint::kCallOneChild);
  EXPECT_TRUE(call_expecting(*instance, call_one_child, {10}, 45));
  EXPECT_FALSE(call_expecting(*instance, call_one_child, {10}, 46));
  EXPECT_FALSE(call_returning(*instance, static_cast<std::uint64_t>(InstancesEndpoint::kFail), {0}));
}

TEST(BenchKernel, AllocationsAreCounted) {
  // Plain calls, which no compiler may leave out as it may new-expressions.
  const std::uint64_t before = allocations_of_thread();
  ::operator delete(::operator new(0));
  ::operator delete[](::operator new[](100));
  void* const aligned = ::operator new(10, std::align_val_t(256));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(aligned) % 256, 0u);
  ::operator delete(aligned, std::align_val_t(256));
  ::operator delete(::operator new(10, std::nothrow), std::nothrow);
  EXPECT_EQ(allocations_of_thread() - before, 4u);
  // Those of another thread are its own.
  std::uint64_t others = 0;
  std::thread([&others] {
    const std::uint64_t start = allocations_of_thread();
    for (int i = 0; i < 100; ++i) ::operator delete(::operator new(10));
    others = allocations_of_thread() - start;
  }).join();
  EXPECT_EQ(others, 100u);
  EXPECT_LT(allocations_of_thread() - before, 100u);
}

TEST(BenchRun, TiersTheMachineLacksAreAbsent) {
  Report report;
  const auto tiers = available_tiers(report, "suite");
  ASSERT_TRUE(tiers) << tiers.error().to_string();
  ASSERT_GE(tiers->size(), 2u);
  EXPECT_EQ(tiers->at(0).name, "interp");
  EXPECT_EQ(tiers->at(1).name, "auto");
  EXPECT_EQ(tiers->size() + report.absent.size(), 3u);
}

TEST(BenchRun, RefusesWhatItDoesNotHave) {
  const auto ignore = [](std::string_view, std::size_t, std::size_t) {};
  EXPECT_EQ(run({"nothing"}, {}, ignore).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(run({"compute"}, {.filter = "no such case"}, ignore).error().code, ErrorCode::kInvalidArgument);
}

TEST(BenchProcess, ReportsHowAProgramEnded) {
  std::string output;
  ASSERT_TRUE(time_process({"echo", "some", "words"}, &output));
  EXPECT_EQ(output, "some words\n");
  EXPECT_FALSE(time_process({"false"}));
  EXPECT_FALSE(time_process({"/nonexistent/program"}));
}

TEST(BenchProcess, AChildThatEndsIsAnErrorNotASignal) {
  auto child = ChildProcess::start({"true"});
  ASSERT_TRUE(child) << child.error().to_string();
  std::uint8_t byte[1] = {};
  EXPECT_FALSE(child->read(byte));
  // The kernel may close a dead process's ends one after the other.
  bool refused = false;
  for (int attempt = 0; attempt < 1000 && !refused; ++attempt) {
    refused = !child->write(byte);
    if (!refused) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(refused);
}

TEST(BenchProcess, AChildAnswers) {
  auto child = ChildProcess::start({"cat"});
  ASSERT_TRUE(child) << child.error().to_string();
  const std::uint8_t sent[4] = {1, 2, 3, 4};
  std::uint8_t received[4] = {};
  ASSERT_TRUE(child->write(sent));
  ASSERT_TRUE(child->read(received));
  EXPECT_TRUE(std::ranges::equal(sent, received));
}

}  // namespace
}  // namespace caisson::bench
