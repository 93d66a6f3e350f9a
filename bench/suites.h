// One function a suite; bench.cpp lists them.
#pragma once

#include "bench/bench.h"

namespace caisson::bench {

Suite compute_suite();
Suite call_suite();
Suite compile_suite();
Suite start_suite();
Suite cold_suite();
Suite programs_suite();
Suite idle_suite();
Suite recurse_suite();
Suite recurse_data_suite();
Suite ptcache_suite();
Suite lifecycle_suite();
Suite raw_suite();
Suite syscall_suite();
Suite gas_suite();

// Samples of several engines that took turns: samples[engine][turn]. Adds a time_ns row for each engine and, against the first
// one, a ratio_to_native row for each other, made of the ratios within each turn.
void add_time_rows(Report& report, const std::string& suite, const std::string& case_name,
                   const std::vector<std::string>& engines, const std::vector<std::vector<double>>& samples);

// Notes once for each suite that an engine is absent, or, with a case, that it does not support that.
void add_absent(Report& report, const std::string& suite, const std::string& engine, const std::string& reason,
                const std::string& case_name = {});

}  // namespace caisson::bench
