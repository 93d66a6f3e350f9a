// Path counter of capabilities' hashes, which stores ask for (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::capability {

CAISSON_PERF_MODULE(hash_module, "STORE", 81);
CAISSON_PERF_COUNTER(hash_counter, hash_module, "store::hash");

}  // namespace caisson::capability
