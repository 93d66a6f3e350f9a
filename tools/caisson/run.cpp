// caisson run: one riscv64 Linux program, from its file to its exit status.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caisson/engine.h"
#include "caisson/linux.h"
#include "command_line.h"
#include "exit_status.h"
#include "guest_options.h"
#include "guest_program.h"
#include "run_stats.h"
#include "verb.h"

namespace caisson::cli {
namespace {

constexpr VerbText kText = {
    .name = "run",
    .summary = "Runs a riscv64 Linux program. Options behind PROGRAM are the program's.",
    .usage = "[OPTIONS] PROGRAM [ARGUMENT…]",
    .example = "caisson run --root=build/debian-riscv64 --gas=1000000000 lua5.4 -e 'print(6 * 7)'",
};

struct RunOptions {
  GuestOptions guest;
  LinuxOptions personality;
};

void add_run_options(CLI::App& app, RunOptions& options) {
  add_guest_options(app, options.guest);
  add_program_options(app, options.personality);
}

int run_program(const std::string& name, RunOptions options) {
  const RunClock clock;
  if (const Result<void> listed = list_compiled_code(options.guest.listing); !listed)
    return report_error(kText.name, listed.error().to_string());
  Result<Engine> engine = Engine::create(engine_options(options.guest));
  if (!engine) return report_error(kText.name, engine.error().to_string());
  Result<LoadedProgram> program = load_program(*engine, name, std::move(options.personality));
  if (!program) return report_program_error(kText.name, program.error());
  Result<std::shared_ptr<runtime::Personality>> personality = make_linux_personality(std::move(program->options));
  if (!personality) return report_error(kText.name, personality.error().to_string());
  options.guest.instance.personality = *personality;

  Result<Instance> instance = engine->instantiate(program->module, options.guest.instance);
  if (!instance) return report_error(kText.name, instance.error().to_string());
  if (options.guest.timeout) instance->set_deadline(Instance::Clock::now() + *options.guest.timeout);
  const Result<InvocationResult> result = instance->start();
  if (!result) return report_program_error(kText.name, result.error());

  const int status =
      report_run_end({*result, instance->program_counter(), instance->gas_used(), instance->host_error()});
  print_stats(options.guest.stats, *instance, personality->get(), *result, clock);
  // The kernel takes windows, pages and descriptors back faster than destructors would give them back one by one.
  std::fflush(nullptr);
  std::_Exit(status);
}

}  // namespace

int run_verb(const Arguments& arguments) {
  CommandLine command_line(kText, CommandLine::Operands::kCommand);
  RunOptions options;
  add_run_options(command_line.app(), options);
  if (const std::optional<int> status = command_line.parse(arguments)) return *status;
  if (command_line.operands().empty()) return command_line.report_misuse("PROGRAM is missing");
  options.personality.arguments = command_line.operands();
  return run_program(command_line.operands().front(), std::move(options));
}

}  // namespace caisson::cli
