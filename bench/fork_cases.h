// Cases of suite `call` about instances whose 64 MiB are all written: forks of them, and what a seal costs after a few more writes.
#pragma once

#include <string>
#include <vector>

#include "bench/report.h"
#include "caisson/result.h"

namespace caisson::bench {

// "fork-64mib", "fork-64mib-all-dirty", "fork-64mib-first-call", "seal-64mib-10-dirty", "live-forks", "live-forks-called".
std::vector<std::string> fork_cases();

Result<void> measure_fork(const std::string& suite, const std::string& case_name, std::size_t runs, Report& report);

}  // namespace caisson::bench
