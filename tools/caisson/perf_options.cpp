#include "perf_options.h"

#include <algorithm>
#include <string_view>

namespace caisson::cli {
namespace {

constexpr Choice<perf::Timer> kTimers[] = {{"clock", perf::Timer::kClock}, {"tsc", perf::Timer::kTsc}};
constexpr Choice<perf::Mode> kModes[] = {{"separate", perf::Mode::kSeparate}, {"nested", perf::Mode::kNested}};
constexpr Choice<PerfFormat> kFormats[] = {
    {"text", PerfFormat::kText}, {"json", PerfFormat::kJson}, {"csv", PerfFormat::kCsv}};

}  // namespace

void add_perf_options(CLI::App& app, PerfOptions& options, const Arguments& arguments) {
  const auto may_be_one = [](std::string_view argument) {
    return argument.starts_with("--perf") || argument == "--help" || argument == "-h";
  };
  if (std::ranges::none_of(arguments, may_be_one)) return;
  app.add_flag("--perf{clock}")
      ->description(
          "report to stderr where the time goes, by clock or --perf=tsc: a run per path counter, each from the start, "
          "with a file on stdin read anew and no other input (only in what make perf builds)")
      ->each(convert_into(options.counting, one_of<perf::Timer>(kTimers)));
  app.add_flag_callback("--perftsc", [&options] { options.counting = perf::Timer::kTsc; }, "the same as --perf=tsc");
  const auto refines = [&options](const char* name) {
    return [&options, name](const std::string&) { options.refinement = name; };
  };
  app.add_option("--perf-mode")
      ->type_name("separate|nested")
      ->description("nested: one run with all counters, and the time of each without those inside it")
      ->each(convert_into(options.mode, one_of<perf::Mode>(kModes)))
      ->each(refines("--perf-mode"));
  app.add_flag("--perf-detail", options.detail, "also the shortest, median, 99th percentile and longest call")
      ->each(refines("--perf-detail"));
  app.add_option("--perf-format")
      ->type_name("text|json|csv")
      ->description("how the report is written")
      ->each(convert_into(options.format, one_of<PerfFormat>(kFormats)))
      ->each(refines("--perf-format"));
  app.add_option("--perf-output", options.output, "write the report there instead")
      ->type_name("FILE")
      ->each(refines("--perf-output"));
}

Result<void> check_perf_options(const PerfOptions& options) {
  if (options.counting || options.refinement.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, options.refinement + " goes with --perf");
}

}  // namespace caisson::cli
