// Ways out of compiled code that hardly ever are taken (departures.h).
#include <algorithm>

#include "baseline/unit_emitter.h"

namespace caisson::baseline {

namespace {

constexpr std::uint32_t kMostPushes = 8;

}  // namespace

// A call with its pushes, for the block at `half_word`, to which execution does not come from before, and for those behind it.
void UnitEmitter::open_island(std::uint32_t half_word) {
  const std::uint32_t pushes = std::min(scan_->blocks_behind(half_word + 1), kMostPushes);
  static_assert(kMostPushes <= X86Assembler::kMostPushes);
  code().push_repeatedly(kHartRegister, pushes);
  next_way_ = here();
  last_way_ = next_way_ - pushes;
  code().call(thunks_.depart());
  departure_calls_.push_back({code().offset(), static_cast<std::uint32_t>(departures_.size())});
}

// Behind the unit's code, as many to a call as thunks should have to count.
void UnitEmitter::emit_far_departures() {
  constexpr std::size_t kPerCall = 64;
  last_way_ = next_way_ + 1;
  for (std::size_t begin = 0; begin < far_departures_.size(); begin += kPerCall) {
    const auto first = static_cast<std::uint32_t>(departures_.size());
    const std::size_t end = std::min(begin + kPerCall, far_departures_.size());
    for (std::size_t index = end; index-- > begin;) {
      code().bind(far_departures_[index].jump);
      if (index != begin) code().push(kHartRegister);
    }
    for (std::size_t index = begin; index < end; ++index) departures_.push_back(far_departures_[index].departure);
    code().call(thunks_.depart());
    departure_calls_.push_back({code().offset(), first});
  }
}

}  // namespace caisson::baseline
