// How hot a place has to be before a unit is made of it.
//
// Where units have lost and stays are short on the whole, as those in an interpreter's dispatch are, a further unit is expected to lose: trying it
// costs more than waiting until it is known to be much hotter. Used by the instance's thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace caisson::runtime {

class HotThreshold {
 public:
  // Going to a unit and back takes about 150 ns, in which the baseline tier uses some 500 gas; a unit is 1.3 to 2 times as fast.
  static constexpr std::uint64_t kLeastGasOfStay = 1500;
  // Runs of Python and SQLite lost 16 to 39 units, those of the bench's kernels up to 7.
  static constexpr std::uint64_t kManyLosses = 12, kTimesWhereStaysAreShort = 16;

  // `configured`: RuntimeTuning::hot_threshold, in gas.
  explicit HotThreshold(std::uint64_t configured) : configured_(configured) {}

  // A unit was entered and left after so much gas.
  void note_stay(std::uint64_t gas) {
    gas_ += gas;
    ++stays_;
  }
  // A unit was demoted.
  void note_loss() { ++losses_; }

  std::uint64_t configured() const { return configured_; }
  // In gas, now.
  std::uint64_t value() const {
    const bool is_hopeless = losses_ >= kManyLosses && gas_ < stays_ * kLeastGasOfStay;
    constexpr std::uint64_t kMost = ~std::uint64_t{0} / kTimesWhereStaysAreShort;
    return is_hopeless ? std::min(configured_, kMost) * kTimesWhereStaysAreShort : configured_;
  }

 private:
  const std::uint64_t configured_;
  std::uint64_t losses_ = 0, stays_ = 0, gas_ = 0;  // of all units
};

}  // namespace caisson::runtime
