#include "bench/report_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace caisson::bench {
namespace {

using nlohmann::json;

// What a file may hold: many times what all suites give.
constexpr std::size_t kMostBytes = 16U << 20U;
constexpr std::size_t kDeepest = 8;  // of objects and arrays in each other; a report needs three
constexpr std::size_t kMostRows = 20'000;
constexpr std::size_t kLongestText = 4096;
constexpr std::size_t kLongestCounters = 65536;  // lines of a report of path counters
constexpr double kMostRuns = 1e9;

struct TextField {
  const char* key;
  std::string Machine::* member;
};
constexpr TextField kMachineTexts[] = {
    {"processor", &Machine::processor},       {"system", &Machine::system},
    {"compiler", &Machine::compiler},         {"build_type", &Machine::build_type},
    {"kernel_flags", &Machine::kernel_flags}, {"guest_flags", &Machine::guest_flags}};

struct RowField {
  const char* key;
  std::string Row::* member;
};
constexpr RowField kRowTexts[] = {
    {"suite", &Row::suite}, {"case", &Row::case_name}, {"engine", &Row::engine},          {"metric", &Row::metric},
    {"unit", &Row::unit},   {"note", &Row::note},      {"measured_by", &Row::measured_by}};

struct NumberField {
  const char* key;
  double Summary::* member;
};
constexpr NumberField kRowNumbers[] = {{"median", &Summary::median},
                                       {"min", &Summary::minimum},
                                       {"max", &Summary::maximum},
                                       {"low", &Summary::low},
                                       {"high", &Summary::high}};

json machine_json(const Machine& machine) {
  json object = {{"processors", machine.processors}, {"memory_bytes", machine.memory_bytes}};
  for (const auto& [key, member] : kMachineTexts) object[key] = machine.*member;
  return object;
}

json row_json(const Row& row) {
  json object = {{"runs", row.summary.runs}, {"outliers", row.summary.outliers}, {"samples", row.summary.samples}};
  for (const auto& [key, member] : kRowTexts) object[key] = row.*member;
  for (const auto& [key, member] : kRowNumbers) object[key] = row.summary.*member;
  return object;
}

json yardstick_json(const Yardstick& yardstick) {
  return {
      {"median", yardstick.median}, {"low", yardstick.low}, {"high", yardstick.high}, {"samples", yardstick.samples}};
}

// Reads the fields of one object. The first that is missing or wrong makes the error; the ones after it are not looked at.
class FieldReader {
 public:
  FieldReader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) refuse("is no object");
  }

  void text(const char* key, std::string& target, std::size_t longest = kLongestText) {
    const json* const value = field(key);
    if (value == nullptr) return;
    if (!value->is_string() || value->get_ref<const std::string&>().size() > longest) {
      return refuse(fmt::format("\"{}\" is no text of at most {} bytes", key, longest));
    }
    target = value->get_ref<const std::string&>();
  }

  void number(const char* key, double& target) {
    const json* const value = field(key);
    if (value == nullptr) return;
    if (!is_finite_number(*value)) return refuse(fmt::format("\"{}\" is no finite number", key));
    target = value->get<double>();
  }

  template <class Integer>
  void count(const char* key, Integer& target, double most = 1e18) {
    const json* const value = field(key);
    if (value == nullptr) return;
    if (!value->is_number_unsigned() || value->get<double>() > most) {
      return refuse(fmt::format("\"{}\" is no whole number up to {:.0f}", key, most));
    }
    target = value->get<Integer>();
  }

  // An array of at most `most` elements; nullptr where it is not one.
  const json* array(const char* key, std::size_t most) {
    const json* const value = field(key);
    if (value == nullptr) return nullptr;
    if (!value->is_array() || value->size() > most) {
      refuse(fmt::format("\"{}\" is no array of at most {} elements", key, most));
      return nullptr;
    }
    return value;
  }

  void samples(const char* key, std::vector<double>& target) {
    const json* const values = array(key, kMostSamplesKept);
    if (values == nullptr) return;
    for (const json& value : *values) {
      if (!is_finite_number(value)) return refuse(fmt::format("\"{}\" has what is no finite number", key));
      target.push_back(value.get<double>());
    }
  }

  void refuse(std::string message) {
    if (!error_) error_ = Error{ErrorCode::kInvalidArgument, std::move(message), where_};
  }

  const json* field(const char* key) {
    if (error_) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    refuse(fmt::format("has no \"{}\"", key));
    return nullptr;
  }

  const std::optional<Error>& error() const { return error_; }

 private:
  static bool is_finite_number(const json& value) { return value.is_number() && std::isfinite(value.get<double>()); }

  const json& object_;
  std::string where_;
  std::optional<Error> error_;
};

