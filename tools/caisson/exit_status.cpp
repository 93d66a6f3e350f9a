#include "exit_status.h"

#include <fmt/core.h>

#include <cstdio>

namespace caisson::cli {
namespace {

struct ReasonRow {
  ExitReason reason;
  int status;
  std::string_view text;  // with {} for exit_arg where it tells more than the pc
};

// Ends that are not the guest's own.
constexpr ReasonRow kReasons[] = {
    {ExitReason::kPanic, kPanicStatus, "illegal instruction"},
    {ExitReason::kOutOfGas, kOutOfGasStatus, "out of gas"},
    {ExitReason::kPageFault, kPageFaultStatus, "page fault on address {:#x}"},
    {ExitReason::kHostCall, kTrapStatus, "host call {:#x}"},
    {ExitReason::kInterrupted, kTimeoutStatus, "timeout"},
    {ExitReason::kEcall, kTrapStatus, "unclaimed ecall {}"},
    {ExitReason::kTrap, kTrapStatus, "trap"},
    {ExitReason::kAborted, kOwnErrorStatus, "aborted engine"},
};

}  // namespace

int report_run_end(const RunEnd& end) {
  if (end.result.exit_reason == ExitReason::kSignalled) {
    return kSignalStatusBase + static_cast<int>(end.result.exit_arg & 0x7F);
  }
  if (end.result.exit_reason == ExitReason::kHalt) return static_cast<int>(end.result.return_value & 0xFF);
  if (end.result.ok()) return 0;
  for (const ReasonRow& row : kReasons) {
    if (row.reason != end.result.exit_reason) continue;
    std::string reason = fmt::format(fmt::runtime(row.text), end.result.exit_arg);
    if (!end.host_error.empty()) reason += fmt::format(" ({})", end.host_error);
    fmt::print(stderr, "caisson: {} at pc {:#x} (gas used {})\n", reason, end.pc, end.gas_used);
    return row.status;
  }
  return report_error("run", "the run ended for an unknown reason");
}

int report_error(std::string_view verb, std::string_view message) {
  fmt::print(stderr, "caisson: {}: {}\n", verb, message);
  return kOwnErrorStatus;
}

int report_program_error(std::string_view verb, const Error& error) {
  report_error(verb, error.to_string());
  switch (error.code) {
    case ErrorCode::kNotFound:
      return kNotFoundStatus;
    case ErrorCode::kNotExecutable:
      return kNotExecutableStatus;
    default:
      return kOwnErrorStatus;
  }
}

}  // namespace caisson::cli
