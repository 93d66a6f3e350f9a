// Path counters of guest memory (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::memory {

CAISSON_PERF_MODULE(memory_module, "MEMORY", 90);
CAISSON_PERF_COUNTER(fault_counter, memory_module, "memory::fault");
CAISSON_PERF_COUNTER(cow_counter, memory_module, "memory::cow");
CAISSON_PERF_COUNTER(grow_counter, memory_module, "memory::grow");
CAISSON_PERF_COUNTER(reset_counter, memory_module, "memory::reset");

}  // namespace caisson::memory
