// caisson compile: optimised code ahead of its need, into the store where later runs find it.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "caisson/artifact_store.h"
#include "caisson/jit_backend.h"
#include "command_line.h"
#include "exit_status.h"
#include "guest_options.h"
#include "guest_program.h"
#include "optimized/unit_compiler.h"
#include "progress_bar.h"
#include "runtime/guest_instance.h"
#include "runtime/unit_candidates.h"
#include "runtime/unit_source.h"
#include "verb.h"

namespace caisson::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr VerbText kText = {
    .name = "compile",
    .summary =
        "Compiles programs by the optimising tier and stores the code for later runs.\n"
        "Without \"--\": functions and loops of each PROGRAM and of its dynamic linker, those nearest to main first.\n"
        "With \"--\": runs PROGRAM with these arguments and compiles what was hot, libraries included, hottest first.",
    .usage = "[OPTIONS] PROGRAM…\n       caisson compile [OPTIONS] PROGRAM -- [ARGUMENT…]",
    .example =
        "caisson compile --units=200 ./server\n"
        "         caisson compile --root=build/debian-riscv64 python3 -- -c 'print(sum(range(10**6)))'",
};

struct CompileOptions {
  LinuxOptions personality;
  std::string artifacts;  // empty: the default directory
  std::size_t most_units = 1000;
  std::chrono::nanoseconds timeout = std::chrono::seconds(120);
  std::optional<std::chrono::nanoseconds> run_timeout;
};

// Set by the first interrupt from the terminal; the second one ends the process at once, as without us.
std::atomic<bool> is_stopped{false};
static_assert(std::atomic<bool>::is_always_lock_free);
// Whose run the first one ends.
std::atomic<Instance*> running{nullptr};

void note_stop(int signal) {
  is_stopped = true;
  if (Instance* const instance = running; instance != nullptr) instance->interrupt();
  std::signal(signal, SIG_DFL);
}

// What became of units.
struct Tally {
  std::atomic<std::uint64_t> compiled{0}, loaded{0}, refused{0}, code_bytes{0}, store_failures{0};
  std::uint64_t there = 0, asked = 0, left = 0;
};

Result<JitBackend> make_backend(const std::string& directory, Tally& tally) {
  Result<std::shared_ptr<ArtifactStore>> store = open_artifact_store(directory);
  if (!store) return std::unexpected(store.error());
  RuntimeConfig config = runtime::backend_config({}, *std::move(store));
  config.tuning.worker_count = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 64);
  config.on_compilation = [&tally](const CompilationReport& report) {
    if (!report.outcome) {
      ++tally.refused;
    } else if (report.from_store) {
      ++tally.loaded;
    } else {
      ++tally.compiled;
      tally.code_bytes += report.code_bytes;
    }
  };
  return JitBackend::create(std::move(config));
}

// Hands places of one program to the backend, a few at a time, and waits for them.
class UnitFeeder {
 public:
  UnitFeeder(const JitBackend& backend, Tally& tally, Clock::time_point deadline)
      : backend_(backend), tally_(tally), deadline_(deadline) {}

  // Until `most` units of this process were asked for.
  void feed(const memory::AddressSpace& memory, const std::vector<std::uint32_t>& places, std::size_t most,
            std::string_view name) {
    name_ = name;
    count_ = places.size();
    fed_ = 0;
    std::unordered_set<std::uint32_t> seen;
    for (const std::uint32_t pc : places) {
      if (tally_.asked >= most || !wait_for(kMostPending)) break;
      ++fed_;
      if (!seen.insert(pc).second) continue;
      std::optional<runtime::UnitSource> source = runtime::unit_source(memory, pc);
      if (!source) continue;
      if (backend_.get_compiled(source->input.key) != nullptr) {
        ++tally_.there;
        continue;
      }
      ++tally_.asked;
      const CompileRequest request(std::move(source->input));
      backend_.prepare_aot_batch({&request, 1});
    }
    tally_.left += count_ - fed_;
    count_ = fed_;
    wait_for(0);
    bar_.clear();
  }

 private:
  // Each holds a copy of its code.
  static constexpr std::uint64_t kMostPending = 64;

