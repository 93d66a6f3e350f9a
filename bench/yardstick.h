// How fast the machine is while a report is measured: the wall time of a fixed piece of native work, taken again and again in between.
//
// On a machine that others use as well, the same code takes half as long again for minutes. Between two reports that looks like a change of
// everything; the yardstick, whose code is the same, says how much of a change the machine explains (comparison.h).
#pragma once

#include <cstddef>
#include <vector>

namespace caisson::bench {

// Nanoseconds: the median, and what nine tenths of the samples are above and below. No samples: 0.
struct Yardstick {
  double median = 0, low = 0, high = 0;
  std::size_t samples = 0;
};

// Does the work once: hashing, memory that misses caches, fresh pages. A few milliseconds.
double time_yardstick();

Yardstick summarize_yardstick(std::vector<double> samples);

}  // namespace caisson::bench
