// What a row reports of its samples.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace caisson::bench {

struct Summary {
  double median = 0, minimum = 0, maximum = 0;
  std::size_t runs = 0;
  // The 95 % interval of the median.
  double low = 0, high = 0;
  // Samples that lie further from the middle half of them than one and a half times its width (Tukey's fences).
  std::size_t outliers = 0;
  // In the order they were taken; of more than kMostSamplesKept every n-th. What is above is of all.
  std::vector<double> samples = {};
};

inline constexpr std::size_t kMostSamplesKept = 256;

// Of at least one sample; the median of an even number is the mean of the middle two.
Summary summarize(std::span<const double> samples);

// A summary of numbers that are no samples of one thing, such as the ratios of many cases: it has no interval but what `low` and
// `high` say, and keeps no samples.
Summary summarize_cases(double middle, double low, double high, std::span<const double> values);

// The place, from 0, of the sorted sample that is the lower end of the 95 % interval of the median of `count` samples; the upper
// end lies as far from the other end of the list. Such an interval assumes nothing about the distribution: how many of n samples
// lie below the median is binomial. Fewer than six samples cannot give 95 %; for them it is the first, 0.
std::size_t median_interval_place(std::size_t count);

// Of at least one positive number.
double geometric_mean(std::span<const double> values);

}  // namespace caisson::bench
