#include "baseline/local_registers.h"

#include "baseline/op_facts.h"

namespace caisson::baseline {

void LocalStretch::measure(const PageScan& scan, std::uint32_t half_word, std::uint32_t counted) {
  constexpr std::uint8_t kNotDecoded = PageScan::kMiddleElsewhere | PageScan::kCutOff;
  constexpr std::uint8_t kBreaks = PageScan::kEntry | PageScan::kMeeting | kNotDecoded;
  std::uint32_t length = 0;
  unsigned references = 0;
  // The first instruction may be met by others, but it must have been decoded.
  std::uint8_t breaks = kNotDecoded;
  while (length < kMostInstructions && half_word < kHalfWords) {
    if ((scan.flags(half_word) & (PageScan::kVisited | breaks)) != PageScan::kVisited) break;
    const riscv::Decoded& decoded = scan.decoded(half_word);
    if (!has_fact(decoded.op, kIsPlain)) break;
    operands_[length++] = {decoded.rs1, decoded.rs2, decoded.rd};
    references += (counted >> decoded.rs1 & 1) + (counted >> decoded.rs2 & 1) + (counted >> decoded.rd & 1);
    half_word += decoded.length / 2;
    breaks = kBreaks;
  }
  length_ = length;
  references_ = references;
  end_ = half_word;
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
