// run_counted() of a build without path counters.
#include "counted_runs.h"
#include "exit_status.h"

namespace caisson::cli {

int run_counted(std::string_view verb, const PerfOptions&, const std::function<RunStatus()>&) {
  const Result<perf::Report> report = perf::measure({}, {});
  return report_error(verb, "--perf: " + report.error().message);
}

}  // namespace caisson::cli
