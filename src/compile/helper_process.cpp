#include "compile/helper_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

namespace caisson::compile {
namespace {

constexpr char kProgram[] = "caisson-compile-helper";
constexpr int kSliceMilliseconds = 10;  // how soon a cancellation or a pause is noticed

bool is_program(const std::filesystem::path& path) { return ::access(path.c_str(), X_OK) == 0; }

// Attributes and actions of posix_spawn, by scope.
struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnSettings() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
};

}  // namespace

Result<std::string> find_helper(const std::string& configured) {
  std::vector<std::filesystem::path> candidates;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
  const char* const named = std::getenv("CAISSON_COMPILE_HELPER");
  if (!configured.empty()) {
    candidates.emplace_back(configured);
  } else if (named != nullptr && *named != '\0') {
    candidates.emplace_back(named);
  } else {
    std::error_code error;
    const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    candidates = {folder / kProgram, folder.parent_path() / "libexec" / "caisson" / kProgram};
  }
  const auto found = std::ranges::find_if(candidates, is_program);
  if (found != candidates.end()) return found->string();
  return fail(ErrorCode::kNotFound, "no such program; name it in RuntimeConfig::helper_path or CAISSON_COMPILE_HELPER",
              candidates.front().string());
}

Result<CodeBlob> HelperProcess::compile(const CompileInput& input, CompileLimits& limits,
                                        const std::function<bool()>& is_paused, CompileDump* dump) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(limits.deadline() - std::chrono::steady_clock::now());
  const HelperRequest request{next_id_++, input, static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 0)),
                              dump != nullptr};
  if (pid_ < 0) {
    if (const auto started = start(); !started) return std::unexpected(started.error());
  }
  auto reply = exchange(request, limits, is_paused);
  if (!reply) {
    end();
    return std::unexpected(reply.error());
  }
  if (dump != nullptr) *dump = std::move(reply->dump);
  return std::move(reply->blob);
}

Result<void> HelperProcess::start() {
  std::array<int, 2> sockets{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
    return fail(ErrorCode::kIo, std::string("cannot make a socket for the compile helper: ") + std::strerror(errno));
  }
  ::fcntl(sockets[0], F_SETFL, O_NONBLOCK);
  SpawnSettings settings;
  // The socket is its stdin; nothing else of ours but stderr reaches it.
  ::posix_spawn_file_actions_adddup2(&settings.actions, sockets[1], 0);
  ::posix_spawn_file_actions_adddup2(&settings.actions, 2, 1);
  ::posix_spawn_file_actions_addclosefrom_np(&settings.actions, 3);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&settings.attributes, &none);
  ::posix_spawnattr_setsigdefault(&settings.attributes, &all);
  ::posix_spawnattr_setflags(&settings.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string path = options_.path, plugin = options_.plugin, memory = std::to_string(options_.memory_limit),
              parent = std::to_string(::getpid());
  const std::array<char*, 5> arguments{path.data(), plugin.data(), memory.data(), parent.data(), nullptr};
  const std::array<char*, 1> environment{nullptr};
  const int error =
      ::posix_spawn(&pid_, path.c_str(), &settings.actions, &settings.attributes, arguments.data(), environment.data());
  ::close(sockets[1]);
  if (error != 0) {
    ::close(sockets[0]);
    pid_ = -1;
    return fail(ErrorCode::kIo, std::string("cannot start the compile helper: ") + std::strerror(error), path);
  }
  socket_ = sockets[0];
  ++counters_.spawns;
  if (std::exchange(was_started_, true)) ++counters_.restarts;
  return {};
}

Result<HelperReply> HelperProcess::exchange(const HelperRequest& request, CompileLimits& limits,
                                            const std::function<bool()>& is_paused) {
  const auto message = encode(request);
  if (!message) return std::unexpected(message.error());
  if (const auto sent = send(*message, limits, is_paused); !sent) return std::unexpected(sent.error());
  std::array<std::uint8_t, sizeof(FrameHeader)> head{};
  if (const auto received = receive(head, limits, is_paused); !received) return std::unexpected(received.error());
  FrameHeader header;
  std::memcpy(&header, head.data(), sizeof header);
  if (header.magic != FrameHeader::kMagic) {
    ++counters_.crashes;
    return fail(ErrorCode::kInternal, "the compile helper answered nonsense");
  }
  if (header.length > options_.reply_limit) {
    ++counters_.crashes;
    return fail(ErrorCode::kLimit,
                fmt::format("the compile helper's reply of {} bytes is longer than RuntimeTuning::helper_reply_limit",
                            header.length));
  }
  std::vector<std::uint8_t> payload(header.length);
  if (const auto received = receive(payload, limits, is_paused); !received) return std::unexpected(received.error());
  auto reply = decode_reply(payload);
  if (reply && reply->id != request.id)
    reply = fail(ErrorCode::kInternal, "the compile helper answered another request");
  if (!reply) ++counters_.crashes;
  return reply;
}

Result<void> HelperProcess::wait_for(short events, CompileLimits& limits, const std::function<bool()>& is_paused) {
  for (;;) {
    bool goes_on = true;
    if (is_paused()) {
      ::kill(pid_, SIGSTOP);
      goes_on = limits.yield_point();  // waits
      ::kill(pid_, SIGCONT);
    } else {
      goes_on = limits.yield_point();
    }
    if (!goes_on) {
      if (std::chrono::steady_clock::now() < limits.deadline())
        return fail(ErrorCode::kBusy, "the compilation was cancelled");
      ++counters_.timeouts;
      return fail(ErrorCode::kLimit, "the compile helper was killed: out of time (RuntimeTuning::job_timeout)");
    }
    pollfd entry{socket_, events, 0};
    const int ready = ::poll(&entry, 1, kSliceMilliseconds);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR)
      return fail(ErrorCode::kIo, std::string("cannot wait for the compile helper: ") + std::strerror(errno));
  }
}

Result<void> HelperProcess::send(std::span<const std::uint8_t> bytes, CompileLimits& limits,
                                 const std::function<bool()>& is_paused) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    } else if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (const auto waited = wait_for(POLLOUT, limits, is_paused); !waited) return waited;
    } else {
      return died();
    }
  }
  return {};
}

Result<void> HelperProcess::receive(std::span<std::uint8_t> bytes, CompileLimits& limits,
                                    const std::function<bool()>& is_paused) {
  while (!bytes.empty()) {
    const ssize_t received = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (received > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(received));
    } else if (received < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (const auto waited = wait_for(POLLIN, limits, is_paused); !waited) return waited;
    } else {
      return died();
    }
  }
  return {};
}

std::unexpected<Error> HelperProcess::died() {
  ++counters_.crashes;
  return fail(ErrorCode::kInternal, "the compile helper " + end());
}

std::string HelperProcess::end() {
  if (pid_ < 0) return "is not running";
  ::close(std::exchange(socket_, -1));
  // One that has closed its socket is about to end by itself; then its status tells why.
  constexpr int kAttempts = 1000, kGraceAttempts = 50;
  int status = 0;
  pid_t ended = 0;
  for (int attempt = 0; attempt < kAttempts && ended == 0; ++attempt) {
    ended = ::waitpid(pid_, &status, WNOHANG);
    if (ended != 0) break;
    if (attempt == kGraceAttempts) ::kill(pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  pid_ = -1;
  if (ended <= 0) return "cannot be ended";
  if (WIFSIGNALED(status)) return fmt::format("died of signal {}", WTERMSIG(status));
  return fmt::format("ended with status {}", WEXITSTATUS(status));
}

}  // namespace caisson::compile
