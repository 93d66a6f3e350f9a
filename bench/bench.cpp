#include "bench/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "bench/suites.h"

namespace caisson::bench {
namespace {

constexpr int kYardsticksOfACase = 6;

struct SelectedCase {
  const Suite* suite;
  std::string name;
};

Result<std::vector<const Suite*>> select_suites(const std::vector<std::string>& names) {
  std::vector<const Suite*> selected;
  for (const std::string& name : names) {
    const auto suite = std::ranges::find(suites(), name, &Suite::name);
    if (suite == suites().end()) {
      return fail(ErrorCode::kInvalidArgument, fmt::format("there is no suite \"{}\"; --list names them", name),
                  "SUITE");
    }
    selected.push_back(&*suite);
  }
  if (selected.empty()) {
    for (const Suite& suite : suites()) selected.push_back(&suite);
  }
  return selected;
}

std::size_t sample_count(const Suite& suite, const Options& options) {
  if (options.runs != 0) return options.runs;
  if (!options.quick) return suite.runs;
  return suite.quick_runs != 0 ? suite.quick_runs : std::max<std::size_t>(suite.runs / 5, 3);
}

Result<Report> measure(const std::vector<SelectedCase>& cases, const Options& options, const Progress& progress) {
  Report report;
  std::vector<double> yardstick;
  for (std::size_t index = 0; index < cases.size(); ++index) {
    const auto& [suite, name] = cases[index];
    if (index == 0 || cases[index - 1].suite != suite) report.suites.emplace_back(suite->name);
    progress(name, index, cases.size());
    std::ranges::generate_n(std::back_inserter(yardstick), kYardsticksOfACase, time_yardstick);
    const std::size_t before = report.rows.size();
    if (auto measured = suite->measure(name, sample_count(*suite, options), report); !measured) {
      return fail(measured.error().code, measured.error().message,
                  fmt::format("{}/{}: {}", suite->name, name, measured.error().where));
    }
    for (Row& row : std::span(report.rows).subspan(before)) row.measured_by = name;
    const bool is_last = index + 1 == cases.size() || cases[index + 1].suite != suite;
    if (is_last && suite->summarize != nullptr) suite->summarize(report);
  }
  report.yardstick = summarize_yardstick(std::move(yardstick));
  return report;
}

// The cases that rows which are worse came from; of a row about all cases of a suite, all.
std::vector<SelectedCase> cases_of_regressions(const Comparison& comparison, const Options& options) {
  const auto is_wanted = [&](const Suite& suite, const std::string& name) {
    return std::ranges::any_of(comparison.changes, [&](const Change& change) {
      const Row& row = change.after;
      return change.verdict == Verdict::kWorse && row.suite == suite.name &&
             (row.measured_by == name || (row.measured_by.empty() && name.find(options.filter) != std::string::npos));
    });
  };
  std::vector<SelectedCase> cases;
  for (const Suite& suite : suites()) {
    for (std::string& name : suite.cases()) {
      if (is_wanted(suite, name)) cases.push_back({&suite, std::move(name)});
    }
  }
  return cases;
}

}  // namespace

std::span<const Suite> suites() {
  static const Suite kSuites[] = {compute_suite(),      call_suite(),    compile_suite(),   start_suite(),
                                  idle_suite(),         cold_suite(),    programs_suite(),  recurse_suite(),
                                  recurse_data_suite(), ptcache_suite(), lifecycle_suite(), raw_suite(),
                                  syscall_suite(),      gas_suite()};
  return kSuites;
}

Result<Report> run(const std::vector<std::string>& suite_names, const Options& options, const Progress& progress) {
  const auto selected = select_suites(suite_names);
  if (!selected) return std::unexpected(selected.error());
  std::vector<SelectedCase> cases;
  for (const Suite* suite : *selected) {
    for (std::string& name : suite->cases()) {
      if (name.find(options.filter) != std::string::npos) cases.push_back({suite, std::move(name)});
    }
  }
  if (cases.empty()) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("no case's name contains \"{}\"", options.filter), "--filter");
  }
  return measure(cases, options, progress);
}

Result<Comparison> run_comparison(const Report& before, const Report& report, double tolerance, const Options& options,
                                  const Progress& progress) {
  Comparison comparison = compare(before, report, tolerance);
  for (int turn = 0; turn < kConfirmations && comparison.has_regression(); ++turn) {
    const auto again = measure(cases_of_regressions(comparison, options), options, progress);
    if (!again) return std::unexpected(again.error());
    confirm(comparison, before, *again);
  }
  return comparison;
}

}  // namespace caisson::bench
