#include "caisson/result.h"

namespace caisson {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid argument";
    case ErrorCode::kInvalidImage:
      return "invalid image";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kPermission:
      return "permission denied";
    case ErrorCode::kNotExecutable:
      return "not executable";
    case ErrorCode::kOutOfMemory:
      return "out of memory";
    case ErrorCode::kLimit:
      return "limit reached";
    case ErrorCode::kIo:
      return "input/output error";
    case ErrorCode::kUnresolvedImport:
      return "unresolved import";
    case ErrorCode::kSignatureMismatch:
      return "signature mismatch";
    case ErrorCode::kBusy:
      return "busy";
    case ErrorCode::kGuestEnded:
      return "guest ended";
    case ErrorCode::kInternal:
      return "internal error";
  }
  return "unknown error";
}

std::string_view to_string(ExitReason reason) {
  switch (reason) {
    case ExitReason::kHalt:
      return "halt";
    case ExitReason::kPanic:
      return "panic";
    case ExitReason::kOutOfGas:
      return "out of gas";
    case ExitReason::kPageFault:
      return "page fault";
    case ExitReason::kHostCall:
      return "host call";
    case ExitReason::kInterrupted:
      return "interrupted";
    case ExitReason::kEcall:
      return "unclaimed ecall";
    case ExitReason::kTrap:
      return "trap";
    case ExitReason::kSignalled:
      return "signalled";
    case ExitReason::kAborted:
      return "aborted";
  }
  return "unknown exit";
}

}  // namespace caisson
