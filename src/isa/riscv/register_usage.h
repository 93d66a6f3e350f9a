// How often each guest register is used per unit of gas, estimated from sampled blocks: for tiers that keep some of them in
// host registers.
//
// A hart whose slice ends stands at a block that it reached with a probability proportional to the block's share of the
// executed gas. Counting the block's register operands, divided by its cost, estimates the uses per unit of gas.
//
//   RegisterUsage usage;
//   usage.add_block(block, cost);
//   std::array<std::uint8_t, 7> best;
//   most_used(usage.integers(), 1, best);
//
// Used by one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "isa/riscv/decoder.h"

namespace caisson::riscv {

class RegisterUsage {
 public:
  // By register number.
  using Uses = std::array<std::uint64_t, 32>;

  // Counts the operands of a block that costs `cost` gas, which is not 0. x0 is never counted.
  void add_block(std::span<const Decoded> block, std::uint32_t cost);

  // Halves all uses, so that newer samples weigh more than older ones.
  void fade();

  const Uses& integers() const { return integers_; }
  const Uses& floats() const { return floats_; }
  // All uses of both register files.
  std::uint64_t sum() const;

 private:
  Uses integers_{}, floats_{};
};

// Fills `best` with the registers from `first` on that have the most uses, the lowest numbers first among equals. There must be
// as many: first + best.size() <= 32.
void most_used(const RegisterUsage::Uses& uses, std::uint8_t first, std::span<std::uint8_t> best);

// The uses of the given registers together.
std::uint64_t covered(const RegisterUsage::Uses& uses, std::span<const std::uint8_t> registers);

}  // namespace caisson::riscv
