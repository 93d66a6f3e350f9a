// caisson run: one riscv64 Linux program, from its file to its exit status.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
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

constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct RunOptions {
  GuestOptions guest;
  LinuxOptions personality;
};

// A program ready to be instantiated: the module, and the options by which the guest sees it.
struct LoadedProgram {
  Module module;
  LinuxOptions options;
};

// HOST::GUEST or HOST::GUEST:ro
Result<LinuxDirectory> parse_directory(const std::string& text) {
  const std::size_t separator = text.find("::");
  if (separator == std::string::npos || separator == 0) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not HOST::GUEST or HOST::GUEST:ro", text));
  }
  LinuxDirectory directory{.host = text.substr(0, separator), .guest = text.substr(separator + 2), .read_only = false};
  if (directory.guest.ends_with(":ro")) {
    directory.read_only = true;
    directory.guest.resize(directory.guest.size() - 3);
  }
  return directory;
}

void add_run_options(CLI::App& app, RunOptions& options) {
  add_guest_options(app, options.guest);
  LinuxOptions& personality = options.personality;
  app.add_option("--root", personality.root, "host directory that is the guest's /")->type_name("DIR");
  app.add_option("--dir")
      ->type_name("HOST::GUEST[:ro]")
      ->description("host directory at a path of the guest's; may be repeated")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->each([&personality](const std::string& text) {
        convert_into(personality.directories.emplace_back(), parse_directory)(text);
      });
  app.add_option("--env")
      ->type_name("K=V")
      ->description("a variable of the guest's environment; may be repeated; it gets no others but PATH")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->each([&personality](const std::string& text) { personality.environment.push_back(text); });
  app.add_option("--workdir", personality.workdir, "the guest's working directory; default: /")->type_name("DIR");
}

// The value of PATH in the guest's environment, which gets one if it has none.
std::string search_path(std::vector<std::string>& environment) {
  constexpr std::string_view kName = "PATH=";
  for (const std::string& variable : environment) {
    if (variable.starts_with(kName)) return variable.substr(kName.size());
  }
  environment.push_back(fmt::format("{}{}", kName, kDefaultPath));
  return std::string(kDefaultPath);
}

// Where the guest would look for `name`: the path itself, or each directory of its PATH (empty: the working directory).
std::vector<std::string> guest_candidates(const std::string& name, const std::string& directories,
                                          const std::string& workdir) {
  const auto absolute = [&workdir](const std::string& path) {
    return path.starts_with('/') ? path : workdir + "/" + path;
  };
  if (name.find('/') != std::string::npos) return {absolute(name)};
  std::vector<std::string> candidates;
  for (std::size_t begin = 0; begin <= directories.size();) {
    const std::size_t end = std::min(directories.find(':', begin), directories.size());
    candidates.push_back(absolute(directories.substr(begin, end - begin) + (end > begin ? "/" : "") + name));
    begin = end + 1;
  }
  return candidates;
}

// The program beneath the guest's root; kNotFound where it has none of that name.
Result<LinuxProgram> find_guest_program(const std::string& name, LinuxOptions options, const std::string& directories) {
  if (options.root.empty() && options.directories.empty()) return fail(ErrorCode::kNotFound, "not found", name);
  Error first_error{ErrorCode::kNotFound, "not found", name};
  for (const std::string& candidate : guest_candidates(name, directories, options.workdir)) {
    options.program = candidate;
    Result<LinuxProgram> program = find_linux_program(options);
    if (program) return program;
    // As a shell does: a file that cannot be executed is told only if the search finds no other.
    if (first_error.code == ErrorCode::kNotFound && program.error().code != ErrorCode::kNotFound) {
      first_error = program.error();
    }
  }
  return std::unexpected(first_error);
}

// A guest path beneath the root if it exists there, else a host path.
Result<LoadedProgram> load_program(const Engine& engine, const std::string& name, LinuxOptions options) {
  const std::string directories = search_path(options.environment);
  Result<LinuxProgram> found = find_guest_program(name, options, directories);
  if (found) {
    Result<Module> module = engine.load(found->bytes, name);
    if (!module) return std::unexpected(module.error());
    return LoadedProgram{*std::move(module), std::move(found->options)};
  }
  if (found.error().code != ErrorCode::kNotFound) return std::unexpected(found.error());
  Result<Module> module = engine.load_file(name);
  if (!module) return std::unexpected(module.error());
  // The guest has no path to a host file: it sees the file's name in its own root.
  options.program = "/" + name.substr(name.rfind('/') + 1);
  return LoadedProgram{*std::move(module), std::move(options)};
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
