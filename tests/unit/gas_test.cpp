// The gas schedule: every instruction has a price, and the published weights stay what they are.
#include <gtest/gtest.h>

#include <map>
#include <string_view>

#include "gas/gas_schedule.h"

namespace caisson::gas {
namespace {

using riscv::GasClass;
using riscv::InstructionInfo;
using riscv::kInstructions;
using riscv::Op;

TEST(GasSchedule, EveryInstructionHasAClassAndWeight) {
  for (const InstructionInfo& row : kInstructions) {
    if (row.op == Op::kIllegal) continue;
    EXPECT_NE(row.gas_class, GasClass::kIllegal) << row.mnemonic;
    EXPECT_GT(weight(row.op), 0u) << row.mnemonic;
  }
  EXPECT_EQ(weight(Op::kIllegal), 0u);
}

TEST(GasSchedule, CompressedFormsCostWhatTheyStandFor) {
  for (const InstructionInfo& row : kInstructions) EXPECT_EQ(weight(row.op), weight(row.base)) << row.mnemonic;
}

// Bills made under gas-v1 must be reproducible for ever: a change of these numbers needs a schedule with a new name.
TEST(GasSchedule, GasV1IsFrozen) {
  EXPECT_EQ(kScheduleName, "gas-v1");
  EXPECT_EQ(kPageGrantGas, 16u);
  const std::map<std::string_view, std::uint32_t> published = {
      {"illegal", 0}, {"alu", 1},    {"multiply", 3},      {"multiply-high", 4}, {"divide", 24},      {"load", 3},
      {"store", 2},   {"branch", 2}, {"jump", 2},          {"indirect-jump", 5}, {"float", 4},        {"float-move", 2},
      {"atomic", 12}, {"fence", 4},  {"float-divide", 20}, {"fence.i", 200},     {"environment", 40}, {"csr", 4},
  };
  std::map<std::string_view, std::uint32_t> actual;
  for (const ClassWeight& entry : kGasV1) actual[entry.name] = entry.weight;
  EXPECT_EQ(actual, published);
}

TEST(GasSchedule, ExamplesOfEachClass) {
  EXPECT_EQ(weight(Op::kAddi), 1u);
  EXPECT_EQ(weight(Op::kSraw), 1u);
  EXPECT_EQ(weight(Op::kOrcB), 1u);
  EXPECT_EQ(weight(Op::kAuipc), 1u);
  EXPECT_EQ(weight(Op::kMulw), 3u);
  EXPECT_EQ(weight(Op::kMulhsu), 4u);
  EXPECT_EQ(weight(Op::kRemuw), 24u);
  EXPECT_EQ(weight(Op::kFld), 3u);
  EXPECT_EQ(weight(Op::kFsw), 2u);
  EXPECT_EQ(weight(Op::kJal), 2u);
  EXPECT_EQ(weight(Op::kJalr), 5u);
  EXPECT_EQ(weight(Op::kFmaddS), 4u);
  EXPECT_EQ(weight(Op::kFcvtWD), 4u);
  EXPECT_EQ(weight(Op::kFmvXD), 2u);
  EXPECT_EQ(weight(Op::kFsqrtD), 20u);
  EXPECT_EQ(weight(Op::kScD), 12u);
  EXPECT_EQ(weight(Op::kPause), 4u);
  EXPECT_EQ(weight(Op::kFenceI), 200u);
  EXPECT_EQ(weight(Op::kCsrrs), 4u);
  EXPECT_EQ(weight(Op::kEbreak), 40u);
}

TEST(GasSchedule, TheDearestBlockIsDivisionsAndAFenceI) { EXPECT_EQ(dearest_block(), 1024u * 24 + 200); }

}  // namespace
}  // namespace caisson::gas
