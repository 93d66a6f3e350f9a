// Path counters of the compile service (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::compile {

CAISSON_PERF_MODULE(compile_module, "COMPILE", 22);
CAISSON_PERF_COUNTER(optimized_counter, compile_module, "compile::optimized");

}  // namespace caisson::compile
