#include "linux/program_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "caisson/linux.h"
#include "linux/file_system.h"
#include "linux/host_descriptor.h"

namespace caisson::linux_personality {
namespace {

constexpr unsigned kDeepestScript = 4;
constexpr std::size_t kLongestFirstLine = 255;  // BINPRM_BUF_SIZE less the NUL

std::unexpected<Error> open_failure(std::int64_t status, const std::string& path) {
  const int error = static_cast<int>(-status);
  ErrorCode code = ErrorCode::kIo;
  if (error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG) code = ErrorCode::kNotFound;
  if (error == EACCES || error == EPERM) code = ErrorCode::kPermission;
  return fail(code, std::strerror(error), path);
}

struct ScriptLine {
  std::string interpreter;
  std::string argument;  // empty: none
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// The interpreter of a script, or nullopt for a file that is none. As on Linux everything behind the interpreter is one
// argument.
std::optional<ScriptLine> parse_script(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kMark = "#!";
  constexpr std::string_view kEnds("\n\0", 2);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kLongestFirstLine));
  if (!text.starts_with(kMark)) return std::nullopt;
  const std::string_view line = trim(text.substr(0, text.find_first_of(kEnds)).substr(kMark.size()));
  const std::string_view interpreter = line.substr(0, line.find_first_of(" \t"));
  return ScriptLine{std::string(interpreter), std::string(trim(line.substr(interpreter.size())))};
}

}  // namespace

Result<ProgramBytes> read_program(const FileSystem& file_system, const std::string& guest_path) {
  const std::int64_t opened = file_system.open_program(guest_path);
  if (opened < 0) return open_failure(opened, guest_path);
  const HostDescriptor descriptor(static_cast<int>(opened));
  return ProgramBytes::from_descriptor(descriptor.get(), guest_path);
}

}  // namespace caisson::linux_personality

namespace caisson {

using linux_personality::FileSystem;

Result<LinuxProgram> find_linux_program(const LinuxOptions& options) {
  const Result<FileSystem> file_system = FileSystem::create(options);
  if (!file_system) return std::unexpected(file_system.error());
  LinuxProgram program{{}, options};
  std::string& path = program.options.program;
  std::vector<std::string>& arguments = program.options.arguments;
  if (arguments.empty()) arguments.push_back(path);

  for (unsigned depth = 0; depth <= linux_personality::kDeepestScript; ++depth) {
    const std::string absolute = path.starts_with('/') ? path : linux_personality::join_path(options.workdir, path);
    Result<ProgramBytes> bytes = linux_personality::read_program(*file_system, absolute);
    if (!bytes) return std::unexpected(bytes.error());
    const std::optional<linux_personality::ScriptLine> script = linux_personality::parse_script(bytes->span());
    if (!script) {
      program.bytes = std::move(*bytes);
      return program;
    }
    if (script->interpreter.empty())
      return fail(ErrorCode::kNotExecutable, "a script whose first line names no interpreter", path);
    // argv[0] gives way to the interpreter, its argument and the script.
    std::vector<std::string> rewritten = {script->interpreter};
    if (!script->argument.empty()) rewritten.push_back(script->argument);
    rewritten.push_back(path);
    rewritten.insert(rewritten.end(), arguments.begin() + 1, arguments.end());
    arguments = std::move(rewritten);
    path = script->interpreter;
  }
  return fail(ErrorCode::kNotExecutable, "scripts that interpret scripts, more than four deep", options.program);
}

}  // namespace caisson
