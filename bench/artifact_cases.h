// Cases of suite `compile` about the optimising tier's units: compiling one, against loading it from an artifact store.
#pragma once

#include <string>
#include <vector>

#include "bench/report.h"
#include "caisson/result.h"

namespace caisson::bench {

// "unit-KERNEL": the unit of a kernel's `run`.
std::vector<std::string> artifact_cases();

Result<void> measure_artifact(const std::string& suite, const std::string& case_name, std::size_t runs, Report& report);

}  // namespace caisson::bench
