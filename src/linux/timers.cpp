#include "linux/timers.h"

#include <algorithm>

#include "linux/linux_process.h"
#include "linux/signal_delivery.h"

namespace caisson::linux_personality {
namespace {

constexpr unsigned kSignals[Timers::kCount] = {kSigAlarm, kSigVirtualAlarm, kSigProfiling};

}  // namespace

bool Timers::any_armed() const {
  return std::ranges::any_of(timers_, [](const IntervalTimer& timer) { return timer.expiry_ns != 0; });
}

std::optional<std::uint64_t> Timers::next_real_expiry() const {
  if (timers_[kReal].expiry_ns == 0) return std::nullopt;
  return timers_[kReal].expiry_ns;
}

std::uint64_t timer_clock_ns(const LinuxProcess& process, unsigned which) {
  return which == Timers::kReal ? process.monotonic_ns() : process.processor_ns();
}

void expire_timers(LinuxProcess& process) {
  for (unsigned which = 0; which < Timers::kCount; ++which) {
    IntervalTimer& timer = process.timers[which];
    if (timer.expiry_ns == 0) continue;
    const std::uint64_t now = timer_clock_ns(process, which);
    if (now < timer.expiry_ns) continue;
    raise_signal(process, kSignals[which]);
    if (timer.interval_ns == 0) {
      timer = {};
    } else {
      // Periods that passed unnoticed are merged, as their signals would be.
      timer.expiry_ns += ((now - timer.expiry_ns) / timer.interval_ns + 1) * timer.interval_ns;
    }
  }
}

}  // namespace caisson::linux_personality