  // Until no more than so many are pending. False where there is no time left, or nobody wants to wait.
  bool wait_for(std::uint64_t most_pending) {
    for (;;) {
      if (is_stopped || Clock::now() >= deadline_) return false;
      const RuntimeStatsSnapshot stats = backend_.stats();
      const std::uint64_t pending = stats.pending_jobs + stats.commands_waiting;
      bar_.show(name_, fed_ - std::min<std::uint64_t>(fed_, pending), count_);
      if (pending <= most_pending) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  const JitBackend& backend_;
  Tally& tally_;
  const Clock::time_point deadline_;
  ProgressBar bar_;
  std::string_view name_;
  std::size_t fed_ = 0, count_ = 0;
};

struct LiveProgram {
  Instance instance;
  std::shared_ptr<runtime::Personality> personality;
};

Result<LiveProgram> instantiate(const Engine& engine, const std::string& name, LinuxOptions options) {
  Result<LoadedProgram> program = load_program(engine, name, std::move(options));
  if (!program) return std::unexpected(program.error());
  auto personality = make_linux_personality(std::move(program->options));
  if (!personality) return std::unexpected(personality.error());
  Result<Instance> instance = engine.instantiate(program->module, {.personality = *personality});
  if (!instance) return std::unexpected(instance.error());
  return LiveProgram{*std::move(instance), *std::move(personality)};
}

// Of a program that was loaded and has not run.
std::vector<std::uint32_t> places_of(Instance& instance) {
  runtime::GuestInstance& guest = instance.guest();
  const image::ElfImage& elf = guest.module().elf;
  const auto address_of = [&](std::uint64_t address) {
    return static_cast<std::uint32_t>(address + guest.load_bias());
  };
  std::vector<std::uint32_t> functions = {static_cast<std::uint32_t>(instance.program_counter()),
                                          address_of(elf.entry)};
  std::vector<std::uint32_t> roots;
  for (const image::FunctionSymbol& function : elf.functions) {
    functions.push_back(address_of(function.address));
    if (function.name == "main") roots.push_back(functions.back());
  }
  if (roots.empty()) roots.push_back(address_of(elf.entry));
  std::vector<std::uint32_t> places;
  for (const runtime::UnitCandidate& candidate : runtime::find_unit_candidates(guest.memory(), functions, roots))
    places.push_back(candidate.pc);
  return places;
}

std::vector<std::uint32_t> hot_places_of(Instance& instance) {
  std::vector<std::uint32_t> places;
  for (const runtime::HotPlace& place : instance.guest().execution().hot_places()) places.push_back(place.pc);
  return places;
}

// Loads `name`, and with arguments runs it; gives what is to be compiled of it.
Result<std::vector<std::uint32_t>> find_places(Instance& instance, bool runs) {
  if (!runs) instance.interrupt();  // loaded, and stopped before its first instruction
  running = runs ? &instance : nullptr;
  const Result<InvocationResult> result = instance.start();
  running = nullptr;
  if (!result) return std::unexpected(result.error());
  return runs ? hot_places_of(instance) : places_of(instance);
}

int report(const Tally& tally, const std::string& directory, Clock::time_point began) {
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  fmt::print(stderr,
             "caisson: {}: {} units compiled, {} already there, {} refused, {} left; {} bytes of code, {:.1f} s\n",
             directory, tally.compiled.load(), tally.there + tally.loaded, tally.refused.load(), tally.left,
             tally.code_bytes.load(), seconds);
  return is_stopped ? kSignalStatusBase + SIGINT : 0;
}

int compile(const std::vector<std::string>& programs, const std::optional<std::vector<std::string>>& arguments,
            CompileOptions options) {
  const Clock::time_point began = Clock::now();
  if (const auto compiler = optimized::load_unit_compiler(); !compiler)
    return report_error(kText.name, compiler.error().to_string());
  if (options.artifacts.empty()) {
    Result<std::string> directory = default_artifact_directory();
    if (!directory) return report_error(kText.name, directory.error().to_string());
    options.artifacts = *std::move(directory);
  }
  Tally tally;
  Result<JitBackend> made = make_backend(options.artifacts, tally);
  if (!made) return report_error(kText.name, made.error().to_string());
  const auto backend = std::make_shared<const JitBackend>(*std::move(made));
  Result<Engine> engine = Engine::create({.jit = backend, .idle_windows = 0});
  if (!engine) return report_error(kText.name, engine.error().to_string());
  std::signal(SIGINT, &note_stop);
  std::signal(SIGTERM, &note_stop);

  for (const std::string& name : programs) {
    LinuxOptions personality = options.personality;
    personality.arguments = {name};
    if (arguments) personality.arguments.insert(personality.arguments.end(), arguments->begin(), arguments->end());
    Result<LiveProgram> program = instantiate(*engine, name, std::move(personality));
    if (!program) return report_program_error(kText.name, program.error());
    if (options.run_timeout) program->instance.set_deadline(Clock::now() + *options.run_timeout);
    const Result<std::vector<std::uint32_t>> places = find_places(program->instance, arguments.has_value());
    if (!places) return report_program_error(kText.name, places.error());
    UnitFeeder feeder(*backend, tally, Clock::now() + options.timeout);
    feeder.feed(program->instance.guest().memory(), *places, options.most_units, name.substr(name.rfind('/') + 1));
  }
  const int status = report(tally, options.artifacts, began);
  const RuntimeStatsSnapshot stats = backend->stats();
  if (stats.store_failures != 0)
    return report_error(kText.name,
                        fmt::format("{}: {} units could not be stored", options.artifacts, stats.store_failures));
  if (tally.refused != 0 && tally.compiled + tally.there + tally.loaded == 0)
    return report_error(kText.name, "nothing of it could be compiled");
  // As run: nothing is waited for that is not wanted.
  std::fflush(nullptr);
  std::_Exit(status);
}

}  // namespace

int compile_verb(const Arguments& words) {
  CommandLine command_line(kText, CommandLine::Operands::kMixed);
  CompileOptions options;
  CLI::App& app = command_line.app();
  app.add_option("--artifacts", options.artifacts, "the store; default: caisson store's directory")->type_name("DIR");
  app.add_option("--units", options.most_units, "compile so many units at most")->type_name("N")->capture_default_str();
  app.add_option("--timeout")
      ->type_name("SECONDS")
      ->description("of compiling each program, behind its run; default: 120")
      ->each(convert_into(options.timeout, parse_seconds));
  app.add_option("--run-timeout")
      ->type_name("SECONDS")
      ->description("end the run behind \"--\" after this time, and compile what was hot until then")
      ->each(convert_into(options.run_timeout, parse_seconds));
  add_program_options(app, options.personality);

  const auto separator = std::ranges::find(words, "--");
  if (const std::optional<int> status = command_line.parse(Arguments(words.begin(), separator))) return *status;
  std::optional<std::vector<std::string>> arguments;
  if (separator != words.end()) arguments.emplace(separator + 1, words.end());
  const std::vector<std::string>& programs = command_line.operands();
  if (programs.empty()) return command_line.report_misuse("PROGRAM is missing");
  if (arguments && programs.size() != 1) return command_line.report_misuse("one PROGRAM stands before \"--\"");
  return compile(programs, arguments, std::move(options));
}

}  // namespace caisson::cli
