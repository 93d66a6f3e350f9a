// Path counters of the table of descriptors (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::linux_personality {

CAISSON_PERF_MODULE(descriptor_module, "FDTABLE", 60);
CAISSON_PERF_COUNTER(translate_counter, descriptor_module, "fdtable::translate");
CAISSON_PERF_COUNTER(close_counter, descriptor_module, "fdtable::close");
CAISSON_PERF_COUNTER(dup_counter, descriptor_module, "fdtable::dup");
CAISSON_PERF_COUNTER(alloc_counter, descriptor_module, "fdtable::alloc");

}  // namespace caisson::linux_personality
