// caisson run: one riscv64 Linux program, from its file to its exit status.
#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caisson/engine.h"
#include "caisson/kernel.h"
#include "caisson/linux.h"
#include "command_line.h"
#include "counted_runs.h"
#include "exit_status.h"
#include "guest_options.h"
#include "guest_program.h"
#include "run_stats.h"
#include "store_capabilities.h"
#include "verb.h"

namespace caisson::cli {
namespace {

constexpr VerbText kText = {
    .name = "run",
    .summary =
        "Runs a riscv64 Linux program. Options behind PROGRAM are the program's.\n"
        "With --seal-at it stops half-way and goes into the store; --open goes on with it, here or in another process.",
    .usage = "[OPTIONS] PROGRAM [ARGUMENT…]\n       caisson run --open=HASH [OPTIONS]",
    .example = "caisson run --root=build/debian-riscv64 --gas=1000000000 lua5.4 -e 'print(6 * 7)'",
};

struct RunOptions {
  GuestOptions guest;
  LinuxOptions personality;
  std::optional<std::uint64_t> seal_at;  // gas
  std::optional<Hash> opened;
  std::string store;
};

void add_run_options(CLI::App& app, RunOptions& options) {
  add_guest_options(app, options.guest);
  add_program_options(app, options.personality);
}

Result<std::shared_ptr<CapabilityStore>> open_store(RunOptions& options, bool create) {
  if (const Result<void> resolved = resolve_store_directory(options.store); !resolved)
    return std::unexpected(resolved.error());
  return CapabilityStore::open(capability_directory(options.store), {.create = create});
}

// Where the run stopped at the gas of --seal-at: the program goes into the store instead of to its end.
int seal(Instance& instance, RunOptions& options) {
  const auto store = open_store(options, true);
  if (!store) return report_error(kText.name, store.error().to_string());
  const Result<Hash> sealed = seal_program(instance, **store);
  if (!sealed) return report_error(kText.name, sealed.error().to_string());
  fmt::print(stderr, "caisson: sealed at gas {}, go on with caisson run --open={}\n", instance.gas_used(),
             sealed->to_string());
  return 0;
}

int end_run(Instance& instance, const InvocationResult& result, const runtime::Personality* personality,
            const RunOptions& options, const RunClock& clock) {
  const int status = report_run_end({result, instance.program_counter(), instance.gas_used(), instance.host_error()});
  print_stats(options.guest.stats, instance, personality, result, clock);
  return status;
}

int open_and_run(RunOptions options) {
  const RunClock clock;
  const Result<Engine> engine = Engine::create(engine_options(options.guest));
  if (!engine) return report_error(kText.name, engine.error().to_string());
  const auto store = open_store(options, false);
  if (!store) return report_error(kText.name, store.error().to_string());
  Result<std::shared_ptr<runtime::Personality>> personality = make_linux_personality(std::move(options.personality));
  if (!personality) return report_error(kText.name, personality.error().to_string());
  options.guest.instance.personality = *personality;
  Result<Instance> instance = open_program(*engine, **store, *options.opened, options.guest.instance);
  if (!instance) return report_error(kText.name, instance.error().to_string());
  if (options.guest.timeout) instance->set_deadline(Instance::Clock::now() + *options.guest.timeout);
  const Result<InvocationResult> result = instance->resume(options.seal_at.value_or(options.guest.instance.gas));
  if (!result) return report_error(kText.name, result.error().to_string());
  if (options.seal_at && result->exit_reason == ExitReason::kOutOfGas) return seal(*instance, options);
  const int status = end_run(*instance, *result, personality->get(), options, clock);
  std::fflush(nullptr);
  std::_Exit(status);
}

RunStatus run_program(const std::string& name, RunOptions options) {
  const RunClock clock;
  if (const Result<void> listed = list_compiled_code(options.guest.listing); !listed)
    return std::unexpected(report_error(kText.name, listed.error().to_string()));
  Result<Engine> engine = Engine::create(engine_options(options.guest));
  if (!engine) return std::unexpected(report_error(kText.name, engine.error().to_string()));
  Result<LoadedProgram> program = load_program(*engine, name, std::move(options.personality));
  if (!program) return std::unexpected(report_program_error(kText.name, program.error()));
  Result<std::shared_ptr<runtime::Personality>> personality = make_linux_personality(std::move(program->options));
  if (!personality) return std::unexpected(report_error(kText.name, personality.error().to_string()));
  options.guest.instance.personality = *personality;
  if (options.seal_at) options.guest.instance.gas = *options.seal_at;

  Result<Instance> instance = engine->instantiate(program->module, options.guest.instance);
  if (!instance) return std::unexpected(report_error(kText.name, instance.error().to_string()));
  if (options.guest.timeout) instance->set_deadline(Instance::Clock::now() + *options.guest.timeout);
  const Result<InvocationResult> result = instance->start();
  if (!result) return std::unexpected(report_program_error(kText.name, result.error()));
  if (options.seal_at && result->exit_reason == ExitReason::kOutOfGas) return seal(*instance, options);
  const int status = end_run(*instance, *result, personality->get(), options, clock);
  if (options.guest.perf.counting) return status;  // another run may follow
  // The kernel takes windows, pages and descriptors back faster than destructors would give them back one by one.
  std::fflush(nullptr);
  std::_Exit(status);
}

}  // namespace

int run_verb(const Arguments& arguments) {
  CommandLine command_line(kText, CommandLine::Operands::kCommand);
  RunOptions options;
  add_run_options(command_line.app(), options);
  add_perf_options(command_line.app(), options.guest.perf, arguments);
  std::string seal_at, opened;
  command_line.app()
      .add_option("--seal-at", seal_at,
                  "stop when this much gas is used, and put the program as it is then into the store")
      ->each(convert_into(options.seal_at, parse_gas))
      ->type_name("GAS");
  command_line.app()
      .add_option("--open", opened, "go on with a program that --seal-at put into the store")
      ->each(convert_into(options.opened, [](const std::string& text) { return Hash::parse(text); }))
      ->type_name("HASH");
  add_store_option(command_line, options.store);
  if (const std::optional<int> status = command_line.parse(arguments)) return *status;
  if (const Result<void> checked = check_perf_options(options.guest.perf); !checked)
    return command_line.report_misuse(checked.error().message);
  if (options.opened) {
    if (!command_line.operands().empty())
      return command_line.report_misuse("--open goes on with a program: there is no PROGRAM to name");
    if (options.guest.perf.counting) return command_line.report_misuse("--perf runs a program from its beginning");
    return open_and_run(std::move(options));
  }
  if (command_line.operands().empty()) return command_line.report_misuse("PROGRAM is missing");
  options.personality.arguments = command_line.operands();
  const std::string& program = command_line.operands().front();
  if (options.guest.perf.counting) {
    if (options.seal_at) return command_line.report_misuse("--perf runs a program to its end, --seal-at does not");
    return run_counted(kText.name, options.guest.perf, [&] { return run_program(program, options); });
  }
  const RunStatus ended = run_program(program, std::move(options));
  return ended ? *ended : ended.error();
}

}  // namespace caisson::cli
