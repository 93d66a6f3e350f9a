// tools/caisson/: the command line, one file per verb.
//
// A verb parses its own arguments, uses the public API, and returns the exit status of the process; main.cpp has the table of
// verbs. Nothing here knows how guests are executed. Start reading at main.cpp, then run.cpp.
#pragma once

#include <string_view>
#include <vector>

namespace caisson::cli {

// What follows the verb on the command line.
using Arguments = std::vector<std::string_view>;

// Each returns an exit status (exit_status.h) and never throws.
int run_verb(const Arguments& arguments);
int compile_verb(const Arguments& arguments);
int invoke_verb(const Arguments& arguments);
int image_verb(const Arguments& arguments);
int doctor_verb(const Arguments& arguments);
int bench_verb(const Arguments& arguments);
int store_verb(const Arguments& arguments);

}  // namespace caisson::cli
