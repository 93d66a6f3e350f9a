// A Report as text, JSON and CSV.
#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>

#include "caisson/perf.h"

namespace caisson::perf {
namespace {

// The text: name, calls, total and average, 97 columns with the spaces between them.
constexpr int kWidth = 97, kNameWidth = 60, kCallsWidth = 10, kTimeWidth = 12;
// Where the title stands in the rule above its section.
constexpr int kTitleColumn = 44;

std::string_view name_of(Timer timer) { return timer == Timer::kTsc ? "tsc" : "clock"; }
std::string_view name_of(Mode mode) { return mode == Mode::kNested ? "nested" : "separate"; }

double average(const Row& row) { return row.calls == 0 ? 0 : row.total / static_cast<double>(row.calls); }

// "111.482us": the largest unit in which the number is at least one.
std::string with_unit(double nanoseconds) {
  constexpr std::string_view kUnits[] = {"ns", "us", "ms", "s"};
  constexpr double kRoundsUp = 999.9995;  // would be printed as 1000.000
  std::size_t unit = 0;
  for (; unit + 1 < std::size(kUnits) && nanoseconds >= kRoundsUp; ++unit) nanoseconds /= 1000;
  return fmt::format("{:.3f}{}", nanoseconds, kUnits[unit]);
}

std::string table_line(std::string_view name, std::string_view calls, std::string_view total, std::string_view avg) {
  return fmt::format("{:<{}.{}} {:>{}} {:>{}} {:>{}}\n", name, kNameWidth, kNameWidth, calls, kCallsWidth, total,
                     kTimeWidth, avg, kTimeWidth);
}

std::string section_head(const std::string& section, Mode mode) {
  const std::string title = fmt::format("{:-<{}}CAISSON-{}", "", kTitleColumn, section);
  return fmt::format("{:-<{}}\n", title, kWidth) +
         table_line("name", "calls", mode == Mode::kNested ? "self" : "total", "avg") +
         fmt::format("{:-<{}}\n", "", kWidth);
}

std::string detail_line(const Detail& detail, double floor) {
  return fmt::format("    min {}, p50 {}, p99 {}, max {}, floor {}\n", with_unit(detail.shortest),
                     with_unit(detail.median), with_unit(detail.percentile_99), with_unit(detail.longest),
                     with_unit(floor));
}

// For names of counters and sections, which may be an embedder's.
std::string quoted_json(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

// RFC 4180: quoted where a reader would otherwise see more than one field.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

}  // namespace

std::string Report::to_text() const {
  std::string text = fmt::format("timer {}", name_of(options.timer));
  if (options.timer == Timer::kTsc) text += fmt::format(" ({:.3f} GHz)", ticks_per_ns);
  text += fmt::format(", {}; floor {} of each call subtracted; a scope takes {}\n",
                      options.mode == Mode::kNested ? "all counters in one run" : "one run per counter",
                      with_unit(floor), with_unit(scope_cost));
  const std::string* section = nullptr;
  for (const Row& row : rows) {
    if (row.calls == 0) continue;
    if (section == nullptr || *section != row.section) {
      text += (section == nullptr ? "" : "\n") + section_head(row.section, options.mode);
      section = &row.section;
    }
    text += table_line(row.name, fmt::to_string(row.calls), with_unit(row.total), with_unit(average(row)));
    if (options.detail) text += detail_line(row.detail, floor);
  }
  return text;
}

std::string Report::to_json() const {
  std::string json = fmt::format(
      R"({{"timer":"{}","mode":"{}","floor_ns":{:.3f},"scope_cost_ns":{:.3f},"ticks_per_ns":{:.6f},"rows":[)",
      name_of(options.timer), name_of(options.mode), floor, scope_cost, ticks_per_ns);
  bool is_first = true;
  for (const Row& row : rows) {
    if (row.calls == 0) continue;
    json += is_first ? "\n" : ",\n";
    is_first = false;
    json += fmt::format(R"({{"section":{},"name":{},"calls":{},"total_ns":{:.3f},"avg_ns":{:.3f},"floor_ns":{:.3f})",
                        quoted_json(row.section), quoted_json(row.name), row.calls, row.total, average(row), floor);
    if (options.timer == Timer::kTsc) json += fmt::format(R"(,"cycles":{:.0f})", row.cycles);
    if (options.detail)
      json += fmt::format(R"(,"min_ns":{:.3f},"p50_ns":{:.3f},"p99_ns":{:.3f},"max_ns":{:.3f})", row.detail.shortest,
                          row.detail.median, row.detail.percentile_99, row.detail.longest);
    json += '}';
  }
  return json + "\n]}\n";
}

std::string Report::to_csv() const {
  std::string csv = "section,name,calls,total_ns,avg_ns,floor_ns";
  if (options.timer == Timer::kTsc) csv += ",cycles";
  if (options.detail) csv += ",min_ns,p50_ns,p99_ns,max_ns";
  csv += '\n';
  for (const Row& row : rows) {
    if (row.calls == 0) continue;
    csv += fmt::format("{},{},{},{:.3f},{:.3f},{:.3f}", csv_field(row.section), csv_field(row.name), row.calls,
                       row.total, average(row), floor);
    if (options.timer == Timer::kTsc) csv += fmt::format(",{:.0f}", row.cycles);
    if (options.detail)
      csv += fmt::format(",{:.3f},{:.3f},{:.3f},{:.3f}", row.detail.shortest, row.detail.median,
                         row.detail.percentile_99, row.detail.longest);
    csv += '\n';
  }
  return csv;
}

Result<std::string> report_of_case(std::string_view name, const std::function<Result<void>()>& run, Timer timer) {
  const Result<Report> report = measure({.timer = timer, .mode = Mode::kNested}, run);
  if (!report) return std::unexpected(report.error());
  return fmt::format("path counters of {}\n{}", name, report->to_text());
}

}  // namespace caisson::perf
