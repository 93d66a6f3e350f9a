// Units that did not pay, and when each is worth another try.
//
// Whether stays in a unit are long enough depends on which units are around it: a function's unit that is entered from the baseline tier for each
// call pays once its caller has one, a loop's once the function that it calls has one. And a pace is measured while compilers and other
// programs take turns with the guest. So a unit that was demoted is kept for more tries, each later than the last. Used by the
// instance's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "optimized/loaded_unit.h"

namespace caisson::runtime {

class DemotedUnits {
 public:
  using Unit = std::shared_ptr<const optimized::LoadedUnit>;

  // Stays in it were short: the last one ended where execution went on at `left_for`.
  void add_short(Unit unit, std::uint32_t left_for);
  // The baseline tier is quicker in `function`; the same of the last stay.
  void add_slow(Unit unit, std::uint32_t left_for, std::uint32_t function);
  // It was compared and is not slower.
  void note_pays(std::uint32_t pc);
  // Whether the unit of `pc` was demoted and never tried again, or lost again.
  bool contains(std::uint32_t pc) const { return units_.contains(pc); }

  // These give units that are to be tried again now.
  Unit note_exit(std::uint32_t pc);  // units were left for `pc`, which has none
  std::vector<Unit> note_published(std::uint32_t pc);  // of `pc` there is a unit now
  std::vector<Unit> note_baseline(std::uint32_t function, std::uint64_t gas);  // the baseline tier used so much there

  void clear() { units_.clear(), waiting_ = 0; }

 private:
  struct Demoted {
    Unit unit;  // null while it is enterable, and where too many wait
    std::uint32_t losses = 0;
    std::uint32_t left_for = 0;
    std::uint32_t exits_due = 0;  // of units, to it, until it is tried again
    std::uint32_t function = 0;
    std::uint64_t gas_due = 0;  // of a slow one: the same
  };
  Demoted* add(Unit unit, std::uint32_t left_for);
  Unit take(Demoted& demoted);

  // Before the second try: units that call it leave as often, or it is two milliseconds of the baseline tier. Before each further one eight
  // times as many, up to so many losses, and as many again: a try costs some stays, and one that is never made costs for as long as the
  // guest runs (BLAKE2b, 40 % in a run out of four, when it was given up for good behind four losses).
  static constexpr std::uint32_t kExitsBeforeTry = 64;
  static constexpr std::uint32_t kMostLosses = 6;
  static constexpr std::uint64_t kGasBeforeTry = 5'000'000;
  static constexpr std::size_t kMostUnits = 1 << 14, kMostWaiting = 256;

  std::unordered_map<std::uint32_t, Demoted> units_;  // by pc; forgotten as a whole when there are many
  std::size_t waiting_ = 0;  // units that are kept
};

}  // namespace caisson::runtime
