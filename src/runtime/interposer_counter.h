// Path counter of interposers (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::runtime {

CAISSON_PERF_MODULE(interpose_module, "INTERPOSE", 40);
CAISSON_PERF_COUNTER(interposer_counter, interpose_module,
                     "interpose::handler");  // the embedder's; guests have none yet

}  // namespace caisson::runtime
