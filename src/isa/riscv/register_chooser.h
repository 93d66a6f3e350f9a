// Chooses which guest registers live in host registers, from samples of what is executed (register_usage.h).
//
// A choice changes only where another covers noticeably more of the uses, and less and less readily, since each change makes a tier
// translate everything anew. Older samples fade, so that a change of phase shows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "isa/riscv/register_usage.h"

namespace caisson::riscv {

// `Choice` has arrays `integers` and `floats` of register numbers.
template <class Choice>
class RegisterChooser {
 public:
  // Counts a block that a slice ended at; its cost is not 0.
  void sample(std::span<const Decoded> block, std::uint32_t cost) {
    usage_.add_block(block, cost);
    ++samples_;
  }

  // True while few samples are known, when slices should be short.
  bool wants_samples() const { return evaluations_ == 0; }

  // A better choice than `current`, once enough samples say so.
  std::optional<Choice> choose(const Choice& current) {
    if (samples_ < samples_wanted_) return std::nullopt;
    samples_ = 0;
    ++evaluations_;
    samples_wanted_ = std::max(samples_wanted_, kSamplesPerChoice);

    Choice best = current;
    most_used(usage_.integers(), 1, best.integers);
    most_used(usage_.floats(), 0, best.floats);
    const std::uint64_t all = usage_.sum();
    const std::uint64_t gain = covered(usage_.integers(), best.integers) -
                               covered(usage_.integers(), current.integers) + covered(usage_.floats(), best.floats) -
                               covered(usage_.floats(), current.floats);
    usage_.fade();
    if (gain * 16 <= all) return std::nullopt;
    samples_wanted_ = std::min(samples_wanted_ * 2, kMostSamplesPerChoice);
    return best;
  }

 private:
  // Samples between two choices after the first one, doubled after each change up to the second figure: translating anew costs
  // about as much as executing some ten thousand instructions.
  static constexpr std::uint32_t kSamplesPerChoice = 32, kMostSamplesPerChoice = 4096;

  RegisterUsage usage_;
  std::uint32_t samples_ = 0;
  std::uint32_t evaluations_ = 0;
  std::uint32_t samples_wanted_ = 12;
};

}  // namespace caisson::riscv
