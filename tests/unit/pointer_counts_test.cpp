// Counts by address against a map.
#include "store/pointer_counts.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace caisson::store {
namespace {

const void* address(std::uint64_t number) { return reinterpret_cast<const void*>(number * 16 + 16); }

TEST(PointerCounts, DoWhatAMapDoes) {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u}) {
    std::mt19937_64 random(seed);
    // Few addresses collide all the time; many make the table grow, and shrink when they go.
    const std::uint64_t addresses = seed % 2 == 0 ? 40 : 5000;
    PointerCounts counts;
    std::map<const void*, std::uint64_t> expected;
    for (int phase = 0; phase < 6; ++phase) {
      const bool grows = phase % 2 == 0;
      for (int i = 0; i < 20'000; ++i) {
        const void* const item = address(random() % addresses);
        if (random() % 8 < (grows ? 6 : 1)) {
          ASSERT_EQ(counts.up(item), ++expected[item] == 1);
        } else if (const auto known = expected.find(item); known != expected.end()) {
          const bool is_last = --known->second == 0;
          ASSERT_EQ(counts.down(item), is_last);
          if (is_last) expected.erase(known);
        }
        ASSERT_EQ(counts.size(), expected.size());
      }
    }
    for (const auto& [item, count] : expected) {
      for (std::uint64_t i = count; i > 0; --i) ASSERT_EQ(counts.down(item), i == 1);
    }
    EXPECT_EQ(counts.size(), 0u);
  }
}

}  // namespace
}  // namespace caisson::store
