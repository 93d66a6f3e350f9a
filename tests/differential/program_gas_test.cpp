// Gas of generated programs: the same however a run is cut into slices, in every tier, and what the instruction table says;
// running out of it loses nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "differential/batch_runs.h"
#include "gas/gas_schedule.h"
#include "generators/program_generator.h"
#include "isa/riscv/decoder.h"

namespace caisson::differential {
namespace {

constexpr std::uint64_t kSeed = 0x6a5;

fuzz::BatchImage make_image(std::uint64_t seed, std::size_t programs, const fuzz::GeneratorOptions& options) {
  fuzz::ProgramGenerator generator(seed, options);
  std::vector<fuzz::Program> made;
  for (std::size_t i = 0; i < programs; ++i) made.push_back(generator.next());
  return fuzz::make_batch(made).value();
}

TEST(ProgramGas, IsTheSameHoweverARunIsCut) {
  const fuzz::BatchImage image = make_image(kSeed, 60, {});
  const TierRun whole = run_on_tier(image, tests::tiers().front());
  ASSERT_EQ(whole.failure, "");
  for (const tests::Tier& tier : tests::tiers()) {
    const auto expect_the_same = [&](const TierRun& run, std::string_view how) {
      EXPECT_EQ(run.failure, "") << tier.name << how;
      EXPECT_EQ(run.gas, whole.gas) << tier.name << how;
      EXPECT_EQ(run.gas_used, whole.gas_used) << tier.name << how;
      EXPECT_EQ(run.output, whole.output) << tier.name << how;
    };
    expect_the_same(run_on_tier(image, tier), ", whole");
    expect_the_same(run_on_tier_in_portions(image, tier, 1, 0), ", unit by unit");
    expect_the_same(run_on_tier_in_portions(image, tier, 300, 1), ", in small portions");
    expect_the_same(run_on_tier_in_portions(image, tier, 100'000, 2), ", in large portions");
    expect_the_same(run_block_by_block(image, tier).result, ", block by block");
  }
}

TEST(ProgramGas, OfProgramsWithoutBranchesIsTheSumOfTheWeights) {
  const fuzz::BatchImage image = make_image(kSeed, 60, {.items = 120, .control = false, .excluded = {}});
  std::vector<std::uint64_t> wanted;
  std::uint64_t gas = 0;
  std::vector<std::uint8_t> code = image.code;
  code.resize(code.size() + 2);  // decode() may look at four bytes of a last compressed instruction
  for (std::size_t offset = 0; offset + 4 <= code.size();) {
    std::uint32_t bits;
    std::memcpy(&bits, code.data() + offset, sizeof bits);
    const riscv::Decoded decoded = riscv::decode(bits);
    gas += gas::weight(decoded.op);
    if (decoded.op == riscv::Op::kEcall) wanted.push_back(gas);
    offset += decoded.length;
  }
  for (const tests::Tier& tier : tests::tiers()) {
    const TierRun run = run_on_tier(image, tier);
    EXPECT_EQ(run.failure, "") << tier.name;
    EXPECT_EQ(run.gas_used, wanted.back()) << tier.name;
    EXPECT_EQ(run.gas, std::vector(wanted.begin(), wanted.end() - 1)) << tier.name;
  }
}

TEST(ProgramGas, RunningOutAtEveryPointStopsAtABlockAndLosesNothing) {
  const fuzz::BatchImage image = make_image(kSeed + 1, 1, {.items = 10, .control = true, .excluded = {}});
  for (const tests::Tier& tier : tests::tiers()) {
    const TierRun whole = run_on_tier(image, tier);
    ASSERT_EQ(whole.failure, "");
    std::vector<BlockRun::Entry> entries = run_block_by_block(image, tier).entries;
    entries.push_back({.pc = 0, .gas_used = whole.gas_used});
    for (std::uint64_t granted = 0; granted < whole.gas_used; ++granted) {
      const auto process = BatchProcess::start(image, tier).value();
      ASSERT_FALSE(process->run(granted)) << tier.name << " with " << granted;
      // The block that cannot be paid is the one that begins at or below `granted` and ends above.
      const auto stop = std::prev(std::ranges::upper_bound(entries, granted, {}, &BlockRun::Entry::gas_used));
      ASSERT_EQ(process->hart().gas_used(), stop->gas_used) << tier.name << " with " << granted;
      ASSERT_EQ(process->hart().pc, stop->pc) << tier.name << " with " << granted;

      // As much as is missing, to the unit.
      ASSERT_TRUE(process->run(whole.gas_used - granted)) << tier.name << " with " << granted;
      ASSERT_EQ(process->hart().gas_used(), whole.gas_used) << tier.name << " with " << granted;
      ASSERT_EQ(process->hart().gas, 0u);
      ASSERT_EQ(process->result().output, whole.output) << tier.name << " with " << granted;
    }
  }
}

}  // namespace
}  // namespace caisson::differential
