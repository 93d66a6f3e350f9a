// Runs a batch of generated programs, on a tier and under qemu-riscv64, and compares what they wrote.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "generators/batch_image.h"
#include "support/tiers.h"

namespace caisson::differential {

struct TierRun {
  std::vector<std::uint8_t> output;  // the records written
  std::vector<std::uint64_t> gas;     // used up to the end of each program that ended
  std::uint64_t gas_used = 0;            // of all
  std::string failure;                 // why the batch did not run to its end; empty where it did
};

// A batch as a process on a tier. Answers write and exit as Linux does.
class BatchProcess {
 public:
  // Starts without gas.
  static Result<std::unique_ptr<BatchProcess>> start(const fuzz::BatchImage& image, const tests::Tier& tier);

  // Runs with `gas` more; true where the process ended (result() tells how), false where it is out of gas.
  bool run(std::uint64_t gas);

  const riscv::HartState& hart() const { return hart_; }
  const TierRun& result() const { return run_; }

 private:
  BatchProcess() = default;
  bool answer_ecall();

  std::unique_ptr<memory::AddressSpace> space_;
  std::unique_ptr<tests::TierRunner> runner_;
  riscv::HartState hart_;
  TierRun run_;
};

// More than any batch needs, and a bound for one that runs away.
inline constexpr std::uint64_t kAmpleGas = std::uint64_t{1} << 32;

TierRun run_on_tier(const fuzz::BatchImage& image, const tests::Tier& tier);

// The same in portions of gas, of 1 to `largest` units at random.
TierRun run_on_tier_in_portions(const fuzz::BatchImage& image, const tests::Tier& tier, std::uint64_t largest,
                                std::uint64_t seed);

// A run of single blocks, each given exactly the gas that its code bytes make it cost.
struct BlockRun {
  struct Entry {
    std::uint64_t pc = 0, gas_used = 0;  // where a block began, and the gas used before it
  };
  std::vector<Entry> entries;
  std::uint64_t instructions = 0;
  TierRun result;  // its failure names a block that cost something else
};
BlockRun run_block_by_block(const fuzz::BatchImage& image, const tests::Tier& tier);

// Whether qemu-riscv64 can be run.
bool has_oracle();

// What the batch writes under qemu-riscv64; shorter than all records where a program was killed.
std::vector<std::uint8_t> run_on_oracle(const fuzz::BatchImage& image);

// What the batch writes as an executable file behind `command` (a program and its arguments).
std::vector<std::uint8_t> run_as_file(const fuzz::BatchImage& image, std::vector<std::string> command);

struct Difference {
  std::size_t program = 0;
  std::string description;
};

// The first program whose record differs or is missing in one of the outputs.
std::optional<Difference> first_difference(std::span<const std::uint8_t> tier, std::span<const std::uint8_t> oracle);

}  // namespace caisson::differential
