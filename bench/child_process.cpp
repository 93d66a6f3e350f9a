#include "bench/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

namespace caisson::bench {
namespace {

using Clock = std::chrono::steady_clock;

std::unexpected<Error> fail_with_errno(std::string_view what, const std::string& where, int error = errno) {
  return fail(ErrorCode::kIo, fmt::format("{}: {}", what, std::strerror(error)), where);
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

struct Pipe {
  Descriptor reader, writer;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail_with_errno("cannot make a pipe", "pipe2");
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

// Starts a program whose descriptors 0 and 1 are `input` and `output`.
Result<pid_t> spawn(const std::vector<std::string>& arguments, int input, int output) {
  std::vector<char*> words;
  words.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t process = -1;
  const int error = posix_spawnp(&process, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail_with_errno("cannot be started", arguments[0], error);
  return process;
}

// Waits until `descriptor` has one of `events` (or its other end is closed); false when the deadline passes.
bool wait_for(int descriptor, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd wanted = {descriptor, events, 0};
    const int ready = poll(&wanted, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

void end_process(pid_t process) {
  kill(process, SIGKILL);
  while (waitpid(process, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Reaps the process, which is killed if the deadline passes first.
Result<int> wait_status(pid_t process, Clock::time_point deadline, const std::string& name) {
  const Descriptor handle(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
  if (handle.number() < 0 || !wait_for(handle.number(), POLLIN, deadline)) {
    end_process(process);
    return fail(ErrorCode::kIo, "did not end in time", name);
  }
  int status = 0;
  while (waitpid(process, &status, 0) < 0) {
    if (errno != EINTR) return fail_with_errno("cannot be waited for", name);
  }
  return status;
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments) {
  auto input = make_pipe(), output = make_pipe();
  if (!input) return std::unexpected(input.error());
  if (!output) return std::unexpected(output.error());
  const auto process = spawn(arguments, input->reader.number(), output->writer.number());
  if (!process) return std::unexpected(process.error());
  return ChildProcess(*process, input->writer.release(), output->reader.release());
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : process_(std::exchange(other.process_, -1)),
      input_(std::exchange(other.input_, -1)),
      output_(std::exchange(other.output_, -1)) {}

ChildProcess::~ChildProcess() {
  if (process_ < 0) return;
  close(input_);
  close(output_);
  end_process(process_);
}

Result<void> ChildProcess::write(std::span<const std::uint8_t> bytes) {
  // A write of at most PIPE_BUF bytes to an empty pipe neither blocks nor splits; a closed one must not raise SIGPIPE.
  sigset_t pipe_signal, before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const ssize_t written = ::write(input_, bytes.data(), bytes.size());
  const int error = errno;
  if (written < 0 && error == EPIPE) {
    const timespec at_once = {};
    sigtimedwait(&pipe_signal, nullptr, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (written != static_cast<ssize_t>(bytes.size()))
    return fail_with_errno("cannot be written to", "child process", error);
  return {};
}

Result<void> ChildProcess::read(std::span<std::uint8_t> bytes) {
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (!bytes.empty()) {
    if (!wait_for(output_, POLLIN, deadline)) return fail(ErrorCode::kIo, "did not answer in time", "child process");
    const ssize_t count = ::read(output_, bytes.data(), bytes.size());
    if (count == 0) return fail(ErrorCode::kIo, "ended before it answered", "child process");
    if (count < 0 && errno != EINTR) return fail_with_errno("cannot be read from", "child process");
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::chrono::nanoseconds> time_process(const std::vector<std::string>& arguments, std::string* output) {
  const Descriptor null(open("/dev/null", O_RDWR | O_CLOEXEC));
  auto pipe = make_pipe();
  if (!pipe) return std::unexpected(pipe.error());
  const int to = output != nullptr ? pipe->writer.number() : null.number();

  const Clock::time_point begin = Clock::now();
  const auto process = spawn(arguments, null.number(), to);
  if (!process) return std::unexpected(process.error());
  const auto status = wait_status(*process, begin + ChildProcess::kPatience, arguments[0]);
  const Clock::time_point end = Clock::now();
  if (!status) return std::unexpected(status.error());
  if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0) {
    return fail(ErrorCode::kIo, fmt::format("ended with status {:#x}", *status),
                fmt::format("{}", fmt::join(arguments, " ")));
  }
  if (output != nullptr) {
    // The pipe holds what the program wrote: 64 KiB fit.
    close(pipe->writer.release());
    char chunk[4096];
    for (ssize_t count; (count = read(pipe->reader.number(), chunk, sizeof(chunk))) > 0;) {
      output->append(chunk, static_cast<std::size_t>(count));
    }
  }
  return end - begin;
}

std::optional<std::filesystem::path> find_program(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::filesystem::path candidate = std::filesystem::path(folder) / name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

std::string needs_program(std::string_view name) { return fmt::format("needs {} in PATH", name); }

Result<std::string> own_program() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorCode::kIo, "cannot be read: " + error.message(), "/proc/self/exe");
  return path.string();
}

Result<ProgramFolder> ProgramFolder::create() {
  std::error_code error;
  std::string pattern = (std::filesystem::temp_directory_path(error) / "caisson-bench-XXXXXX").string();
  if (error || mkdtemp(pattern.data()) == nullptr) return fail_with_errno("cannot make a folder", pattern);
  return ProgramFolder(pattern);
}

ProgramFolder::~ProgramFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<std::string> ProgramFolder::add(std::string_view name, std::span<const std::uint8_t> bytes) const {
  const std::filesystem::path path = path_ / name;
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  stream.close();
  if (!stream || chmod(path.c_str(), 0700) != 0) return fail_with_errno("cannot be written", path.string());
  return path.string();
}

Result<std::vector<std::vector<double>>> time_in_turns(const std::vector<std::vector<std::string>>& commands,
                                                       std::size_t runs) {
  std::vector<std::vector<double>> samples(commands.size());
  for (std::size_t turn = 0; turn < runs; ++turn) {
    for (std::size_t index = 0; index < commands.size(); ++index) {
      const auto time = time_process(commands[index]);
      if (!time) return std::unexpected(time.error());
      samples[index].push_back(static_cast<double>(time->count()));
    }
  }
  return samples;
}

}  // namespace caisson::bench
