// What makes the system calls of suite `syscall`: one program (guest/bench/programs/system_calls.c) as a process of the host, as a
// Linux guest in this process on each tier, the same with an interposer, and as a guest of peers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "bench/child_process.h"
#include "caisson/result.h"

namespace caisson::bench {

// The program knows them by these numbers.
enum class SystemCallKind : std::uint64_t {
  kClose,
  kNoCall,
  kGeteuid,
  kRead,
  kWrite,
  kPipe,
  kPipeByte,
  kOpenClose,
  kForkWait
};

struct SystemCallRequest {
  SystemCallKind kind;
  std::uint64_t size;  // of what is read or written
  std::uint64_t count;  // 0: one call, whose bytes are checked as well
};

// How a request went. `wrong` is 0, or the first result that was not as it must be: −errno, or another number.
struct SystemCallSample {
  double nanoseconds = 0;
  std::int64_t wrong = 0;
};

class SystemCallEngine {
 public:
  virtual ~SystemCallEngine() = default;
  virtual Result<SystemCallSample> run(const SystemCallRequest& request) = 0;
};

// The program, and what it works on: a file to read of which byte i is i % 251, and one to write.
class SystemCallFiles {
 public:
  // Errors: kIo.
  static Result<SystemCallFiles> create();

  const std::string& folder() const { return folder_.path().native(); }
  std::string read_path, write_path, native_path, guest_path;

 private:
  explicit SystemCallFiles(ProgramFolder folder) : folder_(std::move(folder)) {}
  ProgramFolder folder_;
};

struct SystemCallEngineKind {
  std::string name;
  // Errors: kNotFound or kUnsupported where the engine is not on this machine (the message says what it needs); others are failures.
  Result<std::unique_ptr<SystemCallEngine>> (*make)(const SystemCallFiles& files);
};

// Native first.
std::span<const SystemCallEngineKind> system_call_engines();

}  // namespace caisson::bench
