// Path counters of starting a guest (perf/scope.h).
#pragma once

#include "perf/scope.h"

namespace caisson::runtime {

CAISSON_PERF_MODULE(boot_module, "BOOT", 10);
CAISSON_PERF_COUNTER(load_elf_counter, boot_module, "boot::load_elf");
CAISSON_PERF_COUNTER(validate_counter, boot_module, "boot::validate");
CAISSON_PERF_COUNTER(instantiate_counter, boot_module, "boot::instantiate");
CAISSON_PERF_COUNTER(invoke_counter, boot_module, "boot::invoke");

}  // namespace caisson::runtime
