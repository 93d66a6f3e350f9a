// The ecall handler behind host functions.
#pragma once

#include "runtime/personality.h"

namespace caisson::runtime {

// `context` is the detail::HostFunction. Charges what it declares, then lets it take its arguments, run and give its result.
EcallOutcome call_host_function(GuestInstance& instance, riscv::HartState& hart, void* context);

}  // namespace caisson::runtime
