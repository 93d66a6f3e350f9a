// Suite `idle`: memory that an instance holds while nothing runs in it, above the engine and the module.
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>

#include "bench/kernels.h"
#include "bench/resident_bytes.h"
#include "bench/suites.h"
#include "bench/tiers.h"
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

Result<Instance> make_idle(const Engine& engine, const Module& module, Tier tier, const Case& one) {
  InstanceOptions options{.tier = tier};
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

// Bytes that instances add to this process: the first of a module, which pays for what all share, and each further one.
struct Sample {
  double first = 0, further = 0;
};

Result<Sample> measure_once(Tier tier, const Case& one) {
  const auto engine = Engine::create({.idle_windows = 0});
  if (!engine) return std::unexpected(engine.error());
  const auto module = engine->load_bytes(one.program(), std::string(one.name));
  if (!module) return std::unexpected(module.error());
  std::vector<Instance> instances;
  instances.reserve(kInstances + 1);
  const auto add = [&](std::size_t count) -> Result<void> {
    for (std::size_t index = 0; index < count; ++index) {
      auto instance = make_idle(*engine, *module, tier, one);
      if (!instance) return std::unexpected(instance.error());
      instances.push_back(*std::move(instance));
    }
    return {};
  };
  // What earlier instances left in the heap must not serve these.
  ::malloc_trim(0);
  const auto before = resident_bytes();
  if (const auto added = add(1); !added) return std::unexpected(added.error());
  const auto with_first = resident_bytes();
  if (const auto added = add(kInstances); !added) return std::unexpected(added.error());
  const auto after = resident_bytes();
  for (const auto* const bytes : {&before, &with_first, &after}) {
    if (!*bytes) return std::unexpected(bytes->error());
  }
  return Sample{.first = *with_first - *before, .further = (*after - *with_first) / kInstances};
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const Case& one = *std::ranges::find(kCases, case_name, &Case::name);
  const auto tiers = available_tiers(report, kSuite);
  if (!tiers) return std::unexpected(tiers.error());
  // The process's own first instance of each tier pays for what all modules share.
  for (const NamedTier& tier : *tiers) {
    if (const auto warm = measure_once(tier.tier, one); !warm) return std::unexpected(warm.error());
  }
  std::vector<std::vector<double>> first(tiers->size()), further(tiers->size());
  for (std::size_t run = 0; run < runs; ++run) {
    for (std::size_t index = 0; index < tiers->size(); ++index) {
      const auto sample = measure_once((*tiers)[index].tier, one);
      if (!sample) return std::unexpected(sample.error());
      first[index].push_back(sample->first);
      further[index].push_back(sample->further);
    }
  }
  for (std::size_t index = 0; index < tiers->size(); ++index) {
    const std::string tier((*tiers)[index].name);
    report.rows.push_back({kSuite, case_name, tier, "first_rss_bytes", "bytes", summarize(first[index]), ""});
    report.rows.push_back({kSuite, case_name, tier, "rss_bytes", "bytes", summarize(further[index]), ""});
  }
  return {};
}

}  // namespace

Suite idle_suite() {
  return {kSuite, "resident memory of an idle instance above the engine", 5, cases, measure, nullptr};
}

}  // namespace caisson::bench
