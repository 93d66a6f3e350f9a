// What a timer's ticks are worth, and what an empty scope costs.
#pragma once

#include <cstdint>

#include "caisson/perf.h"

namespace caisson::perf {

struct Calibration {
  double ticks_per_ns = 1;
  double floor_ticks = 0;  // what an empty scope records
  double cost_ticks = 0;   // what it takes from the thread that runs it
};

// True where the processor has an even time stamp counter.
bool has_even_tsc();

// Takes some 20 ms. `state`: of the measurement, its flags decide what a scope does. Errors: kUnsupported.
Result<Calibration> calibrate(const Options& options, std::uint64_t state);

}  // namespace caisson::perf
