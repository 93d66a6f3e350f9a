// Path counters of decoding (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::interp {

CAISSON_PERF_MODULE(decode_module, "COMPILE", 20);
CAISSON_PERF_COUNTER(decode_counter, decode_module, "compile::decode");

}  // namespace caisson::interp
