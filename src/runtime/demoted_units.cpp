#include "runtime/demoted_units.h"

#include <algorithm>
#include <utility>

namespace caisson::runtime {

// Null where too many wait.
DemotedUnits::Demoted* DemotedUnits::add(Unit unit, std::uint32_t left_for) {
  if (units_.size() >= kMostUnits) clear();
  Demoted& demoted = units_[unit->guest_pc()];
  if (demoted.unit != nullptr) --waiting_;
  demoted = {.losses = std::min(demoted.losses + 1, kMostLosses), .left_for = left_for};
  if (waiting_ >= kMostWaiting) return nullptr;
  demoted.unit = std::move(unit);
  demoted.exits_due = kExitsBeforeTry << 3 * (demoted.losses - 1);
  ++waiting_;
  return &demoted;
}

void DemotedUnits::add_short(Unit unit, std::uint32_t left_for) { add(std::move(unit), left_for); }

void DemotedUnits::add_slow(Unit unit, std::uint32_t left_for, std::uint32_t function) {
  Demoted* const demoted = add(std::move(unit), left_for);
  if (demoted == nullptr) return;
  demoted->function = function;
  demoted->gas_due = kGasBeforeTry << 3 * (demoted->losses - 1);
}

void DemotedUnits::note_pays(std::uint32_t pc) {
  const auto found = units_.find(pc);
  if (found != units_.end() && found->second.losses > 0) --found->second.losses;
}

DemotedUnits::Unit DemotedUnits::take(Demoted& demoted) {
  --waiting_;
  return std::exchange(demoted.unit, nullptr);
}

DemotedUnits::Unit DemotedUnits::note_exit(std::uint32_t pc) {
  const auto found = units_.find(pc);
  if (found == units_.end() || found->second.unit == nullptr || --found->second.exits_due != 0) return nullptr;
  return take(found->second);
}

std::vector<DemotedUnits::Unit> DemotedUnits::note_published(std::uint32_t pc) {
  std::vector<Unit> again;
  for (auto& [at, demoted] : units_) {
    if (demoted.unit == nullptr || demoted.left_for != pc) continue;
    demoted.losses = 0;  // it is another way now
    again.push_back(take(demoted));
  }
  return again;
}

std::vector<DemotedUnits::Unit> DemotedUnits::note_baseline(std::uint32_t function, std::uint64_t gas) {
  std::vector<Unit> again;
  if (waiting_ == 0) return again;
  for (auto& [at, demoted] : units_) {
    if (demoted.unit == nullptr || demoted.gas_due == 0 || demoted.function != function) continue;
    demoted.gas_due -= std::min(demoted.gas_due, gas);
    if (demoted.gas_due == 0) again.push_back(take(demoted));
  }
  return again;
}

}  // namespace caisson::runtime
