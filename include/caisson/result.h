// Results and errors: the vocabulary of every call that can fail.
//
// Nothing in Caisson throws across this API, and no guest, file or option can make it abort: a call
// returns a value or an Error that says what went wrong and where.
//
//   caisson::Result<caisson::Module> module = engine.load_file("plugin.elf");
//   if (!module) { std::cerr << module.error().to_string() << '\n'; return 1; }
//
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace caisson {

// What kind of failure an Error is; the message carries the particulars.
enum class ErrorCode : std::uint32_t {
  kInvalidArgument,    // the caller passed something that cannot be meant
  kInvalidImage,       // an ELF (or other image) that breaks its format; `where` names the field
  kUnsupported,        // well formed, but not something this build runs
  kNotFound,           // no such file, symbol, endpoint
  kPermission,         // the host refused
  kNotExecutable,      // a file that exists and is no program
  kOutOfMemory,        // a limit on memory or address space was reached
  kLimit,              // another limit was reached
  kIo,                 // reading or writing a host file failed
  kUnresolvedImport,   // host functions that the guest wants and nobody registered
  kSignatureMismatch,  // a host function or call with other types than the guest declares
  kBusy,               // the instance is already running
  kGuestEnded,         // the guest ended where its caller wanted it to return
  kInternal,           // our bug
};

// The name of a code as it stands in messages, e.g. "invalid image".
std::string_view to_string(ErrorCode code);

// A failure: a code for programs, a sentence a user can act on, and where it happened
// (a file, an ELF field, an option; may be empty).
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string where;

  // "where: message", or the message alone.
  std::string to_string() const { return where.empty() ? message : where + ": " + message; }
};

template <class T>
using Result = std::expected<T, Error>;

// Shorthand for `return std::unexpected(Error{...})`.
inline std::unexpected<Error> fail(ErrorCode code, std::string message, std::string where = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(where)});
}

// Why a run ended. The numbers are stable (they are printed and stored).
enum class ExitReason : std::uint32_t {
  kHalt = 0,         // the guest ended itself; return_value is its status
  kPanic = 1,        // illegal encoding executed or bad endpoint; exit_arg = pc
  kOutOfGas = 2,     // the next block costs more gas than is left; exit_arg = pc of that block
  kPageFault = 3,    // load, store or fetch without mapping or permission; exit_arg = address
  kHostCall = 4,     // exit_arg 0: an endpoint call returned; else a host function handled outside
  kInterrupted = 5,  // deadline, or Instance::interrupt()
  kEcall = 6,        // an ecall that nobody answers, or whose interposer failed; exit_arg = a7
  kTrap = 7,         // ebreak, or an atomic access that is not aligned; exit_arg = pc
  kSignalled = 8,    // a Linux process died of a signal; exit_arg = signal number
  kAborted = 0xFFFFFFFF,  // the engine behind the run was lost (worker or VM died)
};

// The name of a reason in words, e.g. "out of gas".
std::string_view to_string(ExitReason reason);

// How a run ended. Results are values: whatever a guest does ends up here.
struct InvocationResult {
  ExitReason exit_reason = ExitReason::kHalt;
  std::uint64_t exit_arg = 0;       // see ExitReason
  std::uint64_t return_value = 0;   // a0 of a returned call, or the exit status of a halted program
  std::uint64_t gas_remaining = 0;  // gas left of what the run was given

  // True where a call returned or a program ended by itself.
  bool ok() const {
    return exit_reason == ExitReason::kHalt || (exit_reason == ExitReason::kHostCall && exit_arg == 0);
  }
};

}  // namespace caisson
