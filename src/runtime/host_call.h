// The ecall handler behind host functions.
#pragma once

#include "caisson/detail/host_binding.h"
#include "caisson/host.h"
#include "isa/riscv/hart_state.h"
#include "runtime/personality.h"

namespace caisson::runtime {

// `context` is the detail::HostFunction. Charges what it declares, then lets it take its arguments, run and give its result.
inline EcallOutcome call_host_function(GuestInstance& instance, riscv::HartState& hart, void* context) {
  const auto& function = *static_cast<const detail::HostFunction*>(context);
  // Free functions do not touch the gas: what follows need not wait for it.
  if (function.gas != 0 && !hart.charge(function.gas)) [[unlikely]]
    return EcallOutcome::kOutOfGas;
  Caller caller(instance, &hart.x[riscv::kA0], &hart.f[riscv::kA0]);  // fa0 is f10 as a0 is x10
  function.invoke(caller, function.callable.get());
  return caller.outcome();
}

}  // namespace caisson::runtime
