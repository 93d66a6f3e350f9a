#include "baseline/local_registers.h"

#include "baseline/op_facts.h"

namespace caisson::baseline {

bool LocalStretch::measure(const PageScan& scan, const PageScan::Instruction* first, std::uint32_t least) {
  constexpr std::uint8_t kNotDecoded = PageScan::kMiddleElsewhere | PageScan::kCutOff;
  constexpr std::uint8_t kBreaks = PageScan::kEntry | PageScan::kMeeting | kNotDecoded;
  const PageScan::Instruction* at = first;
  // The first instruction may be met by others, but it must have been decoded. Behind the page paths meet.
  std::uint8_t breaks = kNotDecoded;
  for (; at - first < std::ptrdiff_t{kMostInstructions}; ++at) {
    if ((scan.flags(at->half_word) & breaks) != 0 || !has_fact(at->row, kIsPlain)) break;
    breaks = kBreaks;
  }
  length_ = static_cast<std::uint32_t>(at - first);
  end_ = at == first ? first->half_word : at[-1].next();
  if (length_ < least) return false;
  for (std::uint32_t index = 0; index < length_; ++index) {
    const riscv::Decoded decoded = riscv::decode(scan.bits(first[index].half_word));
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
