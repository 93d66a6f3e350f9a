#include "bench/suites.h"

#include <algorithm>
#include <functional>
#include <iterator>

namespace caisson::bench {

void add_time_rows(Report& report, const std::string& suite, const std::string& case_name,
                   const std::vector<std::string>& engines, const std::vector<std::vector<double>>& samples) {
  for (std::size_t engine = 0; engine < engines.size(); ++engine) {
    report.rows.push_back({suite, case_name, engines[engine], "time_ns", "ns", summarize(samples[engine]), ""});
    if (engine == 0) continue;
    std::vector<double> ratios;
    std::ranges::transform(samples[engine], samples[0], std::back_inserter(ratios), std::divides());
    report.rows.push_back({suite, case_name, engines[engine], "ratio_to_native", "ratio", summarize(ratios), ""});
  }
}

void add_absent(Report& report, const std::string& suite, const std::string& engine, const std::string& reason,
                const std::string& case_name) {
  const bool known = std::ranges::any_of(report.absent, [&](const AbsentEngine& absent) {
    return absent.suite == suite && absent.engine == engine && absent.case_name == case_name;
  });
  if (!known) report.absent.push_back({suite, engine, reason, case_name});
}

}  // namespace caisson::bench
