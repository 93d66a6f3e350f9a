#include "isa/riscv/register_usage.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace caisson::riscv {
namespace {

using Best = std::array<std::uint8_t, 3>;

constexpr Decoded kAddition = {.op = Op::kAdd, .row = Op::kAdd, .rd = 10, .rs1 = 10, .rs2 = 0};
constexpr Decoded kFused = {.op = Op::kFmaddD, .row = Op::kFmaddD, .rd = 1, .rs1 = 2, .rs2 = 3, .rs3 = 3};
constexpr Decoded kFromInteger = {.op = Op::kFcvtDL, .row = Op::kFcvtDL, .rd = 3, .rs1 = 11};

TEST(RegisterUsage, CountsOperandsOfBothFilesButNotX0) {
  RegisterUsage usage;
  const std::array block = {kAddition, kFused, kFromInteger};
  usage.add_block(block, 1);
  EXPECT_EQ(usage.integers()[0], 0u);
  EXPECT_EQ(usage.integers()[10], 2 * usage.integers()[11]);
  EXPECT_EQ(usage.floats()[3], 3 * usage.floats()[1]);
  EXPECT_EQ(usage.sum(), 8 * usage.floats()[2]) << "3 integer and 5 float operands";
}

TEST(RegisterUsage, WeighsByCost) {
  RegisterUsage cheap, dear;
  cheap.add_block({&kAddition, 1}, 2);
  dear.add_block({&kAddition, 1}, 8);
  EXPECT_EQ(cheap.sum(), 4 * dear.sum());
}

TEST(RegisterUsage, MostUsedBreakTiesByNumberAndStartAtFirst) {
  RegisterUsage usage;
  usage.add_block(std::array{kAddition, kFused, kFromInteger}, 4);
  Best best;
  most_used(usage.integers(), 1, best);
  EXPECT_EQ(best, (Best{10, 11, 1}));
  most_used(usage.floats(), 0, best);
  EXPECT_EQ(best, (Best{3, 1, 2}));
  most_used(usage.floats(), 4, best);
  EXPECT_EQ(best, (Best{4, 5, 6}));
  EXPECT_EQ(covered(usage.floats(), Best{1, 2, 9}), 2 * usage.floats()[1]);
}

TEST(RegisterUsage, Fades) {
  RegisterUsage usage;
  usage.add_block({&kFused, 1}, 1);
  const std::uint64_t before = usage.sum();
  usage.fade();
  EXPECT_EQ(usage.sum(), before / 2);
}

}  // namespace
}  // namespace caisson::riscv
