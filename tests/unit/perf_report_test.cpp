// Reports against golden files (tests/perf/*.golden), and what a reader of JSON makes of them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "caisson/perf.h"

namespace caisson::perf {
namespace {

// Every unit, the rounding to the next one, a name that is too long, and a row that nobody called.
Report sample(const Options& options) {
  const bool tsc = options.timer == Timer::kTsc;
  Report report{.options = options,
                .floor = 21.25,
                .scope_cost = 44.5,
                .ticks_per_ns = tsc ? 2.5 : 1,
                .rows = {{"BOOT", "boot::load_elf", 1, 111'482, 0, {}},
                         {"BOOT", "boot::never", 0, 0, 0, {}},
                         {"BOOT", "boot::invoke", 2, 2'500'000'000, 0, {}},
                         {"FDTABLE", "fdtable::close", 1'000'000, 12'345'678, 0, {3, 12, 15.5, 40'000}},
                         {"FDTABLE", "fdtable::" + std::string(60, 'x'), 1, 999.9996, 0, {}},
                         {"FDTABLE", "fdtable::dup", 9'999'999'999, 0, 0, {}}}};
  for (Row& row : report.rows) row.cycles = tsc ? row.total * 2.5 : 0;
  return report;
}

std::string golden(const std::string& name) {
  std::ifstream file(std::string(CAISSON_SOURCE_DIR) + "/tests/perf/" + name + ".golden");
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

// UPDATE_GOLDEN=1 writes the file instead, for a change that is meant.
void expect_golden(const std::string& text, const std::string& name) {
  if (std::getenv("UPDATE_GOLDEN") != nullptr)
    std::ofstream(std::string(CAISSON_SOURCE_DIR) + "/tests/perf/" + name + ".golden") << text;
  EXPECT_EQ(text, golden(name));
}

TEST(PerfReport, Text) { expect_golden(sample({}).to_text(), "clock.txt"); }
TEST(PerfReport, TextOfTheTimeStampCounter) {
  expect_golden(sample({.timer = Timer::kTsc, .detail = true}).to_text(), "tsc-detail.txt");
}
TEST(PerfReport, TextOfNestedMode) { expect_golden(sample({.mode = Mode::kNested}).to_text(), "nested.txt"); }
TEST(PerfReport, Json) { expect_golden(sample({}).to_json(), "clock.json"); }
TEST(PerfReport, JsonWithDetail) {
  expect_golden(sample({.timer = Timer::kTsc, .detail = true}).to_json(), "tsc-detail.json");
}
TEST(PerfReport, Csv) { expect_golden(sample({}).to_csv(), "clock.csv"); }
TEST(PerfReport, CsvWithDetail) {
  expect_golden(sample({.timer = Timer::kTsc, .detail = true}).to_csv(), "tsc-detail.csv");
}

// The page's example, character by character.
TEST(PerfReport, ASectionLooksAsDocumented) {
  const std::string text = sample({}).to_text();
  const std::string section =
      "--------------------------------------------CAISSON-BOOT-----------------------------------------\n"
      "name                                                              calls        total          avg\n"
      "-------------------------------------------------------------------------------------------------\n"
      "boot::load_elf                                                        1    111.482us    111.482us\n";
  EXPECT_NE(text.find(section), std::string::npos) << text;
}

TEST(PerfReport, TablesAreNinetySevenColumnsWide) {
  for (const Mode mode : {Mode::kSeparate, Mode::kNested}) {
    std::istringstream lines(sample({.mode = mode}).to_text());
    std::string line;
    std::getline(lines, line);  // what was measured, and how
    EXPECT_LE(line.size(), 97u + 20u);
    while (std::getline(lines, line)) {
      if (!line.empty()) EXPECT_EQ(line.size(), 97u) << line;
    }
  }
}

TEST(PerfReport, JsonIsReadByAReader) {
  Report report = sample({.timer = Timer::kTsc, .detail = true});
  report.rows[0].name = "quote \" backslash \\ newline \n tab \t";
  const nlohmann::json json = nlohmann::json::parse(report.to_json());
  EXPECT_EQ(json["timer"], "tsc");
  EXPECT_EQ(json["mode"], "separate");
  EXPECT_DOUBLE_EQ(json["floor_ns"].get<double>(), 21.25);
  ASSERT_EQ(json["rows"].size(), report.rows.size() - 1);
  EXPECT_EQ(json["rows"][0]["name"], report.rows[0].name);
  EXPECT_EQ(json["rows"][2]["calls"], 1'000'000);
  EXPECT_DOUBLE_EQ(json["rows"][2]["p99_ns"].get<double>(), 15.5);
}

TEST(PerfReport, AnEmptyReportIsStillValid) {
  const Report report;
  EXPECT_EQ(nlohmann::json::parse(report.to_json())["rows"].size(), 0u);
  EXPECT_EQ(report.to_csv(), "section,name,calls,total_ns,avg_ns,floor_ns\n");
}

TEST(PerfReport, CsvQuotesWhatWouldSplitAField) {
  Report report;
  report.rows.push_back({"X", "a,\"b\"", 1, 1, 0, {}});
  EXPECT_NE(report.to_csv().find("X,\"a,\"\"b\"\"\",1,"), std::string::npos) << report.to_csv();
}

}  // namespace
}  // namespace caisson::perf
