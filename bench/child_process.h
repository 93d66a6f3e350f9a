// Host processes of the suites: peers, and `caisson run` itself. Every wait is bounded.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "caisson/result.h"

namespace caisson::bench {

// A running program with its standard input and output at our end of two pipes. Killed and reaped at the end of its life.
class ChildProcess {
 public:
  // arguments[0] is looked up in PATH. Errors: kIo.
  static Result<ChildProcess> start(const std::vector<std::string>& arguments);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  // Errors: kIo where the program ended or took longer than kPatience.
  Result<void> write(std::span<const std::uint8_t> bytes);
  Result<void> read(std::span<std::uint8_t> bytes);

  static constexpr std::chrono::seconds kPatience{120};

 private:
  ChildProcess(pid_t process, int input, int output) : process_(process), input_(input), output_(output) {}
  pid_t process_;
  int input_, output_;
};

// Runs a program to its end. Its output is dropped, or collected (up to 64 KiB) where `output` is given.
// The result is the wall time from before its start to its end. Errors: kIo where it could not start, did not end within
// ChildProcess::kPatience, or ended otherwise than with status 0.
Result<std::chrono::nanoseconds> time_process(const std::vector<std::string>& arguments, std::string* output = nullptr);

// The same of several programs that take turns, `runs` times each: nanoseconds by program.
Result<std::vector<std::vector<double>>> time_in_turns(const std::vector<std::vector<std::string>>& commands,
                                                       std::size_t runs);

// The full path of a program in PATH; nothing where there is none.
std::optional<std::filesystem::path> find_program(std::string_view name);

// Why an engine is absent that a program in PATH would be.
std::string needs_program(std::string_view name);

// The file of the program that runs. Errors: kIo.
Result<std::string> own_program();

// A folder for programs that others are to run; removed with what it holds.
class ProgramFolder {
 public:
  static Result<ProgramFolder> create();
  ProgramFolder(ProgramFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  ProgramFolder& operator=(ProgramFolder&&) = delete;
  ~ProgramFolder();

  // Writes an executable file; returns its path. Errors: kIo.
  Result<std::string> add(std::string_view name, std::span<const std::uint8_t> bytes) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ProgramFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace caisson::bench
