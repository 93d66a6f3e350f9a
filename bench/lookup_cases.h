// Cases of suite `compile` that time JitBackend::lookup(): what each entry into a code region costs before anything of it runs.
#pragma once

#include <string>
#include <vector>

#include "bench/report.h"
#include "caisson/result.h"

namespace caisson::bench {

// "lookup-hit", "lookup-miss": each with one thread, and with two that use the same slots.
std::vector<std::string> lookup_cases();

Result<void> measure_lookup(const std::string& suite, const std::string& case_name, std::size_t runs, Report& report);

}  // namespace caisson::bench
