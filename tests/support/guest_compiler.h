// Compiles guest programs for tests with the riscv64 compiler of the machine.
//
//   if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
//   const auto program = test::compile_guest({{"main.c", "int main(void) { return 42; }"}}, {"-static"});
//   ASSERT_TRUE(program) << program.error().to_string();
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "caisson/result.h"

namespace caisson::test {

// One source file of a guest; the suffix of its name (.c, .cpp, .S) chooses the language.
struct GuestSource {
  std::string name;
  std::string text;
};

inline constexpr char kNoGuestCompiler[] = "riscv64-linux-gnu-gcc and g++ are not installed (make deps)";

bool has_guest_compiler();

// The linked program, made from `sources` with `options` in a folder of its own that is gone afterwards. Headers of guest/sdk and
// tests/support/guest are found. An Error carries what the compiler said.
Result<std::vector<std::uint8_t>> compile_guest(std::span<const GuestSource> sources,
                                                std::span<const std::string> options);

inline Result<std::vector<std::uint8_t>> compile_guest(std::initializer_list<GuestSource> sources,
                                                       std::initializer_list<std::string> options) {
  return compile_guest(std::span(sources.begin(), sources.size()), std::span(options.begin(), options.size()));
}

// Replaces the file at `path` by `bytes`.
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

// What `command` writes, standard error included; an Error where it cannot be started or does not exit with 0.
Result<std::string> output_of(const std::string& command);

// A new folder under the machine's temporary one, removed with what it holds at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace caisson::test
