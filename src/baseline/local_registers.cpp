#include "baseline/local_registers.h"

#include "baseline/op_facts.h"

namespace caisson::baseline {

bool LocalStretch::measure(const PageScan& scan, std::uint32_t half_word, std::uint32_t least) {
  constexpr std::uint8_t kNotDecoded = PageScan::kMiddleElsewhere | PageScan::kCutOff;
  constexpr std::uint8_t kBreaks = PageScan::kEntry | PageScan::kMeeting | kNotDecoded;
  length_ = 0;
  // The first instruction may be met by others, but it must have been decoded.
  std::uint8_t breaks = kNotDecoded;
  while (length_ < kMostInstructions && half_word < kHalfWords) {
    if ((scan.flags(half_word) & (PageScan::kVisited | breaks)) != PageScan::kVisited) break;
    if (!has_fact(scan.row(half_word), kIsPlain)) break;
    half_words_[length_++] = static_cast<std::uint16_t>(half_word);
    half_word += riscv::instruction_length(static_cast<std::uint16_t>(scan.bits(half_word))) / 2;
    breaks = kBreaks;
  }
  end_ = half_word;
  if (length_ < least) return false;
  for (std::uint32_t index = 0; index < length_; ++index) {
    const riscv::Decoded decoded = riscv::decode(scan.bits(half_words_[index]));
    operands_[index] = {decoded.rs1, decoded.rs2, decoded.rd};
  }
  return true;
}

unsigned LocalStretch::references(std::uint32_t counted) const {
  unsigned references = 0;
  for (std::uint32_t index = 0; index < length_; ++index) {
    for (const std::uint8_t reg : operands_[index]) references += counted >> reg & 1;
  }
  return references;
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
