// Path counters of the capability stores (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::store {

CAISSON_PERF_MODULE(store_module, "STORE", 80);
CAISSON_PERF_COUNTER(put_counter, store_module, "store::put");  // of what is not there yet
CAISSON_PERF_COUNTER(put_hit_counter, store_module, "store::put_hit");
CAISSON_PERF_COUNTER(get_counter, store_module, "store::get");

}  // namespace caisson::store
