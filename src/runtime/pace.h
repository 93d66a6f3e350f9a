// How fast gas is used up, as far as the code is concerned: without the times at which the thread was not running.
#pragma once

#include <cstdint>
#include <optional>

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

// Paces while compilers work beside the guest, and while they do not. The processor of a compiler may share its core with the guest's, which
// then takes longer by what depends on the code: a unit of SHA-256 187 ticks for 1024 gas alone and 331 beside a compiler, the
// baseline tier 256 and 299. So paces are compared only with others of the same kind.
class PacesByLoad {
 public:
  void add(const Pace& part, bool is_beside_compilers) { (is_beside_compilers ? beside_ : alone_).add(part); }
  std::uint64_t gas_seen() const { return alone_.gas_seen() + beside_.gas_seen(); }

  // Whether this takes longer than `other`, by what chance does not explain: 5 % alone and 25 % beside compilers. Nothing where too little of both
  // is known of either kind.
  std::optional<bool> is_slower_than(const PacesByLoad& other) const {
    const std::optional<bool> alone = is_slower(alone_, other.alone_, 5);
    return alone ? alone : is_slower(beside_, other.beside_, 25);
  }

 private:
  static std::optional<bool> is_slower(const TypicalPace& one, const TypicalPace& other, std::uint64_t percent) {
    constexpr std::uint64_t kLeastGas = 500'000;
    if (one.gas() < kLeastGas || other.gas() < kLeastGas) return std::nullopt;
    return 100 * one.ticks_of_gas() > (100 + percent) * other.ticks_of_gas();
  }

  TypicalPace alone_, beside_;
};

}  // namespace caisson::runtime
