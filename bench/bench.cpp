#include "bench/bench.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/suites.h"

namespace caisson::bench {
namespace {

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
  return options.quick ? std::max<std::size_t>(suite.runs / 5, 3) : suite.runs;
}

}  // namespace

std::span<const Suite> suites() {
  static const Suite kSuites[] = {compute_suite(),      call_suite(),    compile_suite(),   start_suite(),
                                  idle_suite(),         cold_suite(),    programs_suite(),  recurse_suite(),
                                  recurse_data_suite(), ptcache_suite(), lifecycle_suite(), raw_suite()};
  return kSuites;
}

Result<Report> run(const std::vector<std::string>& suite_names, const Options& options, const Progress& progress) {
  const auto selected = select_suites(suite_names);
  if (!selected) return std::unexpected(selected.error());
  Report report;
  std::vector<SelectedCase> cases;
  for (const Suite* suite : *selected) {
    const std::size_t before = cases.size();
    for (std::string& name : suite->cases()) {
      if (name.find(options.filter) != std::string::npos) cases.push_back({suite, std::move(name)});
    }
    if (cases.size() != before) report.suites.emplace_back(suite->name);
  }
  if (cases.empty()) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("no case's name contains \"{}\"", options.filter), "--filter");
  }
  for (std::size_t index = 0; index < cases.size(); ++index) {
    const auto& [suite, name] = cases[index];
    progress(name, index, cases.size());
    if (auto measured = suite->measure(name, sample_count(*suite, options), report); !measured) {
      return fail(measured.error().code, measured.error().message,
                  fmt::format("{}/{}: {}", suite->name, name, measured.error().where));
    }
    const bool is_last = index + 1 == cases.size() || cases[index + 1].suite != suite;
    if (is_last && suite->summarize != nullptr) suite->summarize(report);
  }
  return report;
}

}  // namespace caisson::bench
