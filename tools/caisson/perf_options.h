// --perf and what belongs to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "caisson/perf.h"
#include "command_line.h"

namespace caisson::cli {

enum class PerfFormat : std::uint8_t { kText, kJson, kCsv };

struct PerfOptions {
  std::optional<perf::Timer> counting;  // --perf
  perf::Mode mode = perf::Mode::kSeparate;
  bool detail = false;
  PerfFormat format = PerfFormat::kText;
  std::string output;  // a file; empty: stderr
};

// `options` must outlive the parse.
void add_perf_options(CLI::App& app, PerfOptions& options);

}  // namespace caisson::cli