Result<Machine> parse_machine(const json& object) {
  Machine machine;
  FieldReader reader(object, "machine");
  for (const auto& [key, member] : kMachineTexts) reader.text(key, machine.*member);
  reader.count("processors", machine.processors);
  reader.count("memory_bytes", machine.memory_bytes);
  if (reader.error()) return std::unexpected(*reader.error());
  return machine;
}

Result<Yardstick> parse_yardstick(const json& object) {
  Yardstick yardstick;
  FieldReader reader(object, "yardstick");
  reader.number("median", yardstick.median);
  reader.number("low", yardstick.low);
  reader.number("high", yardstick.high);
  reader.count("samples", yardstick.samples, kMostRuns);
  const bool in_order = yardstick.low <= yardstick.median && yardstick.median <= yardstick.high;
  if (yardstick.low < 0 || !in_order) reader.refuse("\"median\" is not between \"low\" and \"high\", or below 0");
  if (reader.error()) return std::unexpected(*reader.error());
  return yardstick;
}

Result<Row> parse_row(const json& object, std::size_t index) {
  Row row;
  FieldReader reader(object, fmt::format("rows[{}]", index));
  for (const auto& [key, member] : kRowTexts) reader.text(key, row.*member);
  for (const auto& [key, member] : kRowNumbers) reader.number(key, row.summary.*member);
  reader.count("runs", row.summary.runs, kMostRuns);
  reader.count("outliers", row.summary.outliers, kMostRuns);
  reader.samples("samples", row.summary.samples);
  const Summary& summary = row.summary;
  // Not min <= low: of a row about many cases the minimum is a case, and an interval reaches beyond a single one.
  const bool in_order = summary.minimum <= summary.median && summary.median <= summary.maximum &&
                        summary.low <= summary.median && summary.median <= summary.high;
  if (!in_order) reader.refuse("\"median\" is not between \"min\" and \"max\" and between \"low\" and \"high\"");
  if (summary.runs == 0) reader.refuse("\"runs\" is 0");
  if (reader.error()) return std::unexpected(*reader.error());
  return row;
}

Result<PathCounters> parse_path_counters(const json& object, std::size_t index) {
  PathCounters counters;
  FieldReader reader(object, fmt::format("path_counters[{}]", index));
  reader.text("suite", counters.suite);
  reader.text("case", counters.case_name);
  reader.text("engine", counters.engine);
  reader.text("text", counters.text, kLongestCounters);
  if (reader.error()) return std::unexpected(*reader.error());
  return counters;
}

Result<AbsentEngine> parse_absent(const json& object, std::size_t index) {
  AbsentEngine absent;
  FieldReader reader(object, fmt::format("absent[{}]", index));
  reader.text("suite", absent.suite);
  reader.text("engine", absent.engine);
  reader.text("reason", absent.reason);
  // Files of before there were such cases lack it.
  if (object.contains("case")) reader.text("case", absent.case_name);
  if (reader.error()) return std::unexpected(*reader.error());
  return absent;
}

// Adds what `parse` makes of each element.
template <class Item>
Result<void> parse_each(const json& array, Result<Item> (*parse)(const json&, std::size_t), std::vector<Item>& items) {
  for (const json& object : array) {
    auto item = parse(object, items.size());
    if (!item) return std::unexpected(item.error());
    items.push_back(*std::move(item));
  }
  return {};
}

// How deep brackets stand in each other: a text of them alone would take many times its size. What is no JSON is refused anyway.
std::size_t depth_of(std::string_view text) {
  std::size_t depth = 0, deepest = 0;
  bool in_text = false;
  for (std::size_t place = 0; place < text.size(); ++place) {
    const char character = text[place];
    if (in_text && character == '\\') {
      ++place;
    } else if (character == '"') {
      in_text = !in_text;
    } else if (!in_text && (character == '[' || character == '{')) {
      deepest = std::max(deepest, ++depth);
    } else if (!in_text && (character == ']' || character == '}') && depth != 0) {
      --depth;
    }
  }
  return deepest;
}

