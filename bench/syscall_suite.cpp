// Suite `syscall`: what a system call costs its caller, on the host, under the Linux personality, with an interposer, and under peers.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bench/suites.h"
#include "bench/system_call_engines.h"
#include "caisson/perf.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "syscall";
constexpr char kCounted[] = "baseline";
constexpr std::uint64_t kSizes[] = {1, 16, 64, 256, 1024, 4096, 10240};

struct Case {
  std::string name;
  SystemCallRequest request;  // of one sample
  std::string note = {};
};

const std::vector<Case>& all_cases() {
  using enum SystemCallKind;
  static const std::vector<Case> kCases = [] {
    std::vector<Case> list = {
        {"close(-1)", {kClose, 0, 20'000}, "gives EBADF"},
        {"no-op", {kNoCall, 0, 20'000}, "a number that nobody has, which gives ENOSYS"},
        {"geteuid", {kGeteuid, 0, 20'000}},
        {"pipe", {kPipe, 0, 500}, "pipe2, and close of both ends"},
        {"pipe-byte", {kPipeByte, 0, 2'000}, "a byte written into a pipe and read from it: two calls"},
        {"open+close", {kOpenClose, 0, 500}, "a file by its full path"},
        {"fork+wait", {kForkWait, 0, 20}, "a child that ends at once, by the clock on the wall"},
    };
    for (const std::uint64_t size : kSizes)
      list.push_back({fmt::format("read-{}", size), {kRead, size, 2'000}, "bytes of a regular file"});
    for (const std::uint64_t size : kSizes)
      list.push_back({fmt::format("write-{}", size), {kWrite, size, 2'000}, "bytes of a regular file"});
    return list;
  }();
  return kCases;
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Case& one : all_cases()) names.push_back(one.name);
  return names;
}

struct Contender {
  std::string name;
  std::unique_ptr<SystemCallEngine> engine;
};

std::string describe(std::int64_t wrong) {
  constexpr std::int64_t kLastError = -4095;
  if (wrong >= 0 || wrong < kLastError) return fmt::format("a call gave {}, or wrong bytes", wrong);
  return fmt::format("a call gave \"{}\"", std::strerror(static_cast<int>(-wrong)));
}

// Nanoseconds of one call.
Result<double> time_calls(const Contender& contender, const Case& one) {
  const auto sample = contender.engine->run(one.request);
  if (!sample) return fail(sample.error().code, sample.error().message, contender.name);
  if (sample->wrong != 0) return fail(ErrorCode::kInternal, describe(sample->wrong), contender.name);
  return sample->nanoseconds / static_cast<double>(one.request.count);
}

bool is_absence(const Error& error) {
  return error.code == ErrorCode::kNotFound || error.code == ErrorCode::kUnsupported;
}

// Whether the engine can do the case, and does it right. An engine that has no such call does not take part, and the report says so.
Result<bool> check(const Contender& contender, const Case& one, Report& report) {
  const auto checked = contender.engine->run({one.request.kind, one.request.size, 0});
  if (!checked) return fail(checked.error().code, checked.error().message, contender.name);
  if (checked->wrong == -ENOSYS) {
    add_absent(report, kSuite, contender.name, "it has no such system call", one.name);
    return false;
  }
  if (checked->wrong != 0) return fail(ErrorCode::kInternal, describe(checked->wrong), contender.name);
  return true;
}

Result<std::vector<Contender>> contenders(const SystemCallFiles& files, const Case& one, Report& report) {
  std::vector<Contender> list;
  for (const SystemCallEngineKind& kind : system_call_engines()) {
    auto engine = kind.make(files);
    if (!engine && is_absence(engine.error())) {
      add_absent(report, kSuite, kind.name, engine.error().message);
      continue;
    }
    if (!engine) return fail(engine.error().code, engine.error().message, kind.name);
    Contender contender{kind.name, *std::move(engine)};
    const auto able = check(contender, one, report);
    if (!able) return std::unexpected(able.error());
    if (!*able) continue;
    if (const auto warm = time_calls(contender, one); !warm) return std::unexpected(warm.error());
    list.push_back(std::move(contender));
  }
  return list;
}

// Where the time of a call goes under the Linux personality, in a sample of its own. Builds without path counters have nothing to say.
Result<void> count_path(const std::vector<Contender>& list, const Case& one, Report& report) {
  const auto counted = std::ranges::find(list, kCounted, &Contender::name);
  if (!perf::available() || counted == list.end()) return {};
  const auto run = [&]() -> Result<void> {
    const auto timed = time_calls(*counted, one);
    return timed ? Result<void>() : std::unexpected(timed.error());
  };
  auto text = perf::report_of_case(one.name, run);
  if (!text) return std::unexpected(text.error());
  report.path_counters.push_back({kSuite, one.name, kCounted, *std::move(text)});
  return {};
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const Case& one = *std::ranges::find(all_cases(), case_name, &Case::name);
  const auto files = SystemCallFiles::create();
  if (!files) return std::unexpected(files.error());
  const auto list = contenders(*files, one, report);
  if (!list) return std::unexpected(list.error());
  std::vector<std::string> names;
  for (const Contender& contender : *list) names.push_back(contender.name);
  std::vector<std::vector<double>> samples(list->size());
  for (std::size_t turn = 0; turn < runs; ++turn) {
    for (std::size_t index = 0; index < list->size(); ++index) {
      const auto sample = time_calls((*list)[index], one);
      if (!sample) return std::unexpected(sample.error());
      samples[index].push_back(*sample);
    }
  }
  const std::size_t before = report.rows.size();
  add_time_rows(report, kSuite, case_name, names, samples);
  report.rows[before].note = one.note;
  return count_path(*list, one, report);
}

}  // namespace

Suite syscall_suite() {
  return {kSuite, "system calls: native, under the Linux personality, interposed, under peers", 25, cases, measure,
          nullptr};
}

}  // namespace caisson::bench
