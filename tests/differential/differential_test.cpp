// Generated programs over the whole instruction table: tiers against qemu-riscv64, more than five million guest instructions a run.
//
// A program that differs is shrunk, and saved in tests/differential/saved/ from where it is replayed in every later run.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include "differential/batch_runs.h"
#include "differential/shrink.h"
#include "generators/program_generator.h"
#include "isa/riscv/decoder.h"

namespace caisson::differential {
namespace {

constexpr std::size_t kProgramsPerBatch = 400;
constexpr unsigned kFixedBatches = 8;
constexpr unsigned kFreshBatches = 4;  // or CAISSON_FRESH_BATCHES, from the seed CAISSON_FRESH_SEED, in the environment
constexpr std::uint64_t kFixedSeed = 0x5eed;
constexpr std::uint64_t kWantedInstructions = 5'000'000;
constexpr std::size_t kProgramsForSlowTiers = 12;
constexpr std::size_t kFailuresToShrink = 3;  // of each tier and batch; the first batch that fails is the last one

// What qemu-riscv64 7.2 does not know (Zicond) or gets wrong (ctzw looks at the upper half where the lower is zero):
// formula_test.cpp has these.
fuzz::GeneratorOptions oracle_options() {
  return {.items = 70, .control = true, .excluded = {riscv::Op::kCzeroEqz, riscv::Op::kCzeroNez, riscv::Op::kCtzw}};
}

std::vector<fuzz::Program> make_programs(std::uint64_t seed) {
  fuzz::ProgramGenerator generator(seed, oracle_options());
  std::vector<fuzz::Program> programs;
  for (std::size_t i = 0; i < kProgramsPerBatch; ++i) programs.push_back(generator.next());
  return programs;
}

bool differs(const fuzz::Program& program, const tests::Tier& tier) {
  const Result<fuzz::BatchImage> image = fuzz::make_batch({&program, 1});
  return image && first_difference(run_on_tier(*image, tier).output, run_on_oracle(*image)).has_value();
}

// Shrinks and saves; returns what to tell the reader. A program that fails only behind others in its batch is not saved: its
// seed repeats it.
std::string report_failure(const fuzz::Program& program, const tests::Tier& tier, std::uint64_t seed,
                           const Difference& difference) {
  const std::string what =
      fmt::format("seed {:#x}, program {} on {}: {}", seed, difference.program, tier.name, difference.description);
  if (!differs(program, tier)) return what + "; only in its batch: CAISSON_FRESH_SEED repeats it";
  const fuzz::Program small = shrink(program, [&](const fuzz::Program& candidate) { return differs(candidate, tier); });
  const auto path =
      std::filesystem::path(CAISSON_SAVED_PROGRAMS) / fmt::format("{:x}-{}.program", seed, difference.program);
  std::ofstream(path) << fmt::format("# {}\n{}", what, to_text(small));
  return what + "; shrunk in " + path.string();
}

// The tiers that compile slowly, or all others, on one batch; returns the instructions it executes.
std::uint64_t compare_programs(const std::vector<fuzz::Program>& programs, std::uint64_t seed, bool on_slow_tiers) {
  const Result<fuzz::BatchImage> image = fuzz::make_batch(programs);
  if (!image) {
    ADD_FAILURE() << image.error().to_string();
    return 0;
  }
  auto oracle = std::async(std::launch::async, [&] { return run_on_oracle(*image); });
  std::vector<std::pair<const tests::Tier*, TierRun>> runs;
  for (const tests::Tier& tier : tests::tiers()) {
    if (tier.compiles_slowly() == on_slow_tiers) runs.emplace_back(&tier, run_on_tier(*image, tier));
  }
  const std::vector<std::uint8_t> wanted = oracle.get();
  for (const auto& [tier, run] : runs) {
    EXPECT_EQ(run.failure, "") << tier->name << ", seed " << seed;
    EXPECT_EQ(run.gas, runs.front().second.gas) << "gas on " << tier->name << ", seed " << seed;
    std::size_t begin = 0;
    for (std::size_t failures = 0; failures < kFailuresToShrink; ++failures) {
      const std::size_t offset = begin * sizeof(fuzz::Record);
      std::optional<Difference> difference =
          first_difference(std::span(run.output).subspan(std::min(offset, run.output.size())),
                           std::span(wanted).subspan(std::min(offset, wanted.size())));
      if (!difference) break;
      difference->program += begin;
      begin = difference->program + 1;
      ADD_FAILURE() << report_failure(programs.at(difference->program), *tier, seed, *difference);
    }
  }
  const BlockRun blocks = run_block_by_block(*image, tests::tiers().front());
  EXPECT_EQ(blocks.result.failure, "") << "seed " << seed;
  EXPECT_EQ(blocks.result.gas, runs.front().second.gas) << "block by block, seed " << seed;
  return blocks.instructions;
}

std::uint64_t compare_batch(std::uint64_t seed) {
  std::vector<fuzz::Program> programs = make_programs(seed);
  const std::uint64_t instructions = compare_programs(programs, seed, false);
  programs.resize(std::min(programs.size(), kProgramsForSlowTiers));
  return instructions + compare_programs(programs, seed, true);
}

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

TEST(Differential, GeneratedProgramsGiveWhatTheOracleGives) {
  if (!has_oracle()) GTEST_SKIP() << "needs qemu-riscv64";
  const auto now = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  const std::uint64_t fresh_seed = number_from_environment("CAISSON_FRESH_SEED", now);
  std::vector<std::uint64_t> seeds;
  for (unsigned i = 0; i < kFixedBatches; ++i) seeds.push_back(kFixedSeed + i);
  for (std::uint64_t i = 0; i < number_from_environment("CAISSON_FRESH_BATCHES", kFreshBatches); ++i) {
    seeds.push_back(fresh_seed + i);
  }
  fmt::print("{} seeds from {:#x}, {} from {:#x}\n", kFixedBatches, kFixedSeed, seeds.size() - kFixedBatches,
             fresh_seed);
  std::fflush(stdout);  // also for who reads what a run that was killed has left
  std::uint64_t instructions = 0;
  for (std::uint64_t seed : seeds) {
    instructions += compare_batch(seed);
    ASSERT_FALSE(HasFailure()) << "in the batch of seed " << fmt::format("{:#x}", seed);
  }
  fmt::print("{} instructions\n", instructions);
  EXPECT_GE(instructions, kWantedInstructions);
}

TEST(Differential, SavedProgramsGiveWhatTheOracleGives) {
  if (!has_oracle()) GTEST_SKIP() << "needs qemu-riscv64";
  for (const auto& entry : std::filesystem::directory_iterator(CAISSON_SAVED_PROGRAMS)) {
    if (entry.path().extension() != ".program") continue;
    std::ifstream file(entry.path());
    const Result<fuzz::Program> program = fuzz::parse_program(std::string(std::istreambuf_iterator<char>(file), {}));
    ASSERT_TRUE(program) << entry.path() << ": " << program.error().to_string();
    for (const tests::Tier& tier : tests::tiers())
      EXPECT_FALSE(differs(*program, tier)) << entry.path() << " on " << tier.name;
  }
}

// The same bytes by way of the loader, the personality and the command line.
TEST(Differential, TheCommandLineRunsABatchAsTheTierDoes) {
  const fuzz::BatchImage image = fuzz::make_batch(make_programs(kFixedSeed)).value();
  const TierRun wanted = run_on_tier(image, tests::tiers().front());
  ASSERT_EQ(wanted.failure, "");
  EXPECT_EQ(run_as_file(image, {CAISSON_BINARY, "run"}), wanted.output);
}

TEST(Generator, SameSeedSameProgramsAndTextKeepsThem) {
  fuzz::ProgramGenerator first(7), second(7), other(8);
  for (int i = 0; i < 20; ++i) {
    const fuzz::Program program = first.next();
    const std::string text = to_text(program);
    EXPECT_EQ(text, to_text(second.next()));
    EXPECT_NE(text, to_text(other.next()));
    const Result<fuzz::Program> parsed = fuzz::parse_program(text);
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    EXPECT_EQ(to_text(*parsed), text);
    EXPECT_EQ(fuzz::make_batch({&program, 1})->code, fuzz::make_batch({&*parsed, 1})->code);
  }
}

// What the generator means is what the decoder reads, for every row that it uses.
TEST(Generator, EveryRowIsEncodedAsTheDecoderReadsIt) {
  std::vector<bool> seen(riscv::kOpCount);
  const auto check = [&](const fuzz::Instruction& instruction) {
    const riscv::Decoded decoded = riscv::decode(fuzz::encode(instruction));
    const riscv::InstructionInfo& row = fuzz::info(instruction);
    EXPECT_EQ(riscv::info(decoded.op).mnemonic, riscv::info(row.base).mnemonic);
    if (row.has(riscv::traits::kReadsRs3)) EXPECT_EQ(decoded.rs3, instruction.rs3) << row.mnemonic;
    if (row.has(riscv::traits::kRoundingMode)) EXPECT_EQ(decoded.rm, instruction.rm) << row.mnemonic;
    if (row.op == row.base && row.has(riscv::traits::kWritesRd)) EXPECT_EQ(decoded.rd, instruction.rd) << row.mnemonic;
    if (row.op == row.base && row.has(riscv::traits::kReadsRs1))
      EXPECT_EQ(decoded.rs1, instruction.rs1) << row.mnemonic;
    if (row.op == row.base && row.has(riscv::traits::kReadsRs2))
      EXPECT_EQ(decoded.rs2, instruction.rs2) << row.mnemonic;
    if (row.pattern.find_first_of("iI") != row.pattern.npos) EXPECT_EQ(decoded.imm, instruction.imm) << row.mnemonic;
    seen[static_cast<std::size_t>(row.op)] = true;
  };
  fuzz::ProgramGenerator generator(1);
  for (int i = 0; i < 400; ++i) {
    for (const fuzz::Item& item : generator.next().items) {
      for (const fuzz::Instruction& instruction : item.setup) check(instruction);
      if (item.kind == fuzz::ItemKind::kPlain) check(item.instruction);
      if (item.kind != fuzz::ItemKind::kPlain) seen[static_cast<std::size_t>(item.instruction.row)] = true;
    }
  }
  for (const riscv::InstructionInfo& row : riscv::kInstructions) {
    const bool left_out = row.base == riscv::Op::kIllegal || row.base == riscv::Op::kEcall ||
                          row.base == riscv::Op::kEbreak || row.op == riscv::Op::kCAddi16sp;
    if (!left_out) EXPECT_TRUE(seen[static_cast<std::size_t>(row.op)]) << row.mnemonic << " is never generated";
  }
}

}  // namespace
}  // namespace caisson::differential
