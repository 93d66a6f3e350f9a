// Path counters of guest memory (perf/scope.h).
//
// The first two count within the signal handler too. What they take there (the heap, for a thread's first scope) is safe: a fault that
// is handled has interrupted an access to guest memory, never the C library.
#pragma once

#include "perf/scope.h"

namespace caisson::memory {

CAISSON_PERF_MODULE(memory_module, "MEMORY", 90);
CAISSON_PERF_COUNTER(fault_counter, memory_module, "memory::fault");  // accesses that were refused
CAISSON_PERF_COUNTER(cow_counter, memory_module, "memory::cow");  // pages next to each other that were first written to
CAISSON_PERF_COUNTER(grow_counter, memory_module, "memory::grow");
CAISSON_PERF_COUNTER(reset_counter, memory_module, "memory::reset");

}  // namespace caisson::memory
