// What a row reports of its samples.
#pragma once

#include <cstddef>
#include <span>

namespace caisson::bench {

struct Summary {
  double median = 0, minimum = 0, maximum = 0;
  std::size_t runs = 0;
};

// Of at least one sample; the median of an even number is the mean of the middle two.
Summary summarize(std::span<const double> samples);

// Of at least one positive number.
double geometric_mean(std::span<const double> values);

}  // namespace caisson::bench
