#include "support/guest_compiler.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

namespace caisson::test {
namespace {

Result<std::vector<std::uint8_t>> read_whole_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return fail(ErrorCode::kIo, "cannot be read", path.string());
  return std::vector<std::uint8_t>(std::istreambuf_iterator<char>(stream), {});
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "caisson-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!stream.flush()) throw std::system_error(EIO, std::generic_category(), path.string());
}

Result<std::string> output_of(const std::string& command) {
  std::FILE* pipe = popen(fmt::format("{{ {} ; }} 2>&1", command).c_str(), "r");
  if (pipe == nullptr) return fail(ErrorCode::kIo, "cannot start a shell", command);
  std::string output;
  std::array<char, 4096> chunk;
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), pipe)) output.append(chunk.data(), count);
  const int status = pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(ErrorCode::kIo, output, command);
  return output;
}

bool has_guest_compiler() {
  static const bool found = output_of("riscv64-linux-gnu-gcc --version && riscv64-linux-gnu-g++ --version").has_value();
  return found;
}

Result<std::vector<std::uint8_t>> compile_guest(std::span<const GuestSource> sources,
                                                std::span<const std::string> options) {
  const TemporaryFolder folder;
  const std::filesystem::path program = folder.path() / "program";
  std::string files;
  bool is_cpp = false;
  for (const GuestSource& source : sources) {
    const std::filesystem::path path = folder.path() / source.name;
    std::ofstream(path) << source.text;
    files += fmt::format(" {}", path.string());
    is_cpp = is_cpp || path.extension() == ".cpp";
  }
  const auto said = output_of(
      fmt::format("riscv64-linux-gnu-{0} -I{1}/guest/sdk/include -I{1}/tests/support/guest {2}{3} -o {4}",
                  is_cpp ? "g++" : "gcc", CAISSON_SOURCE_DIR, fmt::join(options, " "), files, program.string()));
  if (!said) return std::unexpected(said.error());
  return read_whole_file(program);
}

}  // namespace caisson::test
