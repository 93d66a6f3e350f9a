// Which guest registers live in host registers: chosen from what the guest executes (register_chooser.h). The blocks at the ends
// of gas slices are the samples.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "interp/code_cache.h"
#include "isa/riscv/register_chooser.h"

namespace caisson::interp {

class PinChooser {
 public:
  // Counts the block at pc.
  void sample(const CodeCache& cache, std::uint32_t pc);

  bool wants_samples() const { return chooser_.wants_samples(); }
  std::optional<Pins> choose(const Pins& current) { return chooser_.choose(current); }

 private:
  riscv::RegisterChooser<Pins> chooser_;
  std::vector<riscv::Decoded> block_;  // the sampled one, kept for its capacity
};

}  // namespace caisson::interp
