// Reports as files: what `caisson bench --json` writes and --read and --compare take. bench/schema.json describes the form.
#pragma once

#include <string>
#include <string_view>

#include "bench/report.h"
#include "caisson/result.h"

namespace caisson::bench {

// The number of the form, "schema" in the file; another form has another number.
inline constexpr int kReportSchema = 1;

std::string to_json(const Report& report);

// Takes what to_json() gives and trusts none of it: types, ranges, lengths and the number of rows are checked. Errors: kInvalidArgument
// (not such a report; `where` names the field), kUnsupported (a report of another schema), kLimit (more than a report may have).
Result<Report> parse_report(std::string_view text);

// Errors: kIo, kLimit (the file is larger than a report may be), and parse_report()'s; `where` begins with the path.
Result<Report> read_report(const std::string& path);

// Makes the file if it does not exist, to know before a long measurement that there is where to put it. Errors: kIo.
Result<void> check_writable(const std::string& path);

// Replaces the file. Errors: kIo.
Result<void> write_text(const std::string& text, const std::string& path);

}  // namespace caisson::bench
