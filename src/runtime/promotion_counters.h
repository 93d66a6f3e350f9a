// Path counters of taking optimised code into use (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::runtime {

CAISSON_PERF_MODULE(promotion_module, "COMPILE", 23);
CAISSON_PERF_COUNTER(publish_counter, promotion_module, "compile::publish");
CAISSON_PERF_COUNTER(lookup_counter, promotion_module, "compile::lookup");

}  // namespace caisson::runtime
