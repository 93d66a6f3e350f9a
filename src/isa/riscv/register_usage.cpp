#include "isa/riscv/register_usage.h"

#include <algorithm>
#include <numeric>

#include "isa/riscv/instructions.h"

namespace caisson::riscv {
namespace {

// Uses count in 1 / kScale per unit of gas.
constexpr std::uint64_t kScale = 1 << 16;

}  // namespace

void RegisterUsage::add_block(std::span<const Decoded> block, std::uint32_t cost) {
  using namespace traits;
  std::array<std::uint32_t, 32> integers{}, floats{};
  for (const Decoded& decoded : block) {
    const InstructionInfo& row = info(decoded.op);
    if (row.has(kWritesRd)) ++(row.has(kFloatRd) ? floats : integers)[decoded.rd];
    if (row.has(kReadsRs1)) ++(row.has(kFloatRs1) ? floats : integers)[decoded.rs1];
    if (row.has(kReadsRs2)) ++(row.has(kFloatRs2) ? floats : integers)[decoded.rs2];
    if (row.has(kReadsRs3)) ++floats[decoded.rs3];
  }
  for (unsigned reg = 0; reg < 32; ++reg) {
    if (reg != 0) integers_[reg] += integers[reg] * kScale / cost;
    floats_[reg] += floats[reg] * kScale / cost;
  }
}

void RegisterUsage::fade() {
  for (std::uint64_t& uses : integers_) uses /= 2;
  for (std::uint64_t& uses : floats_) uses /= 2;
}

std::uint64_t RegisterUsage::sum() const {
  const std::uint64_t integers = std::accumulate(integers_.begin(), integers_.end(), std::uint64_t{0});
  return std::accumulate(floats_.begin(), floats_.end(), integers);
}

void most_used(const RegisterUsage::Uses& uses, std::uint8_t first, std::span<std::uint8_t> best) {
  std::array<std::uint8_t, 32> order;
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  std::partial_sort_copy(
      order.begin() + first, order.end(), best.begin(), best.end(),
      [&](std::uint8_t a, std::uint8_t b) { return uses[a] != uses[b] ? uses[a] > uses[b] : a < b; });
}

std::uint64_t covered(const RegisterUsage::Uses& uses, std::span<const std::uint8_t> registers) {
  std::uint64_t sum = 0;
  for (const std::uint8_t reg : registers) sum += uses[reg];
  return sum;
}

}  // namespace caisson::riscv
