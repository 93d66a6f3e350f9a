// Path counters: what each step of the path from a program's file to its last system call costs.
//
//   caisson::perf::Options options{.timer = caisson::perf::Timer::kTsc};
//   caisson::Result<caisson::perf::Report> report = caisson::perf::measure(options, [&]() -> caisson::Result<void> {
//     caisson::Engine engine = caisson::Engine::create().value();   // everything anew: a run must not find what an earlier one left
//     …load, instantiate, run…
//     return {};
//   });
//   if (report) std::cerr << report->to_text();
//
// A counter times the scopes of one step. Only builds with -DCAISSON_PERF=ON have them (`make perf`); in others measure() answers
// kUnsupported and nothing else is there. To add a counter: docs/adding-a-counter.md.
//
// Counters never time each other: in Mode::kSeparate the program runs once per counter, with that one alone enabled. What an empty scope
// records (the floor) is measured first and taken from every call.
//
// Thread safety: measure() may be called from any thread; one measurement at a time in a process. Everything that the process does
// meanwhile, on whatever thread, is counted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/result.h"

namespace caisson::perf {

enum class Timer : std::uint8_t {
  kClock,  // CLOCK_MONOTONIC_RAW, nanoseconds
  kTsc,  // the processor's time stamp counter between fences: cycles of a constant rate, and nanoseconds by calibration
};

enum class Mode : std::uint8_t {
  kSeparate,  // one run per counter; a total holds everything that its scopes enclose
  kNested,  // one run with all counters; a total is self time, without the counters that ran inside
};

struct Options {
  Timer timer = Timer::kClock;
  Mode mode = Mode::kSeparate;
  // Also shortest, longest, median and 99th percentile of the calls; a scope costs some nanoseconds more.
  bool detail = false;
};

// Of the calls of one counter, nanoseconds. The percentiles are of a logarithmic histogram: within a factor of two of the truth.
struct Detail {
  double shortest = 0;
  double median = 0;
  double percentile_99 = 0;
  double longest = 0;
};

// What one counter counted. A step that is entered again within itself is one more call; time runs once, from the outermost entry.
struct Row {
  std::string section;  // e.g. "BOOT"
  std::string name;  // e.g. "boot::load_elf"
  std::uint64_t calls = 0;
  double total = 0;  // nanoseconds, the floor of each call subtracted
  double cycles = 0;  // the same in ticks of Timer::kTsc; 0 with the clock
  Detail detail;  // zeros without Options::detail
};

struct Report {
  Options options;
  // What an empty scope records, subtracted from each call; and what it takes from the program. Nanoseconds.
  double floor = 0;
  double scope_cost = 0;
  double ticks_per_ns = 1;
  // Counters that were called, in the order of the path.
  std::vector<Row> rows;

  // A section per module, 97 columns wide.
  std::string to_text() const;
  // One object: timer, mode, floor_ns, scope_cost_ns, ticks_per_ns, rows.
  std::string to_json() const;
  // A header and a line per row.
  std::string to_csv() const;
};

// True in builds that have the counters.
bool available() noexcept;

// Calls `run` once per counter (kSeparate) or once (kNested). Errors: kUnsupported (a build without counters, a processor without an even
// time stamp counter), kBusy (another measurement runs, be it the one that this run belongs to), kLimit (an embedder has added too many
// counters), kOutOfMemory, and the first of `run`, which ends the measurement.
Result<Report> measure(const Options& options, const std::function<Result<void>()>& run);

// For a bench, beside its own figures: one run of a case with all counters, as text under a line with its name. Errors: those of
// measure().
Result<std::string> report_of_case(std::string_view name, const std::function<Result<void>()>& run,
                                   Timer timer = Timer::kClock);

}  // namespace caisson::perf
