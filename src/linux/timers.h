// Interval timers (setitimer): they raise their signal at slice ends and while a call waits.
//
// ITIMER_REAL runs on the guest's monotonic clock, ITIMER_VIRTUAL and ITIMER_PROF on the time spent running (the host
// thread's CPU clock; under --deterministic the gas-driven clock without the waits that were skipped).
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>

namespace caisson::linux_personality {

class LinuxProcess;

struct IntervalTimer {
  std::uint64_t expiry_ns = 0;    // 0: disarmed
  std::uint64_t interval_ns = 0;  // 0: one shot
};

class Timers {
 public:
  static constexpr unsigned kReal = 0, kVirtual = 1, kProfiling = 2, kCount = 3;  // ITIMER_*

  IntervalTimer& operator[](unsigned which) { return timers_[which]; }

  // True where any timer is armed: the cheap question at each slice end.
  bool any_armed() const;
  // When ITIMER_REAL is due on the monotonic clock.
  std::optional<std::uint64_t> next_real_expiry() const;

 private:
  std::array<IntervalTimer, kCount> timers_;
};

// Now, on the clock that timer `which` runs on.
std::uint64_t timer_clock_ns(const LinuxProcess& process, unsigned which);

// Raises the signals of timers that are due and rearms them.
void expire_timers(LinuxProcess& process);

}  // namespace caisson::linux_personality
