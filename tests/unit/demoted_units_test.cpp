// When units that did not pay are tried again.
#include "runtime/demoted_units.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "caisson/code_blob.h"
#include "optimized/unit_format.h"

namespace caisson::runtime {
namespace {

constexpr std::uint32_t kFunction = 0x2000, kCallee = 0x3000;
constexpr std::uint64_t kGasOfSlice = 240'000, kManySlices = 100'000;

DemotedUnits::Unit unit_at(std::uint32_t pc) {
  CodeBlob blob;
  blob.code = {0xC3};
  blob.entries.push_back({.guest_pc = pc, .offset = 0});
  blob.pc_map = optimized::encode_tables({.pages = {pc / 4096}, .sites = {}});
  return optimized::LoadedUnit::load(blob).value();
}

// Slices of the baseline tier in `function` until a unit is tried again.
std::uint64_t slices_until_again(DemotedUnits& demoted, std::uint32_t function) {
  for (std::uint64_t slices = 1; slices <= kManySlices; ++slices) {
    if (!demoted.note_baseline(function, kGasOfSlice).empty()) return slices;
  }
  return 0;
}

TEST(DemotedUnits, AFunctionIsTriedAgainOnceUnitsCallIt) {
  DemotedUnits demoted;
  const auto unit = unit_at(kFunction);
  demoted.add_short(unit, 0x100);
  EXPECT_TRUE(demoted.contains(kFunction));
  int exits = 1;
  while (demoted.note_exit(kFunction) == nullptr && exits < 1000) ++exits;
  EXPECT_GT(exits, 10);
  EXPECT_LT(exits, 1000);
  EXPECT_EQ(demoted.note_exit(kFunction), nullptr);
  EXPECT_EQ(demoted.note_exit(kCallee), nullptr);
}

TEST(DemotedUnits, ACallerIsTriedAgainOnceTheFunctionThatItCallsHasAUnit) {
  DemotedUnits demoted;
  const auto unit = unit_at(kFunction);
  demoted.add_short(unit, kCallee);
  EXPECT_TRUE(demoted.note_published(0x100).empty());
  EXPECT_EQ(demoted.note_published(kCallee), (std::vector{unit}));
  EXPECT_TRUE(demoted.note_published(kCallee).empty());
}

TEST(DemotedUnits, SlowOnesAreTriedAgainLaterEachTimeUpToABound) {
  DemotedUnits demoted;
  const auto unit = unit_at(kFunction);
  std::vector<std::uint64_t> gas;
  for (int losses = 1; losses <= 8; ++losses) {
    demoted.add_slow(unit, kCallee, kFunction);
    EXPECT_TRUE(demoted.contains(kFunction));
    EXPECT_TRUE(demoted.note_baseline(kCallee, kManySlices * kGasOfSlice).empty());
    constexpr std::uint64_t kStep = 1'000'000;
    std::uint64_t used = kStep;
    while (demoted.note_baseline(kFunction, kStep).empty()) used += kStep;
    gas.push_back(used);
  }
  for (std::size_t losses = 1; losses < 6; ++losses) EXPECT_GT(gas[losses], 4 * gas[losses - 1]) << losses;
  EXPECT_EQ(gas[6], gas[5]);
  EXPECT_EQ(gas[7], gas[5]);
}

TEST(DemotedUnits, WhatPaysAgainHasItsTriesBack) {
  DemotedUnits demoted;
  const auto unit = unit_at(kFunction);
  for (int losses = 0; losses < 20; ++losses) {
    demoted.add_slow(unit, kCallee, kFunction);
    ASSERT_NE(slices_until_again(demoted, kFunction), 0U) << losses;
    demoted.note_pays(kFunction);
  }
}

}  // namespace
}  // namespace caisson::runtime
