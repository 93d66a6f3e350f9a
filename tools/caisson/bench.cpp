// caisson bench: measures suites, prints tables, writes JSON.
#include "bench/bench.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

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
        "with native code. Prints tables of median, minimum and maximum.",
    .usage = "[SUITE…] [OPTIONS]",
    .example = "caisson bench compute --filter=sort --json=report.json",
};

constexpr std::size_t kMostRuns = 1'000'000;

struct BenchOptions {
  bench::Options measure;
  std::string json_file;
  bool list = false;
};

void add_bench_options(CLI::App& app, BenchOptions& options) {
  app.add_option("--filter", options.measure.filter, "Only cases whose name contains this")->type_name("TEXT");
  app.add_option("--runs", options.measure.runs, "Samples of each case and engine (default: the suite's choice)")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, kMostRuns));
  app.add_flag("--quick", options.measure.quick, "Few samples: to see that all works");
  app.add_option("--json", options.json_file, "Write the rows and the machine to this file")->type_name("FILE");
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
  if (!options.json_file.empty()) {
    if (const auto writable = bench::check_writable(options.json_file); !writable) {
      return report_error(kText.name, writable.error().to_string());
    }
  }
  ProgressBar bar;
  const auto report =
      bench::run(split_names(command_line.operands()), options.measure,
                 [&bar](std::string_view name, std::size_t index, std::size_t count) { bar.show(name, index, count); });
  bar.clear();
  if (!report) {
    if (report.error().code == ErrorCode::kInvalidArgument) return command_line.report_misuse(report.error().message);
    return report_error(kText.name, report.error().to_string());
  }
  bench::print_tables(*report, stdout);
  if (!options.json_file.empty()) {
    if (const auto written = bench::write_json(*report, options.json_file); !written) {
      return report_error(kText.name, written.error().to_string());
    }
  }
  return 0;
}

}  // namespace caisson::cli
