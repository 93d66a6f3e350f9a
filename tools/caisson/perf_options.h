// --perf and what belongs to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "caisson/perf.h"
#include "command_line.h"
#include "verb.h"

namespace caisson::cli {

enum class PerfFormat : std::uint8_t { kText, kJson, kCsv };

struct PerfOptions {
  std::optional<perf::Timer> counting;  // --perf
  perf::Mode mode = perf::Mode::kSeparate;
  bool detail = false;
  PerfFormat format = PerfFormat::kText;
  std::string output;  // a file; empty: stderr
  std::string refinement;  // one of the other options that was given, if any
};

// Where one of `arguments` may be such an option, or asks for help: an option takes some 20 000 instructions of every start. `options` must outlive
// the parse.
void add_perf_options(CLI::App& app, PerfOptions& options, const Arguments& arguments);

// Errors: kInvalidArgument where an option says how to count, and none says to count.
Result<void> check_perf_options(const PerfOptions& options);

}  // namespace caisson::cli
