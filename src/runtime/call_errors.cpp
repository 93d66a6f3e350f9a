#include "runtime/call_errors.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "runtime/guest_instance.h"

namespace caisson::runtime {

Error out_of_memory() { return {ErrorCode::kOutOfMemory, "the host has no memory left", {}}; }

Error call_error(const GuestInstance& guest, const InvocationResult& result, std::string_view where) {
  std::string text = fmt::format("the call ended with {} ({:#x})", to_string(result.exit_reason), result.exit_arg);
  if (!guest.host_error().empty()) text.append(": ").append(guest.host_error());
  const ErrorCode code = result.exit_reason == ExitReason::kOutOfGas ? ErrorCode::kLimit : ErrorCode::kGuestEnded;
  return {code, std::move(text), std::string(where)};
}

}  // namespace caisson::runtime
