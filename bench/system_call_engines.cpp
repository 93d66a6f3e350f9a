#include "bench/system_call_engines.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "bench/clock.h"
#include "bench/kernels.h"
#include "bench/unmetered_engine.h"
#include "caisson/engine.h"
#include "caisson/linux.h"

namespace caisson::bench {
namespace {

constexpr std::size_t kFileSize = std::size_t{1} << 20;
constexpr std::size_t kPeriod = 251;

// The program as a process, by itself or under a peer, which is asked through pipes and takes the time by its own clock.
class ProcessEngine : public SystemCallEngine {
 public:
  static Result<std::unique_ptr<SystemCallEngine>> make_native(const SystemCallFiles& files) {
    return start({files.native_path}, files);
  }

  static Result<std::unique_ptr<SystemCallEngine>> make_qemu(const SystemCallFiles& files) {
    const auto emulator = find_program("qemu-riscv64");
    if (!emulator) return fail(ErrorCode::kNotFound, needs_program("qemu-riscv64"));
    return start({emulator->string(), files.guest_path}, files);
  }

  // The host's program in a sandbox that stops it at each call by ptrace. That it is installed does not say that it works here.
  static Result<std::unique_ptr<SystemCallEngine>> make_gvisor(const SystemCallFiles& files) {
    const auto sandbox = find_program("runsc");
    if (!sandbox) return fail(ErrorCode::kNotFound, needs_program("runsc"));
    auto engine =
        start({sandbox->string(), "--platform=ptrace", "--rootless", "--network=none", "do", files.native_path}, files);
    if (!engine) return engine;
    const auto tried = (*engine)->run({SystemCallKind::kClose, 0, 1});
    if (!tried || tried->wrong != 0) {
      return fail(ErrorCode::kUnsupported, fmt::format("needs runsc to run programs here, and it {}",
                                                       tried ? "does so wrongly" : tried.error().message));
    }
    return engine;
  }

  explicit ProcessEngine(ChildProcess process) : process_(std::move(process)) {}

  Result<SystemCallSample> run(const SystemCallRequest& request) override {
    const std::uint64_t words[3] = {static_cast<std::uint64_t>(request.kind), request.size, request.count};
    std::uint8_t bytes[sizeof words], reply[16];
    std::memcpy(bytes, words, sizeof words);
    if (const auto sent = process_.write(bytes); !sent) return std::unexpected(sent.error());
    if (const auto received = process_.read(reply); !received) return std::unexpected(received.error());
    std::uint64_t answer[2];
    std::memcpy(answer, reply, sizeof answer);
    return SystemCallSample{static_cast<double>(answer[0]), static_cast<std::int64_t>(answer[1])};
  }

 private:
  static Result<std::unique_ptr<SystemCallEngine>> start(std::vector<std::string> command,
                                                         const SystemCallFiles& files) {
    for (const std::string& word : {files.read_path, files.write_path, std::string("serve")}) command.push_back(word);
    auto process = ChildProcess::start(command);
    if (!process) return std::unexpected(process.error());
    return std::make_unique<ProcessEngine>(*std::move(process));
  }

  ChildProcess process_;
};

// The program as a guest of this process, whose functions are called.
class GuestEngine : public SystemCallEngine {
 public:
  template <Tier kTier>
  static Result<std::unique_ptr<SystemCallEngine>> make_direct(const SystemCallFiles& files) {
    return make(Engine::create(), kTier, nullptr, files);
  }

  static Result<std::unique_ptr<SystemCallEngine>> make_unmetered(const SystemCallFiles& files) {
    return make(make_unmetered_engine(), Tier::kOptimized, nullptr, files);
  }

  // Asked at every call, and passes all of them on.
  template <Tier kTier>
  static Result<std::unique_ptr<SystemCallEngine>> make_interposed(const SystemCallFiles& files) {
    return make(
        Engine::create(), kTier,
        [](Caller&, std::uint64_t, SystemCallArguments) { return std::optional<std::int64_t>(); }, files);
  }

