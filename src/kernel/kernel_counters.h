// Path counters of the capability kernel (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::kernel {

CAISSON_PERF_MODULE(kernel_module, "KERNEL", 70);
// A callee that is resident runs within it.
CAISSON_PERF_COUNTER(host_call_counter, kernel_module, "kernel::host_call");
CAISSON_PERF_COUNTER(derive_spawn_counter, kernel_module, "kernel::derive_spawn");
CAISSON_PERF_COUNTER(reply_counter, kernel_module, "kernel::reply");

}  // namespace caisson::kernel
