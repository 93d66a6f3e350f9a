#include "bench/compute_engines.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "bench/child_process.h"
#include "bench/clock.h"
#include "bench/unmetered_engine.h"
#include "caisson/engine.h"

namespace caisson::bench {
namespace {

class NativeEngine : public ComputeEngine {
 public:
  static Result<std::unique_ptr<ComputeEngine>> make(const Kernel& kernel) {
    return std::make_unique<NativeEngine>(kernel.native);
  }
  explicit NativeEngine(std::uint64_t (*function)(std::uint64_t)) : function_(function) {}

  Result<ComputeSample> run(std::uint64_t rounds) override {
    const double begin = thread_nanoseconds();
    const std::uint64_t checksum = function_(rounds);
    return ComputeSample{thread_nanoseconds() - begin, checksum};
  }

 private:
  std::uint64_t (*function_)(std::uint64_t);
};

class CaissonEngine : public ComputeEngine {
 public:
  template <Tier kTier>
  static Result<std::unique_ptr<ComputeEngine>> make(const Kernel& kernel) {
    return make_on(kTier, Engine::create(), kernel);
  }
  // The difference to the tier is what metering costs.
  static Result<std::unique_ptr<ComputeEngine>> make_unmetered(const Kernel& kernel) {
    return make_on(Tier::kOptimized, make_unmetered_engine(), kernel);
  }
  static Result<std::unique_ptr<ComputeEngine>> make_on(Tier tier, const Result<Engine>& engine, const Kernel& kernel) {
    if (!engine) return std::unexpected(engine.error());
    const auto module = engine->load_bytes(kernel.guest, std::string(kernel.name));
    if (!module) return std::unexpected(module.error());
    auto instance = engine->instantiate(*module, {.tier = tier});
    if (!instance) return std::unexpected(instance.error());
    return std::make_unique<CaissonEngine>(*engine, *std::move(instance));
  }
  CaissonEngine(Engine engine, Instance instance) : engine_(std::move(engine)), instance_(std::move(instance)) {}

  // With a limited amount of gas, more than any kernel takes: what is measured is metered.
  Result<ComputeSample> run(std::uint64_t rounds) override {
    constexpr std::uint64_t kGas = std::uint64_t{1} << 50;
    const double begin = thread_nanoseconds();
    const auto result = instance_.invoke("run", std::span(&rounds, 1), kGas);
    const double nanoseconds = thread_nanoseconds() - begin;
    if (!result) return std::unexpected(result.error());
    if (!result->ok()) {
      return fail(ErrorCode::kInternal,
                  fmt::format("ended with {} at {:#x}", to_string(result->exit_reason), result->exit_arg));
    }
    return ComputeSample{nanoseconds, result->return_value};
  }

  // With the tier `auto`, what gets hot is compiled beside the guest, and more of it gets hot when that is there.
  Result<void> warm_up(std::uint64_t rounds) override {
    constexpr unsigned kQuietRuns = 4, kMostRuns = 64;
    std::uint64_t compiled = 0;
    for (unsigned made = 0, quiet = 0; made < kMostRuns && quiet < kQuietRuns; ++made) {
      if (const auto sample = run(rounds); !sample) return std::unexpected(sample.error());
      const auto jit = engine_.stats().jit;
      const bool is_quiet = !jit || (jit->pending_jobs == 0 && jit->compilations_succeeded == compiled);
      quiet = is_quiet ? quiet + 1 : 0;
      if (jit) compiled = jit->compilations_succeeded;
    }
    return {};
  }

 private:
  const Engine engine_;
  Instance instance_;
};

// A kernel in a peer's process, which stays up and reports what each run took by its own clock.
class ProcessEngine : public ComputeEngine {
 public:
  // Its Linux program under an emulator.
  static Result<std::unique_ptr<ComputeEngine>> make_qemu(const Kernel& kernel) {
    const auto emulator = find_program("qemu-riscv64");
    if (!emulator) return fail(ErrorCode::kNotFound, needs_program("qemu-riscv64"));
    auto folder = ProgramFolder::create();
    if (!folder) return std::unexpected(folder.error());
    const auto program = folder->add(kernel.name, kernel.timed_program);
    if (!program) return std::unexpected(program.error());
    return start({emulator->string(), *program}, *std::move(folder));
  }

  // Its WebAssembly in V8, compiled by the optimising compiler before the first run, as what has been hot for long would be.
  static Result<std::unique_ptr<ComputeEngine>> make_wasm(const Kernel& kernel) {
    if (kernel.wasm.empty()) {
      return fail(ErrorCode::kNotFound, "needs clang's target wasm32 and wasm-ld where caisson is built");
    }
    const auto node = find_program("node");
    if (!node) return fail(ErrorCode::kNotFound, needs_program("node"));
    auto folder = ProgramFolder::create();
    if (!folder) return std::unexpected(folder.error());
    const auto driver = folder->add("driver.js", wasm_driver());
    if (!driver) return std::unexpected(driver.error());
    const auto program = folder->add("kernel.wasm", kernel.wasm);
    if (!program) return std::unexpected(program.error());
    auto engine = start({node->string(), "--no-liftoff", *driver, *program}, *std::move(folder));
    if (!engine) return engine;
    // What is called node may be too old for the option, or something else.
    if (const auto tried = (*engine)->run(1); !tried) {
      return fail(ErrorCode::kNotFound,
                  fmt::format("needs node to run WebAssembly with --no-liftoff, and it {}", tried.error().message));
    }
    return engine;
  }

  ProcessEngine(ProgramFolder folder, ChildProcess process)
      : folder_(std::move(folder)), process_(std::move(process)) {}

  Result<ComputeSample> run(std::uint64_t rounds) override {
    std::uint8_t request[sizeof(rounds)];
    std::memcpy(request, &rounds, sizeof(rounds));
    if (const auto sent = process_.write(request); !sent) return std::unexpected(sent.error());
    std::uint8_t bytes[16];
    if (const auto received = process_.read(bytes); !received) return std::unexpected(received.error());
    std::uint64_t reply[2];
    std::memcpy(reply, bytes, sizeof(reply));
    return ComputeSample{static_cast<double>(reply[0]), reply[1]};
  }

 private:
  static Result<std::unique_ptr<ComputeEngine>> start(const std::vector<std::string>& command, ProgramFolder folder) {
    auto process = ChildProcess::start(command);
    if (!process) return std::unexpected(process.error());
    return std::make_unique<ProcessEngine>(std::move(folder), *std::move(process));
  }

  ProgramFolder folder_;
  ChildProcess process_;
};

}  // namespace

std::span<const ComputeEngineKind> compute_engines() {
  static const ComputeEngineKind kEngines[] = {
      {"native", NativeEngine::make},
      {"baseline", CaissonEngine::make<Tier::kBaseline>},
      {"optimized", CaissonEngine::make<Tier::kOptimized>},
      {"optimized-no-gas", CaissonEngine::make_unmetered},
      {"auto", CaissonEngine::make<Tier::kAuto>},
      {"interp", CaissonEngine::make<Tier::kInterp>},
      {"qemu-riscv64", ProcessEngine::make_qemu},
      {"wasm", ProcessEngine::make_wasm},
  };
  return kEngines;
}

}  // namespace caisson::bench