// What is wrong with the form as a whole, before any field is looked at.
Result<void> check_schema(const json& object) {
  if (!object.is_object()) return fail(ErrorCode::kInvalidArgument, "is no report of caisson bench: not a JSON object");
  const auto schema = object.find("schema");
  if (schema == object.end()) {
    return fail(ErrorCode::kUnsupported,
                "is no report of caisson bench, or one of a version that gave it no number: it has no \"schema\"");
  }
  if (*schema != kReportSchema) {
    const std::string number = schema->is_number_integer() ? schema->dump() : "that is no number";
    return fail(ErrorCode::kUnsupported,
                fmt::format("is a report of schema {}, and this version of caisson reads schema {}; measure again",
                            number, kReportSchema));
  }
  return {};
}

std::unexpected<Error> fail_with_file(const char* what, const std::string& path) {
  return fail(ErrorCode::kIo, fmt::format("cannot be {}: {}", what, std::strerror(errno)), path);
}

}  // namespace

std::string to_json(const Report& report) {
  json rows = json::array(), absent = json::array(), path_counters = json::array();
  for (const Row& row : report.rows) rows.push_back(row_json(row));
  for (const AbsentEngine& engine : report.absent) {
    absent.push_back(
        {{"suite", engine.suite}, {"engine", engine.engine}, {"reason", engine.reason}, {"case", engine.case_name}});
  }
  for (const PathCounters& counters : report.path_counters) {
    path_counters.push_back({{"suite", counters.suite},
                             {"case", counters.case_name},
                             {"engine", counters.engine},
                             {"text", counters.text}});
  }
  return json{{"schema", kReportSchema},
              {"version", report.version},
              {"machine", machine_json(report.machine)},
              {"yardstick", yardstick_json(report.yardstick)},
              {"suite", report.suites},
              {"rows", rows},
              {"absent", absent},
              {"path_counters", path_counters}}
      .dump(1, ' ', false, json::error_handler_t::replace);
}

Result<Report> parse_report(std::string_view text) {
  if (text.size() > kMostBytes) return fail(ErrorCode::kLimit, "is larger than a report may be");
  if (depth_of(text) > kDeepest) return fail(ErrorCode::kLimit, "is nested deeper than a report may be");
  const json object = json::parse(text, nullptr, false);
  if (object.is_discarded()) return fail(ErrorCode::kInvalidArgument, "is no JSON");
  if (const auto known = check_schema(object); !known) return std::unexpected(known.error());
  Report report;
  FieldReader reader(object, "");
  reader.text("version", report.version);
  const json* const machine = reader.field("machine");
  const json* const yardstick = reader.field("yardstick");
  const json* const suites = reader.array("suite", kMostRows);
  const json* const rows = reader.array("rows", kMostRows);
  const json* const absent = reader.array("absent", kMostRows);
  if (reader.error()) return std::unexpected(*reader.error());
  auto where = parse_machine(*machine);
  if (!where) return std::unexpected(where.error());
  report.machine = *std::move(where);
  const auto speed = parse_yardstick(*yardstick);
  if (!speed) return std::unexpected(speed.error());
  report.yardstick = *speed;
  for (const json& suite : *suites) {
    if (!suite.is_string()) return fail(ErrorCode::kInvalidArgument, "a suite's name is no text", "suite");
    report.suites.push_back(suite.get<std::string>());
  }
  if (auto parsed = parse_each(*rows, parse_row, report.rows); !parsed) return std::unexpected(parsed.error());
  if (auto parsed = parse_each(*absent, parse_absent, report.absent); !parsed) return std::unexpected(parsed.error());
  if (!object.contains("path_counters")) return report;
  const json* const path_counters = reader.array("path_counters", kMostRows);
  if (reader.error()) return std::unexpected(*reader.error());
  if (auto parsed = parse_each(*path_counters, parse_path_counters, report.path_counters); !parsed)
    return std::unexpected(parsed.error());
  return report;
}

Result<Report> read_report(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return fail_with_file("read", path);
  // One byte more than may be there, so that a file without an end, such as a device, does not fill the memory.
  std::string text(kMostBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return fail_with_file("read", path);
  text.resize(static_cast<std::size_t>(stream.gcount()));
  auto report = parse_report(text);
  if (!report) {
    const Error& error = report.error();
    return fail(error.code, error.message, error.where.empty() ? path : fmt::format("{}: {}", path, error.where));
  }
  return report;
}

Result<void> check_writable(const std::string& path) {
  if (!std::ofstream(path, std::ios::app)) return fail_with_file("written", path);
  return {};
}

Result<void> write_text(const std::string& text, const std::string& path) {
  std::ofstream stream(path, std::ios::trunc | std::ios::binary);
  stream << text << '\n';
  if (!stream.flush()) return fail_with_file("written", path);
  return {};
}

}  // namespace caisson::bench
