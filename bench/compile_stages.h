// Cases of suite `compile` that time the stages of a baseline compilation apart: the scan of a page, and the emission of its code.
#pragma once

#include <string>
#include <vector>

#include "bench/report.h"
#include "caisson/result.h"

namespace caisson::bench {

// "stages": of the pages that case "c-library" compiles.
std::vector<std::string> stage_cases();

Result<void> measure_stages(const std::string& suite, std::size_t runs, Report& report);

}  // namespace caisson::bench
