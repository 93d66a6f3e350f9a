// Which guest registers live in host registers: chosen from what the guest executes.
//
// The blocks at the ends of gas slices are the samples (register_usage.h). The most used registers are pinned; a change of phase
// shows in the samples, since older ones fade.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "interp/code_cache.h"
#include "isa/riscv/register_usage.h"

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
  riscv::RegisterUsage usage_;
  std::vector<riscv::Decoded> block_;  // the sampled one, kept for its capacity
  std::uint32_t samples_ = 0;
  std::uint32_t evaluations_ = 0;
  std::uint32_t samples_wanted_ = 12;
};

}  // namespace caisson::interp
