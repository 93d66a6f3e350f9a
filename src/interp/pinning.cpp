#include "interp/pinning.h"

#include <algorithm>
#include <numeric>

#include "gas/gas_schedule.h"

namespace caisson::interp {
namespace {

// Samples between two choices after the first one, doubled after each change up to the second figure: decoding anew costs
// about as much as executing some ten thousand instructions.
constexpr std::uint32_t kSamplesPerChoice = 32, kMostSamplesPerChoice = 4096;
// Uses count in 1 / kScale per unit of gas.
constexpr std::uint64_t kScale = 1 << 16;

}  // namespace

void PinChooser::sample(const CodeCache& cache, std::uint32_t pc) {
  using namespace riscv::traits;
  std::array<std::uint32_t, 32> uses{};
  std::uint32_t cost = 0;
  const std::uint32_t page = pc / memory::kPageSize;
  while (pc / memory::kPageSize == page) {
    riscv::Decoded decoded;
    if (!cache.fetch(pc, &decoded)) break;
    const riscv::InstructionInfo& row = riscv::info(decoded.op);
    if (row.has(kWritesRd) && !row.has(kFloatRd)) ++uses[decoded.rd];
    if (row.has(kReadsRs1) && !row.has(kFloatRs1)) ++uses[decoded.rs1];
    if (row.has(kReadsRs2) && !row.has(kFloatRs2)) ++uses[decoded.rs2];
    cost += gas::weight(decoded.op);
    pc += decoded.length;
    if (decoded.op == riscv::Op::kIllegal || row.has(kTerminator)) break;
  }
  if (cost == 0) return;
  for (unsigned reg = 1; reg < 32; ++reg) uses_[reg] += uses[reg] * kScale / cost;
  ++samples_;
}

std::optional<Pins> PinChooser::choose(const Pins& current) {
  if (samples_ < samples_wanted_) return std::nullopt;
  samples_ = 0;
  ++evaluations_;
  samples_wanted_ = std::max(samples_wanted_, kSamplesPerChoice);

  std::array<std::uint8_t, 31> order;
  std::iota(order.begin(), order.end(), std::uint8_t{1});
  std::partial_sort(order.begin(), order.begin() + kPinCount, order.end(),
                    [&](std::uint8_t a, std::uint8_t b) { return uses_[a] != uses_[b] ? uses_[a] > uses_[b] : a < b; });
  Pins best;
  std::copy_n(order.begin(), kPinCount, best.begin());
  const auto covered = [&](const Pins& pins) {
    return std::accumulate(pins.begin(), pins.end(), std::uint64_t{0},
                           [&](std::uint64_t sum, std::uint8_t reg) { return sum + uses_[reg]; });
  };
  const std::uint64_t all = std::accumulate(uses_.begin(), uses_.end(), std::uint64_t{0});
  const std::uint64_t gain = covered(best) - covered(current);
  for (std::uint64_t& uses : uses_) uses /= 2;
  if (gain * 16 <= all) return std::nullopt;
  samples_wanted_ = std::min(samples_wanted_ * 2, kMostSamplesPerChoice);
  return best;
}

}  // namespace caisson::interp