  explicit GuestEngine(Instance instance) : instance_(std::move(instance)) {}

  Result<SystemCallSample> run(const SystemCallRequest& request) override {
    const std::uint64_t arguments[] = {static_cast<std::uint64_t>(request.kind), request.size, request.count};
    // With a limited amount of gas, more than any request takes: what is measured is metered.
    constexpr std::uint64_t kGas = std::uint64_t{1} << 50;
    const bool checks = request.count == 0;
    const double begin = thread_nanoseconds();
    const auto result =
        instance_.invoke(checks ? "check" : "measure", std::span(arguments).first(checks ? 2 : 3), kGas);
    const double nanoseconds = thread_nanoseconds() - begin;
    if (!result) return std::unexpected(result.error());
    if (!result->ok() || result->exit_reason == ExitReason::kHalt) {
      return fail(ErrorCode::kInternal,
                  fmt::format("ended with {} at {:#x}", to_string(result->exit_reason), result->exit_arg));
    }
    return SystemCallSample{nanoseconds, static_cast<std::int64_t>(result->return_value)};
  }

 private:
  static Result<std::unique_ptr<SystemCallEngine>> make(const Result<Engine>& engine, Tier tier,
                                                        SystemCallInterposer interposer, const SystemCallFiles& files) {
    if (!engine) return std::unexpected(engine.error());
    const auto module = engine->load_bytes(system_calls_guest(), "system_calls");
    if (!module) return std::unexpected(module.error());
    LinuxOptions linux_options;
    linux_options.program = "/system_calls";
    linux_options.arguments = {"system_calls", files.read_path, files.write_path};
    linux_options.directories = {{.host = files.folder(), .guest = files.folder()}};
    auto personality = make_linux_personality(std::move(linux_options));
    if (!personality) return std::unexpected(personality.error());
    auto instance = engine->instantiate(
        *module, {.tier = tier, .personality = *std::move(personality), .interposer = std::move(interposer)});
    if (!instance) return std::unexpected(instance.error());
    return std::make_unique<GuestEngine>(*std::move(instance));
  }

  Instance instance_;
};

}  // namespace

Result<SystemCallFiles> SystemCallFiles::create() {
  auto folder = ProgramFolder::create();
  if (!folder) return std::unexpected(folder.error());
  std::vector<std::uint8_t> bytes(kFileSize);
  for (std::size_t index = 0; index < bytes.size(); ++index) bytes[index] = static_cast<std::uint8_t>(index % kPeriod);
  SystemCallFiles files(*std::move(folder));
  struct File {
    std::string_view name;
    std::span<const std::uint8_t> bytes;
    std::string SystemCallFiles::* path;
  };
  for (const File& file : {File{"read", bytes, &SystemCallFiles::read_path},
                           {"write", bytes, &SystemCallFiles::write_path},
                           {"native", system_calls_native(), &SystemCallFiles::native_path},
                           {"guest", system_calls_guest(), &SystemCallFiles::guest_path}}) {
    auto path = files.folder_.add(file.name, file.bytes);
    if (!path) return std::unexpected(path.error());
    files.*file.path = *std::move(path);
  }
  return files;
}

std::span<const SystemCallEngineKind> system_call_engines() {
  static const SystemCallEngineKind kEngines[] = {
      {"native", ProcessEngine::make_native},
      {"baseline", GuestEngine::make_direct<Tier::kBaseline>},
      {"optimized", GuestEngine::make_direct<Tier::kOptimized>},
      {"optimized-no-gas", GuestEngine::make_unmetered},
      {"auto", GuestEngine::make_direct<Tier::kAuto>},
      {"interp", GuestEngine::make_direct<Tier::kInterp>},
      {"baseline-interposed", GuestEngine::make_interposed<Tier::kBaseline>},
      {"qemu-riscv64", ProcessEngine::make_qemu},
      {"gvisor-ptrace", ProcessEngine::make_gvisor},
  };
  return kEngines;
}

}  // namespace caisson::bench
