#include "guest_program.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace caisson::cli {
namespace {

constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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

}  // namespace

void add_program_options(CLI::App& app, LinuxOptions& options) {
  app.add_option("--root", options.root, "host directory that is the guest's /")->type_name("DIR");
  app.add_option("--dir")
      ->type_name("HOST::GUEST[:ro]")
      ->description("host directory at a path of the guest's; may be repeated")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->each([&options](const std::string& text) {
        convert_into(options.directories.emplace_back(), parse_directory)(text);
      });
  app.add_option("--env")
      ->type_name("K=V")
      ->description("a variable of the guest's environment; may be repeated; it gets no others but PATH")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->each([&options](const std::string& text) { options.environment.push_back(text); });
  app.add_option("--workdir", options.workdir, "the guest's working directory; default: /")->type_name("DIR");
}

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

}  // namespace caisson::cli
