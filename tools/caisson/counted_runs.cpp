#include "counted_runs.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "exit_status.h"

namespace caisson::cli {
namespace {

// The standard streams of the process, which the runs share and must find alike: a file on stdin is read from where it stood, any other
// input could be read only once and is empty instead, where there is more than one run; output shows once.
class RepeatedStreams {
 public:
  static Result<RepeatedStreams> open(perf::Mode mode) {
    RepeatedStreams streams;
    streams.is_single_ = mode == perf::Mode::kNested;
    streams.null_ = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (streams.null_ < 0) return fail(ErrorCode::kIo, std::strerror(errno), "/dev/null");
    for (int number = 0; number < kStreams; ++number) {
      const int copy = ::fcntl(number, F_DUPFD_CLOEXEC, kStreams);
      if (copy < 0) return fail(ErrorCode::kIo, std::strerror(errno), "standard streams");
      streams.saved_[static_cast<std::size_t>(number)] = copy;
    }
    struct stat status{};
    if (::fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode))
      streams.input_start_ = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
    return streams;
  }

  void begin_run(bool is_shown) {
    if (input_start_ >= 0) {
      ::lseek(STDIN_FILENO, input_start_, SEEK_SET);
    } else if (!is_single_) {
      ::dup2(null_, STDIN_FILENO);
    }
    if (is_shown) return;
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(null_, stream);
  }

  // The process has its own streams again.
  void end_run() {
    std::fflush(nullptr);
    for (int number = 0; number < kStreams; ++number) ::dup2(saved_[static_cast<std::size_t>(number)], number);
  }

 private:
  static constexpr int kStreams = 3;
  bool is_single_ = false;
  int null_ = -1;
  std::array<int, kStreams> saved_{};
  off_t input_start_ = -1;
};

std::string written(const perf::Report& report, PerfFormat format) {
  switch (format) {
    case PerfFormat::kText:
      return report.to_text();
    case PerfFormat::kJson:
      return report.to_json();
    case PerfFormat::kCsv:
      return report.to_csv();
  }
  return {};
}

Result<void> write_report(const std::string& text, const std::string& path) {
  std::FILE* const file = path.empty() ? stderr : std::fopen(path.c_str(), "we");
  if (file == nullptr) return fail(ErrorCode::kIo, std::strerror(errno), path);
  const bool complete = std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
  const int error = errno;
  if (file != stderr) std::fclose(file);
  if (!complete) return fail(ErrorCode::kIo, std::strerror(error), path.empty() ? "stderr" : path);
  return {};
}

}  // namespace

int run_counted(std::string_view verb, const PerfOptions& options, const std::function<RunStatus()>& run) {
  Result<RepeatedStreams> streams = RepeatedStreams::open(options.mode);
  if (!streams) return report_error(verb, streams.error().to_string());
  std::optional<int> first_status, other_status;
  std::optional<int> error_status;
  const auto run_again = [&]() -> Result<void> {
    streams->begin_run(!first_status);
    const RunStatus ended = run();
    streams->end_run();
    if (!ended) {
      error_status = ended.error();
      return fail(ErrorCode::kInternal, "the program could be run once, and not again");
    }
    if (!first_status) first_status = *ended;
    if (*ended != *first_status) other_status = *ended;
    return {};
  };
  const Result<perf::Report> report = perf::measure(
      {.timer = options.counting.value_or(perf::Timer::kClock), .mode = options.mode, .detail = options.detail},
      run_again);
  if (error_status && !first_status) return *error_status;  // which has been printed
  if (!report) return report_error(verb, report.error().to_string());
  if (other_status)
    fmt::print(stderr,
               "caisson: {}: runs differ: one ended with status {}, another with {}; rows are of different runs\n",
               verb, *first_status, *other_status);
  if (const Result<void> done = write_report(written(*report, options.format), options.output); !done)
    return report_error(verb, done.error().to_string());
  return *first_status;
}

}  // namespace caisson::cli
