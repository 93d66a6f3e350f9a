// caisson invoke of an image or a sealed instance in the store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "caisson/capability.h"
#include "counted_runs.h"
#include "guest_options.h"

namespace caisson::cli {

struct CapabilityCall {
  Hash capability;  // of an image or a sealed instance
  std::string endpoint;  // a number, or a name
  std::vector<std::uint64_t> arguments;
  std::string store;
  bool seals = false;  // the instance as the call leaves it goes into the store
};

RunStatus invoke_capability(CapabilityCall call, const GuestOptions& options);

// The result as caisson invoke prints it.
void print_result(const InvocationResult& result, std::uint64_t gas_used);

}  // namespace caisson::cli
