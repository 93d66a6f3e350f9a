#include "bench/html_report.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "bench/bench.h"
#include "bench/report_json.h"

// The files of bench/report and bench/references.json (see bench/CMakeLists.txt).
#define EMBEDDED(name)                             \
  extern "C" const char caisson_embedded_##name[]; \
  extern "C" const char caisson_embedded_##name##_end[];
EMBEDDED(report_template)
EMBEDDED(report_style)
EMBEDDED(report_charts)
EMBEDDED(report_script)
EMBEDDED(report_plots_css)
EMBEDDED(report_plots_js)
EMBEDDED(references)
#undef EMBEDDED

namespace caisson::bench {
namespace {

using nlohmann::json;

std::string_view between(const char* begin, const char* end) { return {begin, static_cast<std::size_t>(end - begin)}; }

json interval_json(const Summary& summary) {
  return {{"median", summary.median}, {"low", summary.low}, {"high", summary.high}};
}

json change_json(const Change& change) {
  return {{"suite", change.after.suite},
          {"case", change.after.case_name},
          {"engine", change.after.engine},
          {"metric", change.after.metric},
          {"unit", change.after.unit},
          {"before", interval_json(change.before.summary)},
          {"after", interval_json(change.after.summary)},
          {"change", change.change},
          {"low", change.low},
          {"high", change.high},
          {"relative", change.relative},
          {"verdict", to_string(change.verdict)},
          {"note", change.note}};
}

json comparison_json(const Comparison& comparison) {
  json changes = json::array();
  for (const Change& change : comparison.changes) changes.push_back(change_json(change));
  return {
      {"version_before", comparison.version_before},
      {"machine_before",
       {{"processor", comparison.machine_before.processor},
        {"processors", comparison.machine_before.processors},
        {"system", comparison.machine_before.system}}},
      {"speed", {{"middle", comparison.speed.middle}, {"low", comparison.speed.low}, {"high", comparison.speed.high}}},
      {"same_machine", comparison.same_machine},
      {"tolerance", comparison.tolerance},
      {"changes", changes},
      {"only_before", comparison.only_before},
      {"only_after", comparison.only_after}};
}

// The suites of the report with what --list says of them; a file may name others.
json suites_json(const Report& report) {
  json list = json::array();
  for (const std::string& name : report.suites) {
    const auto known = std::ranges::find(suites(), name, &Suite::name);
    list.push_back({{"name", name}, {"summary", known == suites().end() ? "" : known->summary}});
  }
  return list;
}

// JSON that no text in it can end: within a script element "<" is where an end could begin.
std::string inert(const json& value) {
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  std::string result;
  result.reserve(text.size());
  for (const char character : text) {
    if (character == '<') {
      result += "\\u003c";
    } else {
      result += character;
    }
  }
  return result;
}

// The template with each {{name}} replaced; what replaces it is not looked at again.
std::string fill(std::string_view page, std::initializer_list<std::pair<std::string_view, std::string_view>> parts) {
  std::string result;
  for (const auto& [name, part] : parts) {
    const std::size_t place = page.find(name);
    result += page.substr(0, place);
    result += part;
    page.remove_prefix(place + name.size());
  }
  result += page;
  return result;
}

}  // namespace

std::string to_html(const Report& report, const Comparison* comparison) {
#define EMBEDDED(name) between(caisson_embedded_##name, caisson_embedded_##name##_end)
  const json data = {{"report", json::parse(to_json(report))},
                     {"suites", suites_json(report)},
                     {"comparison", comparison == nullptr ? json() : comparison_json(*comparison)},
                     {"references", json::parse(EMBEDDED(references))}};
  const std::string text = inert(data);
  return fill(EMBEDDED(report_template), {{"{{plots_style}}", EMBEDDED(report_plots_css)},
                                          {"{{style}}", EMBEDDED(report_style)},
                                          {"{{data}}", text},
                                          {"{{plots}}", EMBEDDED(report_plots_js)},
                                          {"{{charts}}", EMBEDDED(report_charts)},
                                          {"{{script}}", EMBEDDED(report_script)}});
#undef EMBEDDED
}

}  // namespace caisson::bench
