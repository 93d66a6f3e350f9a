// What a bench run found: rows in the order they were measured, printed as tables (report.cpp), written and read as JSON
// (report_json.h), shown as a page (html_report.h).
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "bench/machine.h"
#include "bench/statistics.h"
#include "bench/yardstick.h"

namespace caisson::bench {

// One measured quantity of one case on one engine (a tier, a peer, or "native").
struct Row {
  std::string suite, case_name, engine, metric, unit;
  Summary summary;
  std::string note;
  // The case of Suite::cases() whose measurement gave it; empty: all of the suite's together. bench::run() says it.
  std::string measured_by = {};
};

// An engine that could not take part, and why: "needs …".
struct AbsentEngine {
  std::string suite, engine, reason;
  // The one case that it does not support; empty: it is not on this machine.
  std::string case_name = {};
};

// Where the time of a case went in one engine: what caisson::perf reports, in builds that have path counters.
struct PathCounters {
  std::string suite, case_name, engine, text;
};

struct Report {
  std::string version = this_version();
  Machine machine = this_machine();
  Yardstick yardstick = {};  // taken before each case
  std::vector<std::string> suites;
  std::vector<Row> rows;
  std::vector<AbsentEngine> absent;
  std::vector<PathCounters> path_counters;
};

// A value in a unit that leaves one to four digits before the point.
std::string readable(double value, const std::string& unit);

// A table for each suite and metric: cases by engines, each cell the median with its 95 % interval.
void print_tables(const Report& report, std::FILE* to);

}  // namespace caisson::bench
