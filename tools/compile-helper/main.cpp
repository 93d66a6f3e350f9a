// caisson-compile-helper: compiles for a JitBackend in a process of its own, so that a compiler that crashes, hangs or eats memory
// harms nobody. Not meant to be started by hand.
//
//   caisson-compile-helper PLUGIN MEMORY_LIMIT PARENT_PID     (requests on the socket that is its stdin)
//
// Ends when the socket is closed or its parent dies. Exit status: 0 done, 1 it cannot work, 2 usage.
#include <dlfcn.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "compile/helper_protocol.h"
#include "compile/plugin_call.h"

namespace caisson::compile {
namespace {

constexpr int kSocket = 0;
constexpr char kSymbol[] = "caisson_guest_compiler";

// The parent keeps the time too, and stops the process to pause it.
class TimeLimit : public CompileLimits {
 public:
  explicit TimeLimit(std::chrono::milliseconds time) : deadline_(std::chrono::steady_clock::now() + time) {}
  bool yield_point() override { return true; }
  std::chrono::steady_clock::time_point deadline() const override { return deadline_; }

 private:
  const std::chrono::steady_clock::time_point deadline_;
};

bool receive(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t received = ::recv(kSocket, bytes.data(), bytes.size(), 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(received));
  }
  return true;
}

bool send(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(kSocket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

Result<CodeBlob> compile(GuestCompiler& compiler, const HelperRequest& request, CompileDump& dump) {
  if (compiler.guest_kind() != request.input.guest_kind) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("the plug-in compiles {}, not {}", compiler.guest_kind(), request.input.guest_kind));
  }
  TimeLimit limits{std::chrono::milliseconds(request.time_limit_ms)};
  return call_plugin("the compiler",
                     [&] { return compiler.compile(request.input, limits, request.is_dump_wanted ? &dump : nullptr); });
}

// One request. False where there is none any more.
bool serve(GuestCompiler& compiler) {
  std::array<std::uint8_t, sizeof(FrameHeader)> head{};
  if (!receive(head)) return false;
  FrameHeader header;
  std::memcpy(&header, head.data(), sizeof header);
  if (header.magic != FrameHeader::kMagic) return false;
  std::vector<std::uint8_t> payload(header.length);
  if (!receive(payload)) return false;
  const auto request = decode_request(payload);
  if (!request) return false;
  HelperReply reply{request->id, {}, {}};
  reply.blob = compile(compiler, *request, reply.dump);
  const auto message = encode(reply);
  return message && send(*message);
}

template <class Number>
std::optional<Number> parse(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int complain(const std::string& message) {
  std::fputs(("caisson-compile-helper: " + message + "\n").c_str(), stderr);
  return 1;
}

int run(const char* plugin, std::uint64_t memory_limit, pid_t parent) {
  // Dies with its worker, also where that died before the call.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) return 1;
  if (memory_limit != 0) {
    const rlimit limit{memory_limit, memory_limit};
    if (::setrlimit(RLIMIT_AS, &limit) != 0)
      return complain(std::string("cannot limit the memory: ") + std::strerror(errno));
  }
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  void* const library = ::dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return complain(::dlerror());
  using Entry = GuestCompiler* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(library, kSymbol));
  if (entry == nullptr) return complain(fmt::format("{} does not define {}", plugin, kSymbol));
  GuestCompiler* const compiler = entry();
  if (compiler == nullptr) return complain(fmt::format("{} gave no compiler", plugin));
  while (serve(*compiler)) {
  }
  return 0;
}

}  // namespace
}  // namespace caisson::compile

int main(int argc, char** argv) {
  const auto memory_limit = argc == 4 ? caisson::compile::parse<std::uint64_t>(argv[2]) : std::nullopt;
  const auto parent = argc == 4 ? caisson::compile::parse<pid_t>(argv[3]) : std::nullopt;
  if (!memory_limit || !parent) {
    std::fputs("usage: caisson-compile-helper PLUGIN MEMORY_LIMIT PARENT_PID\n", stderr);
    return 2;
  }
  const auto status = caisson::compile::call_plugin(
      "the plug-in", [&]() -> caisson::Result<int> { return caisson::compile::run(argv[1], *memory_limit, *parent); });
  return status ? *status : caisson::compile::complain(status.error().to_string());
}
