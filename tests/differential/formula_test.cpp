// Instructions that qemu-riscv64 7.2 does not know (Zicond) or gets wrong (ctzw), against the formulas of the specification:
// random operands and registers.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>
#include <random>

#include "differential/batch_runs.h"
#include "generators/program_generator.h"

namespace caisson::differential {
namespace {

using riscv::Op;

constexpr int kPrograms = 50;
constexpr int kInstructions = 200;

struct Formula {
  Op row;
  std::uint64_t (*result)(std::uint64_t rs1, std::uint64_t rs2);
};
constexpr Formula kFormulas[] = {
    {Op::kCzeroEqz, [](std::uint64_t rs1, std::uint64_t rs2) { return rs2 == 0 ? 0 : rs1; }},
    {Op::kCzeroNez, [](std::uint64_t rs1, std::uint64_t rs2) { return rs2 != 0 ? 0 : rs1; }},
    {Op::kCtzw,
     [](std::uint64_t rs1, std::uint64_t) { return std::uint64_t(std::countr_zero(static_cast<std::uint32_t>(rs1))); }},
    // These make operands anew, else all registers end up small or equal.
    {Op::kSll, [](std::uint64_t rs1, std::uint64_t rs2) { return rs1 << (rs2 & 63); }},
    {Op::kXor, [](std::uint64_t rs1, std::uint64_t rs2) { return rs1 ^ rs2; }},
    {Op::kMul, [](std::uint64_t rs1, std::uint64_t rs2) { return rs1 * rs2; }},
};

// A program of these instructions on random registers, and what they must hold at its end.
struct Expectation {
  fuzz::Program program;
  std::array<std::uint64_t, 32> x{};
};

bool is_kept(const fuzz::Program& program, unsigned number) {
  return number == 2 || number == program.reserved.state || number == program.reserved.pointer;
}

Expectation make_program(fuzz::Program program, std::mt19937_64& random) {
  std::array<std::uint64_t, 32> x = program.x;
  x[0] = 0;
  const auto free_register = [&] {
    std::uint8_t number;
    do {
      number = static_cast<std::uint8_t>(random() % 32);
    } while (is_kept(program, number));
    return number;
  };
  for (int i = 0; i < kInstructions; ++i) {
    const Formula& formula = kFormulas[random() % std::size(kFormulas)];
    const fuzz::Instruction instruction{
        .row = formula.row, .rd = free_register(), .rs1 = free_register(), .rs2 = free_register()};
    program.items.push_back({.instruction = instruction});
    if (instruction.rd != 0) x[instruction.rd] = formula.result(x[instruction.rs1], x[instruction.rs2]);
  }
  return {std::move(program), x};
}

TEST(Formulas, HoldForRandomOperands) {
  std::mt19937_64 random(1);
  fuzz::ProgramGenerator states(1, {.items = 0, .control = false, .excluded = {}});
  for (int round = 0; round < kPrograms; ++round) {
    const auto [program, wanted] = make_program(states.next(), random);
    const Result<fuzz::BatchImage> image = fuzz::make_batch({&program, 1});
    ASSERT_TRUE(image);
    for (const tests::Tier& tier : tests::tiers()) {
      const TierRun run = run_on_tier(*image, tier);
      ASSERT_EQ(run.failure, "") << tier.name;
      ASSERT_EQ(run.output.size(), sizeof(fuzz::Record));
      fuzz::Record record;
      std::memcpy(&record, run.output.data(), sizeof record);
      for (unsigned i = 0; i < 32; ++i) {
        if (!is_kept(program, i))
          EXPECT_EQ(record.x[i], wanted[i]) << "x" << i << " on " << tier.name << ", program " << round;
      }
    }
  }
}

}  // namespace
}  // namespace caisson::differential
