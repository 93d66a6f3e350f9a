#include "guest_options.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

#include "caisson/artifact_store.h"
#include "caisson/jit_backend.h"

namespace caisson::cli {
namespace {

// The whole of `text` as a number; an unsigned one may be hexadecimal.
Result<std::uint64_t> parse_number(std::string_view text) {
  const bool hexadecimal = text.starts_with("0x");
  const std::string_view digits = hexadecimal ? text.substr(2) : text;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
  if (error == std::errc::result_out_of_range) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} is too large", text));
  }
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not a number", text));
  }
  return value;
}

constexpr Choice<Tier> kTiers[] = {
    {"auto", Tier::kAuto}, {"interp", Tier::kInterp}, {"baseline", Tier::kBaseline}, {"optimized", Tier::kOptimized}};
constexpr Choice<CompileProcess> kCompileProcesses[] = {{"process", CompileProcess::kHelper},
                                                        {"thread", CompileProcess::kInProcess}};
constexpr Choice<InstanceOptions::DecodeCache> kDecodeCaches[] = {
    {"on", InstanceOptions::DecodeCache::kOn},
    {"off", InstanceOptions::DecodeCache::kOff},
    {"verify", InstanceOptions::DecodeCache::kVerify},
};
constexpr Choice<StatsFormat> kStatsFormats[] = {{"text", StatsFormat::kText}, {"json", StatsFormat::kJson}};
constexpr Choice<bool> kIsolationLevels[] = {{"thread", true}};

}  // namespace

Result<std::uint64_t> parse_size(const std::string& text) {
  constexpr std::string_view kSuffixes = "KMG";
  std::string_view digits = text;
  unsigned shift = 0;
  if (!digits.empty()) {
    const std::size_t suffix = kSuffixes.find(digits.back());
    if (suffix != std::string_view::npos) {
      shift = 10 * (static_cast<unsigned>(suffix) + 1);
      digits.remove_suffix(1);
    }
  }
  const Result<std::uint64_t> number = parse_number(digits);
  if (!number) return fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not a size such as 64M", text));
  if (*number > std::numeric_limits<std::uint64_t>::max() >> shift) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} is too large", text));
  }
  return *number << shift;
}

Result<std::uint64_t> parse_gas(const std::string& text) {
  if (text == "unlimited") return kUnlimitedGas;
  return parse_number(text);
}

Result<std::uint64_t> parse_interval(const std::string& text) {
  const Result<std::uint64_t> gas = parse_number(text);
  if (gas && *gas == 0) return fail(ErrorCode::kInvalidArgument, "the least gas between two comparisons is 1");
  return gas;
}

Result<std::chrono::nanoseconds> parse_seconds(const std::string& text) {
  constexpr double kLongest = 1e9;  // seconds: a lifetime, and far from overflow
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || !(seconds > 0) || seconds > kLongest) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not a time in seconds", text));
  }
  return std::chrono::nanoseconds(std::llround(seconds * 1e9));
}

void add_guest_options(CLI::App& app, GuestOptions& options) {
  InstanceOptions& instance = options.instance;
  const auto add = [&app](const char* name, const char* type, const std::string& text, auto function) {
    app.add_option(name)->type_name(type)->description(text)->each(function);
  };
  const std::string default_gas = instance.gas == kUnlimitedGas ? "unlimited" : fmt::format("{}", instance.gas);
  add("--tier", "auto|interp|baseline|optimized", "what executes the guest",
      convert_into(instance.tier, one_of<Tier>(kTiers)));
  add_artifacts_option(app, options.artifacts);
  app.add_option("--dump-code", options.engine.dump_directory)
      ->type_name("DIR")
      ->description("write what was made of each optimised unit: blocks, LLVM's code, assembly");
  add("--hot-threshold", "GAS", fmt::format("gas that code uses before it is optimised; default: {}", kHotThreshold),
      convert_into(options.engine.hot_threshold, parse_number));
  add("--compiler", "process|thread", "where code is optimised; in a process of its own a failure costs nothing else",
      convert_into(options.engine.compile_process, one_of<CompileProcess>(kCompileProcesses)));
  add("--gas", "N", "gas to run on, or unlimited; default: " + default_gas, convert_into(instance.gas, parse_gas));
  add("--memory", "SIZE", "bytes the guest may use, with K, M or G; default and most: 4G",
      convert_into(instance.memory_limit, parse_size));
  add("--timeout", "SECONDS", "end the run after this time on the host", convert_into(options.timeout, parse_seconds));
  add("--decode-cache", "on|off|verify", "keep decoded instructions; verify checks each use",
      convert_into(instance.decode_cache, one_of<InstanceOptions::DecodeCache>(kDecodeCaches)));
  // `thread` is all there is, so nothing is stored.
  add("--isolation", "thread", "what separates the guest from the host process", [](const std::string& text) {
    bool is_known = false;
    convert_into(is_known, one_of<bool>(kIsolationLevels))(text);
  });
  app.add_flag("--deterministic", instance.deterministic,
               "clock driven by gas, seeded randomness: runs repeat exactly");
  app.add_flag("--perf-map", options.listing.perf_map, "write /tmp/perf-PID.map: perf report names guest functions");
  app.add_flag("--jitdump", options.listing.jitdump, "write jit-PID.dump for perf inject --jit (perf record -k 1)");
  app.add_flag("--gdb", options.listing.gdb, "tell gdb, which runs or attaches to this process, of guest functions");
  app.add_flag("--crosscheck{1}")
      ->description(
          "run the interpreter beside the tier and stop where they differ; compare every GAS, default: each block")
      ->each(convert_into(instance.crosscheck, parse_interval));
  app.add_flag("--stats{text}")
      ->description("print what the run used to stderr, as text or with --stats=json as JSON")
      ->each(convert_into(options.stats, one_of<StatsFormat>(kStatsFormats)));
}

void add_artifacts_option(CLI::App& app, std::string& artifacts) {
  app.add_option("--artifacts", artifacts)
      ->type_name("DIR|none")
      ->description("keep optimised code there for the next run; default: caisson store's directory");
}

std::string artifact_directory(const std::string& artifacts) {
  if (artifacts == "none") return {};
  if (!artifacts.empty()) return artifacts;
  Result<std::string> directory = default_artifact_directory();
  return directory ? *std::move(directory) : std::string();
}

EngineOptions engine_options(const GuestOptions& options) {
  EngineOptions engine = options.engine;
  engine.idle_windows = 0;
  // What one counted run stored, the next would find: they would not be alike.
  if (!options.perf.counting || !options.artifacts.empty())
    engine.artifact_directory = artifact_directory(options.artifacts);
  return engine;
}

}  // namespace caisson::cli
