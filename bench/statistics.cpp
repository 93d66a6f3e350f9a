#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace caisson::bench {
namespace {

constexpr double kTail = 0.025;  // on each side of a 95 % interval
constexpr double kFence = 1.5;   // Tukey's
// Up to here the binomial distribution is summed; beyond, the normal one is as good.
constexpr std::size_t kMostSummed = 1000;
constexpr double kNormalQuantile = 1.96;  // of kTail

double middle_of(std::span<const double> sorted) {
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 != 0 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

std::size_t count_outliers(std::span<const double> sorted) {
  const std::size_t half = sorted.size() / 2;
  if (half == 0) return 0;
  const double lower = middle_of(sorted.first(half)), upper = middle_of(sorted.last(half));
  const double reach = kFence * (upper - lower);
  return static_cast<std::size_t>(
      std::ranges::count_if(sorted, [&](double sample) { return sample < lower - reach || sample > upper + reach; }));
}

std::vector<double> every_nth(std::span<const double> samples) {
  const std::size_t step = (samples.size() + kMostSamplesKept - 1) / kMostSamplesKept;
  std::vector<double> kept;
  for (std::size_t index = 0; index < samples.size(); index += step) kept.push_back(samples[index]);
  return kept;
}

}  // namespace

std::size_t median_interval_place(std::size_t count) {
  if (count > kMostSummed) {
    const auto size = static_cast<double>(count);
    return static_cast<std::size_t>(std::floor((size - kNormalQuantile * std::sqrt(size)) / 2));
  }
  // The probability that at most `place` of the samples lie below the median, summed by its logarithms: 2^-1000 is no problem then.
  const auto size = static_cast<double>(count);
  double probability = 0;
  for (std::size_t place = 0; place < count; ++place) {
    const auto below = static_cast<double>(place);
    probability +=
        std::exp(std::lgamma(size + 1) - std::lgamma(below + 1) - std::lgamma(size - below + 1) - size * std::log(2.0));
    if (probability > kTail) return place == 0 ? 0 : place - 1;
  }
  return 0;
}

Summary summarize(std::span<const double> samples) {
  std::vector<double> sorted(samples.begin(), samples.end());
  std::ranges::sort(sorted);
  const std::size_t place = median_interval_place(sorted.size());
  return {.median = middle_of(sorted),
          .minimum = sorted.front(),
          .maximum = sorted.back(),
          .runs = sorted.size(),
          .low = sorted[place],
          .high = sorted[sorted.size() - 1 - place],
          .outliers = count_outliers(sorted),
          .samples = every_nth(samples)};
}

Summary summarize_cases(double middle, double low, double high, std::span<const double> values) {
  const auto [least, most] = std::ranges::minmax(values);
  return {.median = middle,
          .minimum = least,
          .maximum = most,
          .runs = values.size(),
          .low = low,
          .high = high,
          .outliers = 0,
          .samples = {}};
}

double geometric_mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += std::log(value);
  return std::exp(sum / static_cast<double>(values.size()));
}

}  // namespace caisson::bench
