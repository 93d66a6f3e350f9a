// Path counters of the way of an ecall to who answers it (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::runtime {

CAISSON_PERF_MODULE(router_module, "ROUTER", 30);
CAISSON_PERF_COUNTER(ecall_counter, router_module, "router::ecall");

}  // namespace caisson::runtime
