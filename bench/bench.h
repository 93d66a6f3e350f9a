// bench/: the suites behind `caisson bench`.
//
// A suite measures cases on engines that take turns (A B A B …), so that a change of the machine's speed hits all alike; every
// result is checked before it is timed. It returns rows, which report.h prints and writes. bench/ knows only the public API and
// the peers' command lines; what cannot be seen from there says so (compile_suite.cpp). Start reading at compute_suite.cpp; statistics.h says what a row holds.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/comparison.h"
#include "bench/report.h"
#include "caisson/result.h"

namespace caisson::bench {

struct Options {
  std::string filter;  // only cases whose name contains this
  std::size_t runs = 0;  // samples of each case and engine; 0: what the suite thinks enough
  bool quick = false;  // few samples (Suite::quick_runs): to see that all works
};

// Called before each case: its name, its place among all cases of the run, their number.
using Progress = std::function<void(std::string_view name, std::size_t index, std::size_t count)>;

struct Suite {
  std::string_view name;
  std::string_view summary;
  std::size_t runs;  // samples where Options does not say
  std::vector<std::string> (*cases)();
  // Adds the rows of one case with `runs` samples.
  Result<void> (*measure)(const std::string& case_name, std::size_t runs, Report& report);
  // Adds rows about all cases together; may be null.
  void (*summarize)(Report& report);
  // Samples under Options::quick; 0: a fifth of `runs`, but 3 at least. For suites whose samples take seconds.
  std::size_t quick_runs = 0;
};

// Every suite, in the order of --list.
std::span<const Suite> suites();

// Measures the suites with these names (none: all). Errors: kInvalidArgument (a suite that does not exist, a filter that leaves no
// case), and the first failure of a case, such as a checksum that differs.
Result<Report> run(const std::vector<std::string>& suite_names, const Options& options, const Progress& progress);

// Compares `report`, which run() gave with these options, with an earlier one. What looks like a regression is measured again, up to
// kConfirmations times, and is one only if every measurement shows it: machines have slow moments, and hundreds of rows are compared.
inline constexpr int kConfirmations = 2;
Result<Comparison> run_comparison(const Report& before, const Report& report, double tolerance, const Options& options,
                                  const Progress& progress);

}  // namespace caisson::bench
