#include "interp/pinning.h"

#include <algorithm>

#include "gas/gas_schedule.h"

namespace caisson::interp {
namespace {

// Samples between two choices after the first one, doubled after each change up to the second figure: decoding anew costs
// about as much as executing some ten thousand instructions.
constexpr std::uint32_t kSamplesPerChoice = 32, kMostSamplesPerChoice = 4096;

}  // namespace

void PinChooser::sample(const CodeCache& cache, std::uint32_t pc) {
  block_.clear();
  std::uint32_t cost = 0;
  const std::uint32_t page = pc / memory::kPageSize;
  while (pc / memory::kPageSize == page) {
    riscv::Decoded decoded;
    if (!cache.fetch(pc, &decoded)) break;
    block_.push_back(decoded);
    cost += gas::weight(decoded.op);
    pc += decoded.length;
    if (riscv::info(decoded.op).has(riscv::traits::kTerminator)) break;
  }
  if (cost == 0) return;
  usage_.add_block(block_, cost);
  ++samples_;
}

std::optional<Pins> PinChooser::choose(const Pins& current) {
  if (samples_ < samples_wanted_) return std::nullopt;
  samples_ = 0;
  ++evaluations_;
  samples_wanted_ = std::max(samples_wanted_, kSamplesPerChoice);

  Pins best;
  riscv::most_used(usage_.integers(), 1, best.integers);
  riscv::most_used(usage_.floats(), 0, best.floats);
  const std::uint64_t all = usage_.sum();
  const std::uint64_t gain =
      riscv::covered(usage_.integers(), best.integers) - riscv::covered(usage_.integers(), current.integers) +
      riscv::covered(usage_.floats(), best.floats) - riscv::covered(usage_.floats(), current.floats);
  usage_.fade();
  if (gain * 16 <= all) return std::nullopt;
  samples_wanted_ = std::min(samples_wanted_ * 2, kMostSamplesPerChoice);
  return best;
}

}  // namespace caisson::interp
