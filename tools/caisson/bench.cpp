// caisson bench: measures suites or reads what was measured, prints tables, compares, writes JSON and a page.
#include "bench/bench.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "bench/html_report.h"
#include "bench/report_json.h"
#include "command_line.h"
#include "exit_status.h"
#include "progress_bar.h"
#include "verb.h"

namespace caisson::cli {
namespace {

constexpr VerbText kText = {
    .name = "bench",
    .summary =
        "Measures the suites (all, or those named): engines take turns, results are checked, times are compared\n"
        "with native code. Prints tables of medians and their 95 % intervals.",
    .usage = "[SUITE…] [OPTIONS]",
    .example = "caisson bench compute --filter=sort --json=report.json",
};

constexpr std::size_t kMostRuns = 1'000'000;
constexpr double kLeastTolerance = 0, kMostTolerance = 1000;  // percent
// A row became worse: what a script that compares looks for.
constexpr int kRegressionStatus = 1;

struct BenchOptions {
  bench::Options measure;
  std::string read_file, compare_file, json_file, html_file;
  double tolerance = 10;  // percent
  bool list = false;
};

void add_bench_options(CLI::App& app, BenchOptions& options) {
  app.add_option("--filter", options.measure.filter, "Only cases whose name contains this")->type_name("TEXT");
  app.add_option("--runs", options.measure.runs, "Samples of each case and engine (default: the suite's choice)")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, kMostRuns));
  app.add_flag("--quick", options.measure.quick, "Few samples: to see that all works");
  app.add_option("--compare", options.compare_file,
                 "Compare with this report of an earlier --json; what looks worse is measured again; status 1 if it "
                 "stays worse")
      ->type_name("FILE");
  app.add_option("--tolerance", options.tolerance, "What --compare lets pass, in percent; default: 10")
      ->type_name("PERCENT")
      ->check(CLI::Range(kLeastTolerance, kMostTolerance));
  app.add_option("--read", options.read_file, "Take the rows of this report instead of measuring")->type_name("FILE");
  app.add_option("--json", options.json_file, "Write the rows and the machine to this file")->type_name("FILE");
  app.add_option("--html", options.html_file, "Write a page with charts to this file, which needs no other")
      ->type_name("FILE");
  app.add_flag("--list", options.list, "Print suites and cases, and measure nothing");
}

// Suite names as given: separated by spaces or commas.
std::vector<std::string> split_names(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    for (std::size_t begin = 0; begin <= word.size();) {
      const std::size_t end = std::min(word.find(',', begin), word.size());
      if (end != begin) names.push_back(word.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return names;
}

void print_list() {
  for (const bench::Suite& suite : bench::suites()) {
    fmt::print("{:<14}{}\n", suite.name, suite.summary);
    for (const std::string& name : suite.cases()) fmt::print("  {}\n", name);
  }
}

bench::Progress show_on(ProgressBar& bar) {
  return [&bar](std::string_view name, std::size_t index, std::size_t count) { bar.show(name, index, count); };
}

// Known before a long measurement: what is compared with, and that there is where to put the results.
Result<std::optional<bench::Report>> prepare(const BenchOptions& options) {
  for (const std::string& path : {options.json_file, options.html_file}) {
    if (path.empty()) continue;
    if (const auto writable = bench::check_writable(path); !writable) return std::unexpected(writable.error());
  }
  if (options.compare_file.empty()) return std::nullopt;
  auto before = bench::read_report(options.compare_file);
  if (!before) return std::unexpected(before.error());
  return *std::move(before);
}

Result<bench::Report> measure(const std::vector<std::string>& suite_names, const BenchOptions& options) {
  ProgressBar bar;
  return bench::run(suite_names, options.measure, show_on(bar));
}

// Rows that were read cannot be measured again.
Result<bench::Comparison> compare(const bench::Report& before, const bench::Report& report,
                                  const BenchOptions& options) {
  const double tolerance = options.tolerance / 100;
  if (!options.read_file.empty()) return bench::compare(before, report, tolerance);
  ProgressBar bar;
  return bench::run_comparison(before, report, tolerance, options.measure, show_on(bar));
}

Result<void> write_files(const bench::Report& report, const bench::Comparison* comparison,
                         const BenchOptions& options) {
  if (!options.json_file.empty()) {
    if (auto written = bench::write_text(bench::to_json(report), options.json_file); !written) return written;
  }
  if (!options.html_file.empty()) return bench::write_text(bench::to_html(report, comparison), options.html_file);
  return {};
}

// What is done with a report; gives the exit status.
Result<int> present(const bench::Report& report, const std::optional<bench::Report>& before,
                    const BenchOptions& options) {
  bench::print_tables(report, stdout);
  std::optional<bench::Comparison> comparison;
  if (before) {
    auto compared = compare(*before, report, options);
    if (!compared) return std::unexpected(compared.error());
    comparison = *std::move(compared);
    bench::print_comparison(*comparison, stdout);
  }
  if (const auto written = write_files(report, comparison ? &*comparison : nullptr, options); !written) {
    return std::unexpected(written.error());
  }
  return comparison && comparison->has_regression() ? kRegressionStatus : 0;
}

}  // namespace

int bench_verb(const Arguments& words) {
  CommandLine command_line(kText, CommandLine::Operands::kMixed);
  BenchOptions options;
  add_bench_options(command_line.app(), options);
  if (const std::optional<int> status = command_line.parse(words)) return *status;
  if (options.list) {
    print_list();
    return 0;
  }
  const std::vector<std::string> suite_names = split_names(command_line.operands());
  if (!options.read_file.empty() && !suite_names.empty()) {
    return command_line.report_misuse("--read takes all rows of its file, so no suite can be named");
  }
  const auto before = prepare(options);
  if (!before) return report_error(kText.name, before.error().to_string());
  const bool measures = options.read_file.empty();
  const auto report = measures ? measure(suite_names, options) : bench::read_report(options.read_file);
  if (!report) {
    if (measures && report.error().code == ErrorCode::kInvalidArgument) {
      return command_line.report_misuse(report.error().message);
    }
    return report_error(kText.name, report.error().to_string());
  }
  const auto status = present(*report, *before, options);
  return status ? *status : report_error(kText.name, status.error().to_string());
}

}  // namespace caisson::cli
