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

using Uses = std::array<std::uint64_t, 32>;

// The registers from `first` on with the most uses, the lowest numbers first among equals.
template <std::size_t count>
void most_used(const Uses& uses, std::uint8_t first, std::array<std::uint8_t, count>& best) {
  std::array<std::uint8_t, 32> order;
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  std::partial_sort_copy(
      order.begin() + first, order.end(), best.begin(), best.end(),
      [&](std::uint8_t a, std::uint8_t b) { return uses[a] != uses[b] ? uses[a] > uses[b] : a < b; });
}

std::uint64_t sum_of(const Uses& uses) { return std::accumulate(uses.begin(), uses.end(), std::uint64_t{0}); }

template <std::size_t count>
std::uint64_t covered(const Uses& uses, const std::array<std::uint8_t, count>& registers) {
  std::uint64_t sum = 0;
  for (const std::uint8_t reg : registers) sum += uses[reg];
  return sum;
}

}  // namespace

void PinChooser::sample(const CodeCache& cache, std::uint32_t pc) {
  using namespace riscv::traits;
  std::array<std::uint32_t, 32> uses{}, float_uses{};
  std::uint32_t cost = 0;
  const std::uint32_t page = pc / memory::kPageSize;
  while (pc / memory::kPageSize == page) {
    riscv::Decoded decoded;
    if (!cache.fetch(pc, &decoded)) break;
    const riscv::InstructionInfo& row = riscv::info(decoded.op);
    if (row.has(kWritesRd)) ++(row.has(kFloatRd) ? float_uses : uses)[decoded.rd];
    if (row.has(kReadsRs1)) ++(row.has(kFloatRs1) ? float_uses : uses)[decoded.rs1];
    if (row.has(kReadsRs2)) ++(row.has(kFloatRs2) ? float_uses : uses)[decoded.rs2];
    if (row.has(kReadsRs3)) ++float_uses[decoded.rs3];
    cost += gas::weight(decoded.op);
    pc += decoded.length;
    if (decoded.op == riscv::Op::kIllegal || row.has(kTerminator)) break;
  }
  if (cost == 0) return;
  for (unsigned reg = 0; reg < 32; ++reg) {
    if (reg != 0) uses_[reg] += uses[reg] * kScale / cost;
    float_uses_[reg] += float_uses[reg] * kScale / cost;
  }
  ++samples_;
}

std::optional<Pins> PinChooser::choose(const Pins& current) {
  if (samples_ < samples_wanted_) return std::nullopt;
  samples_ = 0;
  ++evaluations_;
  samples_wanted_ = std::max(samples_wanted_, kSamplesPerChoice);

  Pins best;
  most_used(uses_, 1, best.integers);
  most_used(float_uses_, 0, best.floats);
  const std::uint64_t all = sum_of(uses_) + sum_of(float_uses_);
  const std::uint64_t gain = covered(uses_, best.integers) - covered(uses_, current.integers) +
                             covered(float_uses_, best.floats) - covered(float_uses_, current.floats);
  for (std::uint64_t& uses : uses_) uses /= 2;
  for (std::uint64_t& uses : float_uses_) uses /= 2;
  if (gain * 16 <= all) return std::nullopt;
  samples_wanted_ = std::min(samples_wanted_ * 2, kMostSamplesPerChoice);
  return best;
}

}  // namespace caisson::interp
