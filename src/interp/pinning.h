// Which guest registers live in host registers: chosen from what the guest executes.
//
// At the end of a gas slice the hart stands at a block that it reached with a probability proportional to its share of the
// executed gas. Counting that block's register operands, divided by its cost, estimates how often each register is used per
// unit of gas. The most used are pinned; a change of phase shows in the samples, since older ones fade.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "interp/code_cache.h"

namespace caisson::interp {

class PinChooser {
 public:
  // Counts the block at pc.
  void sample(const CodeCache& cache, std::uint32_t pc);

  // True while few samples are known, when slices should be short.
  bool wants_samples() const { return evaluations_ == 0; }

  // A better choice than `current`, once enough samples say so.
  std::optional<Pins> choose(const Pins& current);

 private:
  std::array<std::uint64_t, 32> uses_{}, float_uses_{};
  std::uint32_t samples_ = 0;
  std::uint32_t evaluations_ = 0;
  std::uint32_t samples_wanted_ = 12;
};

}  // namespace caisson::interp
