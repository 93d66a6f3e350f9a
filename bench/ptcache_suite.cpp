// Suite `ptcache`: an instance calls the same child over and over, whose window, pages and code stay with it from call to call.
#include <fmt/format.h>

#include <algorithm>

#include "bench/allocation_count.h"
#include "bench/clock.h"
#include "bench/kernel_bench.h"
#include "bench/suites.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "ptcache";
constexpr auto kEndpoint = static_cast<std::uint64_t>(InstancesEndpoint::kCallOneChild);

struct Case {
  std::string_view name;
  std::uint64_t calls;
};
constexpr Case kCases[] = {{"calls-10", 10}, {"calls-100", 100}, {"calls-1000", 1000}};
// Calls of one sample, at least.
constexpr std::uint64_t kCallsPerSample = 1000;

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Case& one : kCases) names.emplace_back(one.name);
  return names;
}

Result<void> call(KernelInstance& instance, std::uint64_t calls) {
  const auto result = call_expecting(instance, kEndpoint, {calls}, calls * (calls - 1) / 2);
  if (!result) return std::unexpected(result.error());
  return {};
}

// Nanoseconds of one call, the derivation of the child among them.
Result<double> time(KernelInstance& instance, std::uint64_t calls) {
  const std::uint64_t repetitions = std::max<std::uint64_t>(kCallsPerSample / calls, 1);
  const double begin = thread_nanoseconds();
  for (std::uint64_t i = 0; i < repetitions; ++i) {
    if (const auto called = call(instance, calls); !called) return std::unexpected(called.error());
  }
  return (thread_nanoseconds() - begin) / static_cast<double>(repetitions * calls);
}

Result<std::uint64_t> count_allocations(KernelInstance& instance, std::uint64_t calls) {
  const std::uint64_t before = allocations_of_thread();
  if (const auto called = call(instance, calls); !called) return std::unexpected(called.error());
  return allocations_of_thread() - before;
}

// Allocations of one call: what `calls` more of them add to the same derivation.
Result<double> allocations_per_call(KernelInstance& instance, std::uint64_t calls) {
  const auto once = count_allocations(instance, calls);
  if (!once) return std::unexpected(once.error());
  const auto twice = count_allocations(instance, 2 * calls);
  if (!twice) return std::unexpected(twice.error());
  return (static_cast<double>(*twice) - static_cast<double>(*once)) / static_cast<double>(calls);
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const std::uint64_t calls = std::ranges::find(kCases, case_name, &Case::name)->calls;
  const auto image = build_instances_image();
  if (!image) return std::unexpected(image.error());
  const auto benches = make_kernel_benches(*image, {}, report, kSuite);
  if (!benches) return std::unexpected(benches.error());
  std::vector<KernelInstance> instances;
  for (const KernelBench& bench : *benches) {
    auto instance = bench.kernel->derive(bench.image);
    if (!instance) return std::unexpected(instance.error());
    if (const auto warm = time(*instance, 2 * calls); !warm) return std::unexpected(warm.error());
    instances.push_back(*std::move(instance));
  }
  std::vector<std::vector<double>> times(instances.size()), allocations(instances.size());
  for (std::size_t turn = 0; turn < runs; ++turn) {
    for (std::size_t index = 0; index < instances.size(); ++index) {
      const auto sample = time(instances[index], calls);
      if (!sample) return std::unexpected(sample.error());
      times[index].push_back(*sample);
      const auto counted = allocations_per_call(instances[index], calls);
      if (!counted) return std::unexpected(counted.error());
      allocations[index].push_back(*counted);
    }
  }
  for (std::size_t index = 0; index < instances.size(); ++index) {
    const std::string& name = (*benches)[index].name;
    report.rows.push_back(make_row(kSuite, case_name, name, "time_ns", "ns", times[index],
                                   "of one call; a child is derived for each run of them"));
    report.rows.push_back(make_row(kSuite, case_name, name, "allocations", "count", allocations[index],
                                   "by operator new, of one call; the derivation is not in it"));
  }
  return {};
}

}  // namespace

Suite ptcache_suite() { return {kSuite, "calls of one child again and again", 25, cases, measure, nullptr}; }

}  // namespace caisson::bench
