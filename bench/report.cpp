#include "bench/report.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

namespace caisson::bench {
namespace {

std::string processor_name() {
  std::ifstream information("/proc/cpuinfo");
  constexpr std::string_view kField = "model name";
  for (std::string line; std::getline(information, line);) {
    if (!line.starts_with(kField)) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

nlohmann::json machine() {
  utsname system = {};
  uname(&system);
  return {{"processor", processor_name()},
          {"processors", std::thread::hardware_concurrency()},
          {"memory_bytes",
           static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE))},
          {"system", fmt::format("{} {}", system.sysname, system.release)},
          {"compiler", "clang " __clang_version__},
          {"build_type", CAISSON_BUILD_TYPE},
          {"kernel_flags", CAISSON_KERNEL_FLAGS},
          {"guest_flags", CAISSON_GUEST_FLAGS}};
}

// A value in a unit that leaves one to four digits before the point.
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
  if (unit == "count") return fmt::format("{:.2f}", value);
  return unit == "ratio" ? fmt::format("{:.2f}x", value) : fmt::format("{:.0f} {}", value, unit);
}

std::vector<std::string> distinct(const std::vector<const Row*>& rows, std::string Row::* field) {
  std::vector<std::string> values;
  for (const Row* row : rows) {
    if (std::ranges::find(values, row->*field) == values.end()) values.push_back(row->*field);
  }
  return values;
}

void print_table(const std::vector<const Row*>& rows, std::FILE* to) {
  const std::vector<std::string> cases = distinct(rows, &Row::case_name), engines = distinct(rows, &Row::engine);
  constexpr int kCaseWidth = 22, kCellWidth = 38;
  fmt::print(to, "\n{}: {} (median [minimum … maximum])\n{:{}}", rows.front()->suite, rows.front()->metric, "",
             kCaseWidth);
  for (const std::string& engine : engines) fmt::print(to, "{:>{}}", engine, kCellWidth);
  for (const std::string& case_name : cases) {
    fmt::print(to, "\n{:{}}", case_name, kCaseWidth);
    for (const std::string& engine : engines) {
      const auto found = std::ranges::find_if(
          rows, [&](const Row* row) { return row->case_name == case_name && row->engine == engine; });
      if (found == rows.end()) {
        fmt::print(to, "{:>{}}", "-", kCellWidth);
        continue;
      }
      const Summary& summary = (*found)->summary;
      const std::string& unit = (*found)->unit;
      fmt::print(to, "{:>{}}",
                 fmt::format("{} [{} … {}]", readable(summary.median, unit), readable(summary.minimum, unit),
                             readable(summary.maximum, unit)),
                 kCellWidth);
    }
  }
  fmt::print(to, "\n");
  for (const Row* row : rows) {
    if (!row->note.empty()) fmt::print(to, "  {}, {}: {}\n", row->case_name, row->engine, row->note);
  }
}

std::unexpected<Error> fail_to_write(const std::string& path) {
  return fail(ErrorCode::kIo, fmt::format("cannot be written: {}", std::strerror(errno)), path);
}

}  // namespace

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
      print_table(of_metric, to);
    }
    for (const AbsentEngine& absent : report.absent) {
      if (absent.suite == suite) fmt::print(to, "  {} is absent: {}\n", absent.engine, absent.reason);
    }
  }
}

std::string to_json(const Report& report) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : report.rows) {
    rows.push_back({{"suite", row.suite},
                    {"case", row.case_name},
                    {"engine", row.engine},
                    {"metric", row.metric},
                    {"unit", row.unit},
                    {"median", row.summary.median},
                    {"min", row.summary.minimum},
                    {"max", row.summary.maximum},
                    {"runs", row.summary.runs},
                    {"note", row.note}});
  }
  nlohmann::json absent = nlohmann::json::array();
  for (const AbsentEngine& engine : report.absent) {
    absent.push_back({{"suite", engine.suite}, {"engine", engine.engine}, {"reason", engine.reason}});
  }
  return nlohmann::json{{"version", CAISSON_VERSION},
                        {"machine", machine()},
                        {"suite", report.suites},
                        {"rows", rows},
                        {"absent", absent}}
      .dump(1);
}

Result<void> check_writable(const std::string& path) {
  if (!std::ofstream(path, std::ios::app)) return fail_to_write(path);
  return {};
}

Result<void> write_json(const Report& report, const std::string& path) {
  std::ofstream stream(path, std::ios::trunc);
  stream << to_json(report) << '\n';
  if (!stream.flush()) return fail_to_write(path);
  return {};
}

}  // namespace caisson::bench
