// Suite `compute`: the kernels of guest/bench on every engine, warm, metered where the engine meters.
#include <fmt/format.h>

#include <algorithm>

#include "bench/compute_engines.h"
#include "bench/kernels.h"
#include "bench/suites.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "compute";
constexpr char kGeometricMean[] = "geomean";

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Kernel& kernel : kernels()) names.emplace_back(kernel.name);
  return names;
}

struct Contender {
  std::string name;
  std::unique_ptr<ComputeEngine> engine;
};

// One run, which must give what native code gave.
Result<double> time_run(const Contender& contender, std::uint64_t rounds, std::uint64_t expected) {
  const auto sample = contender.engine->run(rounds);
  if (!sample) return fail(sample.error().code, sample.error().message, contender.name);
  if (sample->checksum != expected) {
    return fail(ErrorCode::kInternal, fmt::format("checksum {:#x}, natively {:#x}", sample->checksum, expected),
                contender.name);
  }
  return sample->nanoseconds;
}

struct Contest {
  std::vector<Contender> contenders;
  std::uint64_t expected = 0;  // the native checksum
};

// The engines of this machine, each warm.
Result<Contest> prepare(const Kernel& kernel, Report& report) {
  Contest contest;
  for (const ComputeEngineKind& kind : compute_engines()) {
    auto engine = kind.make(kernel);
    if (!engine && engine.error().code == ErrorCode::kNotFound) {
      add_absent(report, kSuite, kind.name, engine.error().message);
      continue;
    }
    if (!engine) return std::unexpected(engine.error());
    const auto first = (*engine)->run(kernel.rounds);
    if (!first) return fail(first.error().code, first.error().message, kind.name);
    if (contest.contenders.empty()) contest.expected = first->checksum;
    contest.contenders.push_back({kind.name, *std::move(engine)});
    if (const auto warm = contest.contenders.back().engine->warm_up(kernel.rounds); !warm)
      return fail(warm.error().code, warm.error().message, kind.name);
  }
  return contest;
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const Kernel& kernel = *std::ranges::find(kernels(), case_name, &Kernel::name);
  const auto contest = prepare(kernel, report);
  if (!contest) return std::unexpected(contest.error());
  const std::vector<Contender>* const contenders = &contest->contenders;
  std::vector<std::string> names;
  for (const Contender& contender : *contenders) names.push_back(contender.name);
  std::vector<std::vector<double>> samples(contenders->size());
  for (std::size_t turn = 0; turn < runs; ++turn) {
    for (std::size_t index = 0; index < contenders->size(); ++index) {
      const auto sample = time_run((*contenders)[index], kernel.rounds, contest->expected);
      if (!sample) return std::unexpected(sample.error());
      samples[index].push_back(*sample);
    }
  }
  add_time_rows(report, kSuite, case_name, names, samples);
  return {};
}

// The geometric mean over the kernels of each engine's ratio, its interval that of the ends of theirs; minimum and maximum are its
// best and worst kernel.
void summarize_ratios(Report& report) {
  for (const ComputeEngineKind& kind : compute_engines()) {
    std::vector<double> ratios, lows, highs;
    for (const Row& row : report.rows) {
      if (row.suite != kSuite || row.engine != kind.name || row.metric != "ratio_to_native") continue;
      ratios.push_back(row.summary.median);
      lows.push_back(row.summary.low);
      highs.push_back(row.summary.high);
    }
    if (ratios.empty()) continue;
    report.rows.push_back({kSuite, kGeometricMean, kind.name, "ratio_to_native", "ratio",
                           summarize_cases(geometric_mean(ratios), geometric_mean(lows), geometric_mean(highs), ratios),
                           fmt::format("over {} kernels; minimum and maximum are kernels", ratios.size())});
  }
}

}  // namespace

Suite compute_suite() {
  return {kSuite,          "kernels on every engine, against native code of the same source", 25, cases, measure,
          summarize_ratios};
}

}  // namespace caisson::bench
