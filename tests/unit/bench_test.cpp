// The bench program: kernels against an independent computation and against each other, the suites. bench_report_test.cpp has what is
// made of their results.
#include "bench/bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <new>
#include <sstream>
#include <thread>

#include "bench/allocation_count.h"
#include "bench/child_process.h"
#include "bench/compute_engines.h"
#include "bench/kernel_bench.h"
#include "bench/kernels.h"
#include "bench/references.h"
#include "bench/suites.h"
#include "bench/system_call_engines.h"
#include "bench/tiers.h"
#include "gas/gas_schedule.h"
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
        // Node's clock has microseconds, and some kernels' rounds are shorter.
        EXPECT_GE(sample->nanoseconds, kind.name == "wasm" ? 0 : 1) << kernel.name << " on " << kind.name;
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

// The price of a class as its loops were charged for it, against the schedule.
TEST(BenchRun, InstructionsCostWhatTheScheduleSays) {
  using riscv::GasClass;
  const std::map<std::string, GasClass, std::less<>> classes = {
      {"alu", GasClass::kAlu},
      {"rotate", GasClass::kAlu},
      {"multiply", GasClass::kMultiply},
      {"multiply-high", GasClass::kMultiplyHigh},
      {"divide", GasClass::kDivide},
      {"remainder", GasClass::kDivide},
      {"load", GasClass::kLoad},
      {"store", GasClass::kStore},
      {"branch", GasClass::kBranch},
      {"jump", GasClass::kJump},
      {"indirect-jump", GasClass::kIndirectJump},
      {"float-add", GasClass::kFloat},
      {"float-add-single", GasClass::kFloat},
      {"float-multiply", GasClass::kFloat},
      {"float-multiply-add", GasClass::kFloat},
      {"float-convert", GasClass::kFloat},
      {"float-move", GasClass::kFloatMove},
      {"float-divide", GasClass::kFloatDivide},
      {"float-square-root", GasClass::kFloatDivide},
      {"atomic-add", GasClass::kAtomic},
      {"reserve-and-store", GasClass::kAtomic},
      {"fence", GasClass::kFence},
      {"fence-i", GasClass::kFenceI},
      {"csr", GasClass::kCsr},
  };
  const auto report = run({"gas"}, {.runs = 1}, [](std::string_view, std::size_t, std::size_t) {});
  ASSERT_TRUE(report) << report.error().to_string();
  std::size_t prices = 0;
  for (const Row& row : report->rows) {
    if (row.engine != gas::kScheduleName) continue;
    ++prices;
    const auto gas_class = classes.find(row.case_name);
    ASSERT_NE(gas_class, classes.end()) << row.case_name;
    EXPECT_EQ(row.summary.median, gas::weight(gas_class->second)) << row.case_name;
  }
  EXPECT_EQ(prices, classes.size());
}

TEST(BenchRun, EveryEngineMakesTheSystemCalls) {
  const auto files = SystemCallFiles::create();
  ASSERT_TRUE(files) << files.error().to_string();
  using enum SystemCallKind;
  for (const SystemCallEngineKind& kind : system_call_engines()) {
    const auto engine = kind.make(*files);
    if (!engine && (engine.error().code == ErrorCode::kNotFound || engine.error().code == ErrorCode::kUnsupported))
      continue;
    ASSERT_TRUE(engine) << kind.name << ": " << engine.error().to_string();
    for (const SystemCallKind call : {kClose, kNoCall, kGeteuid, kRead, kWrite, kPipe, kPipeByte, kOpenClose}) {
      for (const std::uint64_t count : {0, 3}) {
        const auto sample = (*engine)->run({call, 1000, count});
        ASSERT_TRUE(sample) << kind.name << ": " << sample.error().to_string();
        EXPECT_EQ(sample->wrong, 0) << kind.name << ", " << static_cast<std::uint64_t>(call);
        EXPECT_GT(sample->nanoseconds, 0) << kind.name;
      }
    }
    // What is wrong is seen: more bytes than the program has room for, and a kind that it does not know.
    EXPECT_NE((*engine)->run({kRead, 1 << 20, 1}).value().wrong, 0) << kind.name;
    EXPECT_NE((*engine)->run({SystemCallKind{99}, 1, 1}).value().wrong, 0) << kind.name;
  }
}

// Where the bytes of the files are others, the check of a read says so.
TEST(BenchRun, SystemCallsThatMoveWrongBytesAreSeen) {
  const auto files = SystemCallFiles::create();
  ASSERT_TRUE(files) << files.error().to_string();
  const auto engine = system_call_engines().front().make(*files);
  ASSERT_TRUE(engine) << engine.error().to_string();
  ASSERT_EQ((*engine)->run({SystemCallKind::kRead, 64, 0}).value().wrong, 0);
  std::fstream file(files->read_path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(10);
  file.put('\xFE');
  file.close();
  EXPECT_NE((*engine)->run({SystemCallKind::kRead, 64, 0}).value().wrong, 0);
  EXPECT_EQ((*engine)->run({SystemCallKind::kRead, 8, 0}).value().wrong, 0);
}

TEST(BenchReport, WhatAnEngineDoesNotSupportStandsInTheTable) {
  const std::vector<double> samples = {1, 2};
  Report report;
  report.suites = {"some"};
  report.rows.push_back({"some", "one", "native", "time_ns", "ns", summarize(samples), ""});
  report.rows.push_back({"some", "one", "engine", "time_ns", "ns", summarize(samples), ""});
  report.rows.push_back({"some", "two", "native", "time_ns", "ns", summarize(samples), ""});
  add_absent(report, "some", "engine", "it cannot", "two");
  add_absent(report, "some", "engine", "it cannot", "two");
  add_absent(report, "some", "peer", "needs peer in PATH");
  EXPECT_EQ(report.absent.size(), 2u);
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* const file = open_memstream(&text, &size);
  print_tables(report, file);
  std::fclose(file);
  const std::string printed(text, size);
  std::free(text);
  EXPECT_NE(printed.find("not supported\n"), std::string::npos) << printed;
  EXPECT_NE(printed.find("\n  two, engine: not supported (it cannot)\n"), std::string::npos) << printed;
  EXPECT_NE(printed.find("\n  peer: absent (needs peer in PATH)\n"), std::string::npos) << printed;
  EXPECT_EQ(printed.find("published elsewhere"), std::string::npos);
}

TEST(BenchReferences, BelongToSuitesAndNameTheirSource) {
  EXPECT_GT(references().size(), 50u);
  for (const Reference& reference : references()) {
    EXPECT_TRUE(std::ranges::any_of(suites(), [&](const Suite& suite) { return suite.name == reference.suite; }))
        << reference.suite;
    EXPECT_LE(reference.low, reference.high) << reference.engine;
    EXPECT_FALSE(reference.source.empty() || reference.machine.empty()) << reference.engine;
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
