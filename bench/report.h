// What a bench run found: rows in the order they were measured, printed as tables and written as JSON.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "bench/statistics.h"
#include "caisson/result.h"

namespace caisson::bench {

// One measured quantity of one case on one engine (a tier, a peer, or "native").
struct Row {
  std::string suite, case_name, engine, metric, unit;
  Summary summary;
  std::string note;
};

// An engine that could not take part, and why.
struct AbsentEngine {
  std::string suite, engine, reason;
};

struct Report {
  std::vector<std::string> suites;
  std::vector<Row> rows;
  std::vector<AbsentEngine> absent;
};

// A table for each suite and metric: cases by engines, each cell the median with the minimum and maximum.
void print_tables(const Report& report, std::FILE* to);

// {"version", "machine", "suite", "rows", "absent"}, see README.md, "The command line".
std::string to_json(const Report& report);

// Makes the file if it does not exist, to know before a long measurement that there is where to put it. Errors: kIo.
Result<void> check_writable(const std::string& path);

// Replaces the file. Errors: kIo.
Result<void> write_json(const Report& report, const std::string& path);

}  // namespace caisson::bench
