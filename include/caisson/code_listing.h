// Shows compiled guest code to the host's tools.
//
//   caisson::list_compiled_code({.perf_map = true});   // before the guests run
//
// For the whole process, from the call on. Functions appear as guest/NAME. Thread-safe.
#pragma once

#include "caisson/result.h"

namespace caisson {

struct CodeListingOptions {
  bool perf_map =
      false;  // /tmp/perf-PID.map, which perf report reads; replaces one that another JIT compiler of the process made
  bool jitdump =
      false;  // jit-PID.dump in $JITDUMPDIR or the current directory, for perf record -k 1 and perf inject --jit
  bool gdb = false;  // gdb's interface for JIT compilers: break guest/NAME, backtraces
};

// Errors: kIo (a file cannot be made), kUnsupported (in a forked child). All or none.
Result<void> list_compiled_code(const CodeListingOptions& options);

}  // namespace caisson
