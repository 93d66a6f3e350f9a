// What of a run counts as the pace of code, and which paces tell that some is slower.
#include "runtime/pace.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace caisson::runtime {
namespace {

constexpr std::uint64_t kSlice = 240'000;

// So many slices that take `ticks` for 1024 gas.
void add(PacesByLoad& paces, std::uint64_t ticks, bool is_beside_compilers, int slices = 8) {
  for (int made = 0; made < slices; ++made) paces.add({kSlice, kSlice * ticks / 1024}, is_beside_compilers);
}

PacesByLoad alone(std::uint64_t ticks, int slices = 8) {
  PacesByLoad paces;
  add(paces, ticks, false, slices);
  return paces;
}
PacesByLoad beside(std::uint64_t ticks) {
  PacesByLoad paces;
  add(paces, ticks, true);
  return paces;
}

TEST(TypicalPace, LeavesOutWindowsThatTookTwiceAsLong) {
  TypicalPace pace;
  for (const std::uint64_t ticks : {200, 5000, 210, 600}) pace.add({kSlice, kSlice * ticks / 1024});
  EXPECT_EQ(pace.gas(), 2 * kSlice);
  EXPECT_EQ(pace.gas_seen(), 4 * kSlice);
  EXPECT_NEAR(static_cast<double>(pace.ticks_of_gas()), 205, 1);
}

TEST(TypicalPace, SumsShortPartsUntilTheyTellSomething) {
  TypicalPace pace;
  for (int part = 0; part < 99; ++part) pace.add({1000, 300});
  EXPECT_EQ(pace.gas_seen(), 0U);
  pace.add({1000, 300});
  EXPECT_EQ(pace.gas(), 100'000U);
}

TEST(PacesByLoad, ComparesWhatWasAlone) {
  EXPECT_EQ(alone(220).is_slower_than(alone(200)), true);
  EXPECT_EQ(alone(208).is_slower_than(alone(200)), false);
  EXPECT_EQ(alone(150).is_slower_than(alone(200)), false);
}

TEST(PacesByLoad, BesideCompilersMoreIsChance) {
  EXPECT_EQ(beside(240).is_slower_than(beside(200)), false);
  EXPECT_EQ(beside(260).is_slower_than(beside(200)), true);
}

TEST(PacesByLoad, KindsAreNotMixed) {
  EXPECT_FALSE(beside(331).is_slower_than(alone(256)).has_value());
  EXPECT_FALSE(alone(331).is_slower_than(beside(256)).has_value());
  PacesByLoad unit = beside(331), baseline = beside(256);
  EXPECT_EQ(unit.is_slower_than(baseline), true);
  add(unit, 187, false);
  add(baseline, 256, false);
  EXPECT_EQ(unit.is_slower_than(baseline), false) << "what was alone tells more";
}

TEST(PacesByLoad, LittleTellsNothing) {
  EXPECT_FALSE(alone(900, 2).is_slower_than(alone(200)).has_value());
  EXPECT_FALSE(alone(900).is_slower_than(alone(200, 2)).has_value());
  EXPECT_FALSE(PacesByLoad().is_slower_than(PacesByLoad()).has_value());
}

}  // namespace
}  // namespace caisson::runtime
