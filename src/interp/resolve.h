// The ways from the handlers into the rest of the interpreter (interpreter.cpp).
#pragma once

#include "interp/record.h"

namespace caisson::interp {

// The record at which execution enters hart.pc, decoding what is there if need be. Null where hart.pc cannot be fetched or
// a call returned: then hart.trap and the context's exit kind are set.
const Record* resolve(Context& context, riscv::HartState& hart);

// Ticks of the guest's 10 MHz clock.
std::uint64_t current_time(Context& context);

}  // namespace caisson::interp
