// How hot places have to be, by what became of units so far.
#include "runtime/hot_threshold.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace caisson::runtime {
namespace {

constexpr std::uint64_t kConfigured = 2'000'000, kRaised = kConfigured * HotThreshold::kTimesWhereStaysAreShort;

void lose(HotThreshold& threshold, std::uint64_t times) {
  for (std::uint64_t made = 0; made < times; ++made) threshold.note_loss();
}
void stay(HotThreshold& threshold, std::uint64_t gas, int times) {
  for (int made = 0; made < times; ++made) threshold.note_stay(gas);
}

TEST(HotThreshold, FewLossesLeaveItAsConfigured) {
  HotThreshold threshold(kConfigured);
  EXPECT_EQ(threshold.value(), kConfigured);
  stay(threshold, 1, 1000);
  lose(threshold, HotThreshold::kManyLosses - 1);
  EXPECT_EQ(threshold.value(), kConfigured);
  threshold.note_loss();
  EXPECT_EQ(threshold.value(), kRaised);
  EXPECT_EQ(threshold.configured(), kConfigured);
}

TEST(HotThreshold, LongStaysLeaveItAsConfigured) {
  HotThreshold threshold(kConfigured);
  lose(threshold, 10 * HotThreshold::kManyLosses);
  EXPECT_EQ(threshold.value(), kConfigured) << "no stay is known";
  stay(threshold, HotThreshold::kLeastGasOfStay, 100);
  EXPECT_EQ(threshold.value(), kConfigured);
  threshold.note_stay(HotThreshold::kLeastGasOfStay - 1);
  EXPECT_EQ(threshold.value(), kRaised) << "shorter on the whole";
  threshold.note_stay(HotThreshold::kLeastGasOfStay + 1);
  EXPECT_EQ(threshold.value(), kConfigured) << "it falls again";
}

TEST(HotThreshold, NoThresholdWrapsAround) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  HotThreshold threshold(kMost);
  lose(threshold, HotThreshold::kManyLosses);
  stay(threshold, 0, 1);
  EXPECT_GE(threshold.value(), kMost - HotThreshold::kTimesWhereStaysAreShort);
}

}  // namespace
}  // namespace caisson::runtime
