// Exit statuses of the program and the one line that explains each. Scripts rely on both.
//
// 0…119 and 128… are the guest's own; these are Caisson's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "caisson/result.h"

namespace caisson::cli {

inline constexpr int kOutOfGasStatus = 120;
inline constexpr int kPageFaultStatus = 121;
inline constexpr int kPanicStatus = 122;
inline constexpr int kTrapStatus = 123;           // ebreak, or an ecall that nobody claimed
inline constexpr int kTimeoutStatus = 124;
inline constexpr int kOwnErrorStatus = 125;       // bad option, bad ELF, no permission, aborted engine
inline constexpr int kNotExecutableStatus = 126;
inline constexpr int kNotFoundStatus = 127;
inline constexpr int kSignalStatusBase = 128;     // + signal number, as a shell shows it

// Where a run stood when it ended.
struct RunEnd {
  InvocationResult result;
  std::uint64_t pc = 0;
  std::uint64_t gas_used = 0;
  std::string_view host_error;  // why a host function ended the run
};

// The status for how a run of a program ended; prints "caisson: REASON at pc 0x… (gas used N)" to stderr for an end that is
// neither the guest's own exit nor its death of a signal.
int report_run_end(const RunEnd& end);

// Prints "caisson: VERB: MESSAGE" to stderr and returns kOwnErrorStatus.
int report_error(std::string_view verb, std::string_view message);

// The same for a program that could not be found, read or started; the status tells which.
int report_program_error(std::string_view verb, const Error& error);

}  // namespace caisson::cli
