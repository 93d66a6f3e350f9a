#include "baseline/local_registers.h"

#include <bit>

#include "baseline/op_facts.h"

namespace caisson::baseline {

void LocalStretch::measure(const PageScan& scan, std::uint32_t half_word) {
  length_ = 0;
  counts_.fill(0);
  constexpr std::uint8_t kNotDecoded = PageScan::kMiddleElsewhere | PageScan::kCutOff;
  constexpr std::uint8_t kBreaks = PageScan::kEntry | PageScan::kMeeting | kNotDecoded;
  while (length_ < kMostInstructions && half_word < kHalfWords && scan.has(half_word, PageScan::kVisited)) {
    // The first instruction may be met by others, but it must have been decoded.
    if ((scan.flags(half_word) & (length_ != 0 ? kBreaks : kNotDecoded)) != 0) break;
    const riscv::Decoded& decoded = scan.decoded(half_word);
    if (!has_fact(decoded.op, kIsPlain)) break;
    operands_[length_] = {decoded.rs1, decoded.rs2, decoded.rd};
    ++length_;
    for (const std::uint8_t reg : operands_[length_ - 1]) ++counts_[reg];
    half_word += decoded.length / 2;
  }
  end_ = half_word;
}

unsigned LocalStretch::references(std::uint32_t registers) const {
  unsigned sum = 0;
  for (; registers != 0; registers &= registers - 1) sum += counts_[static_cast<unsigned>(std::countr_zero(registers))];
  return sum;
}

void LocalStretch::start() {
  at_ = 0;
  upcoming_.fill({});
  for (std::uint32_t index = length_; index-- > 0;) {
    const auto& operands = operands_[index];
    for (unsigned operand = 0; operand < kOperands; ++operand) next_[index][operand] = upcoming_[operands[operand]];
    const auto number = static_cast<std::uint16_t>(index);
    upcoming_[operands[kResult]] = {number, false};
    upcoming_[operands[kFirst]] = {number, true};
    upcoming_[operands[kSecond]] = {number, true};
  }
}

void LocalStretch::advance() {
  if (at_ >= length_) return;
  const auto& operands = operands_[at_];
  for (unsigned operand = 0; operand < kOperands; ++operand) upcoming_[operands[operand]] = next_[at_][operand];
  ++at_;
}

}  // namespace caisson::baseline
