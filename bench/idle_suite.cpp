// Suite `idle`: memory that an instance holds while nothing runs in it, above the engine and the module.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "bench/kernels.h"
#include "bench/suites.h"
#include "caisson/engine.h"
#include "caisson/linux.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "idle";
constexpr std::size_t kInstances = 64;

// What an instance has done before it idles.
struct Case {
  std::string_view name;
  std::span<const std::uint8_t> (*program)();
  std::string_view function;  // called once in each instance
};

constexpr Case kCases[] = {
    {"function-called", [] { return kernels().front().guest; }, "run"},
    {"c-library-started", resident_guest, "answer"},
};

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Case& one : kCases) names.emplace_back(one.name);
  return names;
}

// Resident bytes of this process, a page that is mapped in several places counted once: instances share their module's pages,
// which Rss would count for each. (statm counts as Rss does, and late: the kernel batches it per processor.)
Result<double> resident_bytes() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string line; std::getline(rollup, line);) {
    std::uint64_t kibibytes = 0;
    if (std::sscanf(line.c_str(), "Pss: %lu kB", &kibibytes) == 1) return static_cast<double>(kibibytes) * 1024;
  }
  return fail(ErrorCode::kIo, "tells no Pss", "/proc/self/smaps_rollup");
}

Result<Instance> make_idle(const Engine& engine, const Module& module, const Case& one) {
  InstanceOptions options{.tier = Tier::kInterp};
  if (module.has_start()) {
    LinuxOptions linux_options;
    linux_options.program = "/resident";
    auto personality = make_linux_personality(linux_options);
    if (!personality) return std::unexpected(personality.error());
    options.personality = *std::move(personality);
  }
  auto instance = engine.instantiate(module, options);
  if (!instance) return instance;
  const std::uint64_t argument = 1;
  const auto result = instance->invoke(one.function, std::span(&argument, 1));
  if (!result) return std::unexpected(result.error());
  if (!result->ok()) return fail(ErrorCode::kInternal, fmt::format("ended with {}", to_string(result->exit_reason)));
  return instance;
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const Case& one = *std::ranges::find(kCases, case_name, &Case::name);
  const auto engine = Engine::create({.idle_windows = 0});
  if (!engine) return std::unexpected(engine.error());
  const auto module = engine->load_bytes(one.program(), case_name);
  if (!module) return std::unexpected(module.error());
  // The first instance pays for what all share; it stays.
  const auto first = make_idle(*engine, *module, one);
  if (!first) return std::unexpected(first.error());

  std::vector<double> samples;
  for (std::size_t run = 0; run < runs; ++run) {
    std::vector<Instance> instances;
    instances.reserve(kInstances);
    const auto before = resident_bytes();
    if (!before) return std::unexpected(before.error());
    for (std::size_t index = 0; index < kInstances; ++index) {
      auto instance = make_idle(*engine, *module, one);
      if (!instance) return std::unexpected(instance.error());
      instances.push_back(*std::move(instance));
    }
    const auto after = resident_bytes();
    if (!after) return std::unexpected(after.error());
    samples.push_back((*after - *before) / kInstances);
  }
  report.rows.push_back(
      {kSuite, case_name, "interp", "rss_bytes", "bytes", summarize(samples),
       fmt::format("mean of {} instances beside one that stays; shared pages counted once", kInstances)});
  return {};
}

}  // namespace

Suite idle_suite() {
  return {kSuite, "resident memory of an idle instance above the engine", 5, cases, measure, nullptr};
}

}  // namespace caisson::bench
