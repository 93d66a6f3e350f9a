// Errors that calls end with, whichever way they were made.
#pragma once

#include <string_view>

#include "caisson/result.h"

namespace caisson::runtime {

class GuestInstance;

// A run that meets the end of the host's memory in the engine's own code ends as this Error; the guest may be half changed.
Error out_of_memory();

// What a typed call, of a function or module named `where`, is that ended with `result` instead of returning.
Error call_error(const GuestInstance& guest, const InvocationResult& result, std::string_view where);

}  // namespace caisson::runtime
