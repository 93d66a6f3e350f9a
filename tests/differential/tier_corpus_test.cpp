// The inputs of fuzz/corpus/tier, on which tiers once differed or which reach much, and some at random.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "oracles/tier_comparison.h"

namespace caisson::fuzz {
namespace {

void expect_no_difference(const std::vector<std::uint8_t>& input) {
  const std::optional<std::string> difference = tier_difference(input);
  EXPECT_FALSE(difference.has_value()) << *difference;
}

TEST(TierCorpus, TiersAgree) {
  prepare_tier_comparison();
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(CAISSON_TIER_CORPUS)) {
    SCOPED_TRACE(entry.path().filename().string());
    std::ifstream file(entry.path(), std::ios::binary);
    expect_no_difference({std::istreambuf_iterator<char>(file), {}});
    ++count;
  }
  EXPECT_GT(count, 0U);
}

TEST(TierCorpus, TiersAgreeOnRandomBytes) {
  prepare_tier_comparison();
  std::mt19937 random(1);
  for (unsigned i = 0; i < 400 && !HasFailure(); ++i) {
    SCOPED_TRACE(i);
    std::vector<std::uint8_t> input(12 + random() % 400);
    for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(random());
    input[0] = static_cast<std::uint8_t>(input[0] & ~32U);  // go on behind traps
    expect_no_difference(input);
  }
}

}  // namespace
}  // namespace caisson::fuzz
