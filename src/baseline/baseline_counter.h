// Path counters of the baseline compiler (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::baseline {

CAISSON_PERF_MODULE(baseline_module, "COMPILE", 21);
CAISSON_PERF_COUNTER(baseline_counter, baseline_module, "compile::baseline");

}  // namespace caisson::baseline
