// How fast gas is used up, as far as the code is concerned: without the times at which the thread was not running.
#pragma once

#include <cstdint>

namespace caisson::runtime {

// Gas, and the time that it took in ticks of the processor's time stamp counter.
struct Pace {
  std::uint64_t gas = 0, ticks = 0;
};

// Sums parts of a run in windows of some 100 000 gas, 30 to 60 µs. What the scheduler does to a window makes it many times as long; windows
// of more than twice the ticks of the best are left out.
class TypicalPace {
 public:
  void add(const Pace& part) {
    window_.gas += part.gas;
    window_.ticks += part.ticks;
    if (window_.gas < kWindow) return;
    const std::uint64_t pace = ticks_of_gas(window_);
    if (sum_.gas == 0 || pace < best_) best_ = pace;
    seen_ += window_.gas;
    if (pace <= 2 * best_) {
      sum_.gas += window_.gas;
      sum_.ticks += window_.ticks;
    }
    window_ = {};
  }

  std::uint64_t gas() const { return sum_.gas; }
  // Left out or not.
  std::uint64_t gas_seen() const { return seen_; }
  // Of 1024 units of gas; 0 where nothing is known.
  std::uint64_t ticks_of_gas() const { return sum_.gas == 0 ? 0 : ticks_of_gas(sum_); }

 private:
  static constexpr std::uint64_t kWindow = 100'000;
  // In integers: MXCSR is the embedder's where this is called.
  static std::uint64_t ticks_of_gas(const Pace& pace) { return pace.ticks * 1024 / pace.gas; }

  Pace window_, sum_;
  std::uint64_t best_ = 0;
  std::uint64_t seen_ = 0;
};

}  // namespace caisson::runtime
