#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "bench/references.h"

namespace caisson::bench {
namespace {

std::vector<std::string> distinct(const std::vector<const Row*>& rows, std::string Row::* field) {
  std::vector<std::string> values;
  for (const Row* row : rows) {
    if (std::ranges::find(values, row->*field) == values.end()) values.push_back(row->*field);
  }
  return values;
}

bool is_unsupported(const Report& report, const Row& like, const std::string& case_name, const std::string& engine) {
  return std::ranges::any_of(report.absent, [&](const AbsentEngine& absent) {
    return absent.suite == like.suite && absent.engine == engine && absent.case_name == case_name;
  });
}

void print_table(const Report& report, const std::vector<const Row*>& rows, std::FILE* to) {
  const std::vector<std::string> cases = distinct(rows, &Row::case_name), engines = distinct(rows, &Row::engine);
  constexpr int kCaseWidth = 22, kCellWidth = 38;
  fmt::print(to, "\n{}: {} (median [its 95 % interval])\n{:{}}", rows.front()->suite, rows.front()->metric, "",
             kCaseWidth);
  for (const std::string& engine : engines) fmt::print(to, "{:>{}}", engine, kCellWidth);
  for (const std::string& case_name : cases) {
    fmt::print(to, "\n{:{}}", case_name, kCaseWidth);
    for (const std::string& engine : engines) {
      const auto found = std::ranges::find_if(
          rows, [&](const Row* row) { return row->case_name == case_name && row->engine == engine; });
      if (found == rows.end()) {
        const bool unsupported = is_unsupported(report, *rows.front(), case_name, engine);
        fmt::print(to, "{:>{}}", unsupported ? "not supported" : "-", kCellWidth);
        continue;
      }
      const Summary& summary = (*found)->summary;
      const std::string& unit = (*found)->unit;
      fmt::print(to, "{:>{}}",
                 fmt::format("{} [{} … {}]", readable(summary.median, unit), readable(summary.low, unit),
                             readable(summary.high, unit)),
                 kCellWidth);
    }
  }
  fmt::print(to, "\n");
  for (const Row* row : rows) {
    if (!row->note.empty()) fmt::print(to, "  {}, {}: {}\n", row->case_name, row->engine, row->note);
  }
  std::string outliers;
  for (const Row* row : rows) {
    if (row->summary.outliers == 0) continue;
    outliers += fmt::format("{} {}, {} ({} of {})", outliers.empty() ? "" : ";", row->case_name, row->engine,
                            row->summary.outliers, row->summary.runs);
  }
  if (!outliers.empty()) fmt::print(to, "  outliers:{}\n", outliers);
}

void print_absent(const AbsentEngine& absent, std::FILE* to) {
  if (absent.case_name.empty()) {
    fmt::print(to, "  {}: absent ({})\n", absent.engine, absent.reason);
  } else {
    fmt::print(to, "  {}, {}: not supported ({})\n", absent.case_name, absent.engine, absent.reason);
  }
}

}  // namespace

std::string readable(double value, const std::string& unit) {
  struct Scale {
    const char* unit;
    double factor;
    const char* shown;
  };
  static constexpr Scale kScales[] = {
      {"ns", 1e9, "s"}, {"ns", 1e6, "ms"}, {"ns", 1e3, "us"}, {"bytes", 1 << 20, "MiB"}, {"bytes", 1 << 10, "KiB"}};
  for (const Scale& scale : kScales) {
    if (unit == scale.unit && std::abs(value) >= scale.factor)
      return fmt::format("{:.2f} {}", value / scale.factor, scale.shown);
  }
  // Of what is shorter than calls and system calls the digits behind the point count.
  constexpr double kFewNanoseconds = 100;
  if (unit == "ns" && std::abs(value) < kFewNanoseconds) {
    return std::abs(value) < 1 ? fmt::format("{:.3f} ns", value) : fmt::format("{:.2f} ns", value);
  }
  if (unit == "count") return fmt::format("{:.2f}", value);
  return unit == "ratio" ? fmt::format("{:.2f}x", value) : fmt::format("{:.0f} {}", value, unit);
}

void print_tables(const Report& report, std::FILE* to) {
  for (const std::string& suite : report.suites) {
    std::vector<const Row*> of_suite;
    for (const Row& row : report.rows) {
      if (row.suite == suite) of_suite.push_back(&row);
    }
    for (const std::string& metric : distinct(of_suite, &Row::metric)) {
      std::vector<const Row*> of_metric;
      std::ranges::copy_if(of_suite, std::back_inserter(of_metric),
                           [&](const Row* row) { return row->metric == metric; });
      print_table(report, of_metric, to);
    }
    for (const AbsentEngine& absent : report.absent) {
      if (absent.suite == suite) print_absent(absent, to);
    }
    for (const PathCounters& counters : report.path_counters) {
      if (counters.suite == suite) fmt::print(to, "\n{}, {}:\n{}", counters.case_name, counters.engine, counters.text);
    }
    print_references(suite, to);
  }
}

}  // namespace caisson::bench
