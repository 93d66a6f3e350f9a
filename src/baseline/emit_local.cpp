// Host registers on loan within a stretch of straight-line integer code (local_registers.h).
#include <algorithm>
#include <bit>

#include "baseline/unit_emitter.h"

namespace caisson::baseline {
namespace {

// Stretches that name hardly any register that lives in memory have little to gain.
constexpr unsigned kLeastReferences = 8;
// Moving two registers must pay for itself: the one that leaves is needed so much later.
constexpr std::uint32_t kWorthIt = 8;

constexpr std::uint32_t bit_of(unsigned reg) { return std::uint32_t{1} << reg; }

}  // namespace

void UnitEmitter::leave_stretch() {
  in_stretch_ = 0;
  tied_ = mixed_ ? 1 : 0;
  use_homes();
}

void UnitEmitter::begin_stretch(std::uint32_t half_word) {
  const bool is_long = stretch_.measure(*scan_, now_, kShortestStretch);
  stretch_due_ = std::max(stretch_.end(), half_word + 1);
  if (!is_long || stretch_.references(~pinned_) < kLeastReferences) return;
  // Its first instruction is where entries into the middle of the code around can join.
  settle(pending_);
  forget_everything();
  stretch_.start();
  in_stretch_ = 1;
  guests_ = map_.integers;
  stale_homes_ = pinned_;
}

void UnitEmitter::assign_host(unsigned index, unsigned guest) {
  if (guests_[index] != 0) move_home_to_memory(guests_[index]);
  if (guest != 0) move_home(guest, kIntegerHosts[index]);
  guests_[index] = static_cast<std::uint8_t>(guest);
  host_changes_.push_back({code().offset(), static_cast<std::uint8_t>(index), static_cast<std::uint8_t>(guest)});
}

// A host register, by index, for something that is needed in `needed_in` instructions: the one whose own guest register is needed
// last, which goes home. None where that would not pay. `operands`: the instruction's own, which stay.
std::optional<unsigned> UnitEmitter::vacate(std::uint32_t needed_in, std::uint32_t operands) {
  unsigned chosen = 0;
  std::uint32_t farthest = 0;
  for (unsigned index = 0; index < guests_.size(); ++index) {
    const unsigned guest = guests_[index];
    if (guest == 0) return index;
    if ((operands & bit_of(guest)) != 0) continue;
    const std::uint32_t distance = stretch_.distance(guest);
    const bool is_stale = (stale_homes_ & bit_of(guest)) != 0;
    if (distance < farthest || (distance == farthest && is_stale)) continue;
    farthest = distance;
    chosen = index;
  }
  if (farthest <= needed_in || farthest - needed_in < kWorthIt) return std::nullopt;
  const unsigned guest = guests_[chosen];
  if ((stale_homes_ & bit_of(guest)) != 0) {
    code().store(Width::k64, integer_home(guest), kIntegerHosts[chosen]);
    stale_homes_ &= ~bit_of(guest);
  }
  assign_host(chosen, 0);
  return chosen;
}

void UnitEmitter::bring_operands(Decoded decoded) {
  const std::uint32_t operands = bit_of(decoded.rs1) | bit_of(decoded.rs2) | bit_of(decoded.rd);
  const auto bring = [&](unsigned reg, LocalStretch::Operand operand) {
    if (reg == 0 || is_pinned(reg)) return;
    const std::uint32_t needed_in = stretch_.distance_behind(operand);
    if (needed_in == LocalStretch::kNever) return;
    const auto index = vacate(needed_in, operands);
    if (!index) return;
    copy(kIntegerHosts[*index], this->operand(reg));
    assign_host(*index, reg);
  };
  bring(decoded.rs1, LocalStretch::kFirst);
  bring(decoded.rs2, LocalStretch::kSecond);
  begin_instruction();
  // The result arrives when the instruction is done: should it fault, the register has what it had.
  arriving_ = 0;
  if (decoded.rd == 0 || is_pinned(decoded.rd)) return;
  const std::uint32_t needed_in = stretch_.distance_behind(LocalStretch::kResult);
  if (needed_in == LocalStretch::kNever) return;
  if (const auto index = vacate(needed_in, operands)) {
    redirect_result(decoded.rd, kIntegerHosts[*index]);
    arriving_ = *index + 1;
  }
}

void UnitEmitter::step_stretch(Decoded decoded) {
  if (arriving_ != 0) assign_host(arriving_ - 1, decoded.rd);
  if (decoded.rd != 0 && is_pinned(decoded.rd)) stale_homes_ |= bit_of(decoded.rd);
  stretch_.advance();
  tied_ = 1;
}

// The map holds again.
void UnitEmitter::end_stretch() {
  in_stretch_ = 0;
  tied_ = mixed_ ? 1 : 0;
  for (unsigned index = 0; index < guests_.size(); ++index) {
    const unsigned guest = guests_[index];
    if (guest == map_.integers[index] || guest == 0) continue;
    if ((stale_homes_ & bit_of(guest)) != 0) code().store(Width::k64, integer_home(guest), kIntegerHosts[index]);
    move_home_to_memory(guest);
  }
  for (unsigned index = 0; index < guests_.size(); ++index) {
    const unsigned guest = map_.integers[index];
    if (guests_[index] == guest) continue;
    guests_[index] = 0;
    assign_host(index, guest);
    code().mov(Width::k64, kIntegerHosts[index], integer_home(guest));
  }
}

}  // namespace caisson::baseline
