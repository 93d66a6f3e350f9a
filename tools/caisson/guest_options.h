// The options that `run` and `invoke` share, and how texts become values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "caisson/code_listing.h"
#include "caisson/engine.h"
#include "caisson/instance.h"
#include "caisson/result.h"
#include "command_line.h"
#include "perf_options.h"

namespace caisson::cli {

enum class StatsFormat : std::uint8_t { kNone, kText, kJson };

struct GuestOptions {
  InstanceOptions instance;
  std::optional<std::chrono::nanoseconds> timeout;
  StatsFormat stats = StatsFormat::kNone;
  CodeListingOptions listing;
  PerfOptions perf;
  std::string artifacts;  // a directory, "none", or empty: the default one
  EngineOptions engine{.compile_process = CompileProcess::kHelper};
};

// Adds the options that run and invoke share; `options` must outlive the parse and holds the defaults.
void add_guest_options(CLI::App& app, GuestOptions& options);

// --artifacts, and the directory that it means; empty: none.
void add_artifacts_option(CLI::App& app, std::string& artifacts);
std::string artifact_directory(const std::string& artifacts);

// What an engine for these options is made with.
EngineOptions engine_options(const GuestOptions& options);

// "67108864", "64M", "1G", "512K": bytes, with binary suffixes.
Result<std::uint64_t> parse_size(const std::string& text);
// A decimal or 0x number, or "unlimited".
Result<std::uint64_t> parse_gas(const std::string& text);
// Gas between two comparisons, at least 1.
Result<std::uint64_t> parse_interval(const std::string& text);
// Seconds with an optional fraction, above zero.
Result<std::chrono::nanoseconds> parse_seconds(const std::string& text);

}  // namespace caisson::cli
