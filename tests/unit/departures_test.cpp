#include "baseline/departures.h"

#include <gtest/gtest.h>

namespace caisson::baseline {
namespace {

TEST(Departures, AreNamedByTheCallAndThePushesBeforeIt) {
  Departures departures;
  departures.calls = {{.behind = 10, .first = 0}, {.behind = 40, .first = 3}};
  for (std::uint16_t number = 0; number < 5; ++number) departures.list.push_back({number, 1, number != 4});
  for (std::uint32_t pushes = 0; pushes < 3; ++pushes) EXPECT_EQ(departures.of(10, pushes)->half_word, pushes);
  EXPECT_EQ(departures.of(40, 0)->half_word, 3);
  EXPECT_EQ(departures.of(40, 1)->half_word, 4);
  EXPECT_FALSE(departures.of(40, 1)->is_slice_end);
  // What no code has.
  EXPECT_FALSE(departures.of(10, 3));
  EXPECT_FALSE(departures.of(40, 2));
  EXPECT_FALSE(departures.of(11, 0));
  EXPECT_FALSE(departures.of(41, 0));
  EXPECT_FALSE(Departures{}.of(0, 0));
}

}  // namespace
}  // namespace caisson::baseline
