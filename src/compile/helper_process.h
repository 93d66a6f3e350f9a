// HelperProcess: a child process that compiles (CompileProcess::kHelper), one per worker, started when it is first needed.
//
// A helper that crashes, says what it should not, or takes too long is killed and costs the job it had; the next job gets a new one. It has
// no descriptor but its socket and stderr, an empty environment and a limit on its address space, and dies with its worker.
//
// Thread safety: one thread at a time; find_helper() any.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "caisson/guest_compiler.h"
#include "compile/helper_protocol.h"

namespace caisson::compile {

struct HelperOptions {
  std::string path;  // of the program
  std::string plugin;  // of the shared library that it loads
  std::uint64_t memory_limit = 0;  // bytes of address space; 0: none
  std::size_t reply_limit = 0;  // bytes
};

// As RuntimeStatsSnapshot says.
struct HelperCounters {
  std::atomic<std::uint64_t> spawns{0}, restarts{0}, crashes{0}, timeouts{0};
};

// The helper's program: `configured`, or $CAISSON_COMPILE_HELPER, or caisson-compile-helper beside the running program or in its
// ../libexec/caisson. Errors: kNotFound.
Result<std::string> find_helper(const std::string& configured);

class HelperProcess {
 public:
  HelperProcess(HelperOptions options, HelperCounters& counters) : options_(std::move(options)), counters_(counters) {}
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;
  ~HelperProcess() { end(); }

  // As GuestCompiler::compile(). The helper stands still while `is_paused`. Errors besides the compiler's: kInternal (it died, or answered
  // nonsense), kLimit (out of time, too long a reply), kBusy (cancelled), kIo (it cannot be started).
  Result<CodeBlob> compile(const CompileInput& input, CompileLimits& limits, const std::function<bool()>& is_paused,
                           CompileDump* dump);

 private:
  Result<void> start();
  Result<HelperReply> exchange(const HelperRequest& request, CompileLimits& limits,
                               const std::function<bool()>& is_paused);
  // Until the socket is ready for `events`, or the limits say stop.
  Result<void> wait_for(short events, CompileLimits& limits, const std::function<bool()>& is_paused);
  Result<void> send(std::span<const std::uint8_t> bytes, CompileLimits& limits, const std::function<bool()>& is_paused);
  Result<void> receive(std::span<std::uint8_t> bytes, CompileLimits& limits, const std::function<bool()>& is_paused);
  std::unexpected<Error> died();
  // Kills it. Answers how it ended, in words, where it had ended before.
  std::string end();

  const HelperOptions options_;
  HelperCounters& counters_;
  pid_t pid_ = -1;  // -1: none runs
  int socket_ = -1;
  bool was_started_ = false;
  std::uint64_t next_id_ = 1;
};

}  // namespace caisson::compile
