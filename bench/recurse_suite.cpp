// Suites `recurse` and `recurse-data`: an instance derives a child of its own image and calls it, which does the same, down to a depth.
#include <fmt/format.h>

#include <algorithm>

#include "bench/clock.h"
#include "bench/kernel_bench.h"
#include "bench/suites.h"

namespace caisson::bench {
namespace {

struct Case {
  std::string_view name;
  std::uint64_t depth;
  std::size_t resident_instances;
};
// By default most of a thousand instances are parked while they wait; with room for all of them fewer pages are copied and more caches missed.
constexpr std::size_t kAllResident = 2048;
constexpr std::size_t kDefault = KernelOptions().resident_instances;
constexpr Case kCases[] = {{"recurse-10", 10, kDefault},
                           {"recurse-100", 100, kDefault},
                           {"recurse-1000", 1000, kDefault},
                           {"recurse-1000-resident", 1000, kAllResident}};
// Instances of one sample, at least: shallow recursions are repeated.
constexpr std::uint64_t kInstancesPerSample = 500;

// What differs between the two suites.
struct Recursion {
  std::string suite;
  Result<BuiltImage> (*image)();
  std::uint64_t endpoint;
  std::uint64_t (*expected)(std::uint64_t depth);
};

Recursion plain() {
  return {"recurse", build_instances_image, static_cast<std::uint64_t>(InstancesEndpoint::kRecurse),
          [](std::uint64_t depth) { return depth; }};
}

// The bytes 0, 64, 128, 192, as often as they stand in 64 KiB at every 64th place, and the depth as the own page keeps it.
Recursion with_data() {
  return {"recurse-data", build_pattern_image, 0, [](std::uint64_t depth) {
            constexpr std::uint64_t kPatternSum = (0 + 64 + 128 + 192) * (65536 / 256);
            static_assert(kPatternSum == 98304);
            return kPatternSum + (depth & 0xFF);
          }};
}

Result<std::uint64_t> gas_of(const Recursion& recursion, KernelInstance& instance, std::uint64_t depth) {
  const auto result = call_expecting(instance, recursion.endpoint, {depth}, recursion.expected(depth));
  if (!result) return std::unexpected(result.error());
  return kCallGas - result->gas_remaining;
}

// Results at depths that are timed and at the least ones, and gas that grows by the same for each level. Gives the gas of a level.
Result<double> check(const Recursion& recursion, KernelInstance& instance) {
  std::uint64_t gas[4] = {};
  for (std::uint64_t depth = 0; depth < 2; ++depth) {
    if (const auto used = gas_of(recursion, instance, depth); !used) return std::unexpected(used.error());
  }
  for (std::uint64_t i = 0; i < 4; ++i) {
    const auto used = gas_of(recursion, instance, 200 * (i + 1));
    if (!used) return std::unexpected(used.error());
    gas[i] = *used;
  }
  if (gas[1] - gas[0] != gas[3] - gas[2]) {
    return fail(ErrorCode::kInternal, fmt::format("gas is not affine in depth: {}, {}, {}, {} for 200, 400, 600, 800",
                                                  gas[0], gas[1], gas[2], gas[3]));
  }
  return static_cast<double>(gas[1] - gas[0]) / 200;
}

// Nanoseconds of one level. The first call brings back to the caches what the other engines' turns drove out; it is not timed.
Result<double> time(const Recursion& recursion, KernelInstance& instance, std::uint64_t depth) {
  const std::uint64_t repetitions = std::max<std::uint64_t>(kInstancesPerSample / depth, 1);
  if (const auto warm = gas_of(recursion, instance, depth); !warm) return std::unexpected(warm.error());
  const double begin = thread_nanoseconds();
  for (std::uint64_t i = 0; i < repetitions; ++i) {
    const auto result = call_expecting(instance, recursion.endpoint, {depth}, recursion.expected(depth));
    if (!result) return std::unexpected(result.error());
  }
  return (thread_nanoseconds() - begin) / static_cast<double>(repetitions * depth);
}

Result<void> measure_recursion(const Recursion& recursion, const std::string& case_name, std::size_t runs,
                               Report& report) {
  const Case& one = *std::ranges::find(kCases, case_name, &Case::name);
  const auto image = recursion.image();
  if (!image) return std::unexpected(image.error());
  const KernelOptions options{
      .max_depth = 2048, .resident_instances = one.resident_instances, .idle_cells = kAllResident};
  const auto benches = make_kernel_benches(*image, options, report, recursion.suite);
  if (!benches) return std::unexpected(benches.error());
  std::vector<KernelInstance> instances;
  std::vector<double> gas;
  for (const KernelBench& bench : *benches) {
    auto instance = bench.kernel->derive(bench.image);
    if (!instance) return std::unexpected(instance.error());
    const auto per_level = check(recursion, *instance);
    if (!per_level) return fail(per_level.error().code, per_level.error().message, bench.name);
    if (!gas.empty() && *per_level != gas.front())
      return fail(ErrorCode::kInternal, "another gas than in the first tier", bench.name);
    gas.push_back(*per_level);
    // As deep as it will be timed, so that windows and pages are there.
    if (const auto warm = time(recursion, *instance, one.depth); !warm) return std::unexpected(warm.error());
    instances.push_back(*std::move(instance));
  }
  std::vector<std::vector<double>> samples(instances.size());
  for (std::size_t turn = 0; turn < runs; ++turn) {
    for (std::size_t index = 0; index < instances.size(); ++index) {
      const auto sample = time(recursion, instances[index], one.depth);
      if (!sample) return std::unexpected(sample.error());
      samples[index].push_back(*sample);
    }
  }
  for (std::size_t index = 0; index < instances.size(); ++index) {
    report.rows.push_back(make_row(recursion.suite, case_name, (*benches)[index].name, "time_ns", "ns", samples[index],
                                   fmt::format("of one level: derived, called, dropped; {} gas", gas[index])));
  }
  return {};
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Case& one : kCases) names.emplace_back(one.name);
  return names;
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  return measure_recursion(plain(), case_name, runs, report);
}

Result<void> measure_data(const std::string& case_name, std::size_t runs, Report& report) {
  return measure_recursion(with_data(), case_name, runs, report);
}

}  // namespace

Suite recurse_suite() {
  return {"recurse", "instances that derive and call children of their own image", 15, cases, measure, nullptr};
}

Suite recurse_data_suite() {
  return {"recurse-data", "the same, each reading shared data and writing a page", 15, cases, measure_data, nullptr};
}

}  // namespace caisson::bench
