// --perf: a verb's work, once per path counter.
#pragma once

#include <expected>
#include <functional>
#include <string_view>

#include "perf_options.h"

namespace caisson::cli {

// How a run ended: its exit status, or that of an error of ours, which has been printed.
using RunStatus = std::expected<int, int>;

// Runs as often as options.counting needs, prints the report and returns the status of the first run. What the others print is not
// shown. Without path counters in this build: an error that tells which build has them.
int run_counted(std::string_view verb, const PerfOptions& options, const std::function<RunStatus()>& run);

}  // namespace caisson::cli
