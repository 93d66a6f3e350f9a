#include "bench/references.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/report.h"

extern "C" const char caisson_embedded_references[];
extern "C" const char caisson_embedded_references_end[];

namespace caisson::bench {
namespace {

using nlohmann::json;

std::vector<Reference> parse() {
  const json file = json::parse(references_text());
  std::vector<Reference> list;
  for (const json& figure : file["figures"]) {
    const json& source = file["sources"].at(figure["source"].get<std::string>());
    list.push_back({.suite = figure["suite"],
                    .what = figure["what"],
                    .engine = figure["engine"],
                    .unit = figure["unit"],
                    .low = figure["low"],
                    .high = figure["high"],
                    .source = source["title"],
                    .machine = source["machine"]});
  }
  return list;
}

std::string figure_text(const Reference& reference) {
  const std::string low = readable(reference.low, reference.unit);
  return reference.low == reference.high ? low : fmt::format("{} … {}", low, readable(reference.high, reference.unit));
}

}  // namespace

std::string_view references_text() {
  return {caisson_embedded_references,
          static_cast<std::size_t>(caisson_embedded_references_end - caisson_embedded_references)};
}

std::span<const Reference> references() {
  static const std::vector<Reference> kReferences = parse();
  return kReferences;
}

void print_references(std::string_view suite, std::FILE* to) {
  std::string_view what, source;
  for (const Reference& reference : references()) {
    if (reference.suite != suite) continue;
    if (what.empty())
      fmt::print(to, "\n{}: published elsewhere, by others on their machines; not measured here\n", suite);
    if (reference.what != what || reference.source != source) {
      fmt::print(to, "  {} ({}; {})\n", reference.what, reference.source, reference.machine);
      what = reference.what;
      source = reference.source;
    }
    fmt::print(to, "    {:<40}{:>20}\n", reference.engine, figure_text(reference));
  }
}

}  // namespace caisson::bench
