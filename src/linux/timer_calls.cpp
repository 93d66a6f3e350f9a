// getitimer and setitimer.
#include <algorithm>
#include <cerrno>
#include <optional>

#include "linux/guest_time.h"
#include "linux/linux_process.h"
#include "linux/signal_calls.h"
#include "linux/timers.h"

namespace caisson::linux_personality {
namespace {

// 146 years: sums with a clock do not overflow.
constexpr std::uint64_t kLongestNs = std::uint64_t{1} << 62;

// struct itimerval.
struct GuestTimerValue {
  GuestTimeval interval;
  GuestTimeval value;
};

// What is left until the expiry; a timer that is due but has not been noticed yet shows the smallest time, not 0 = disarmed.
GuestTimerValue value_of(const LinuxProcess& process, unsigned which, const IntervalTimer& timer) {
  if (timer.expiry_ns == 0) return {};
  const std::uint64_t now = timer_clock_ns(process, which);
  const std::uint64_t left =
      timer.expiry_ns > now + kNanosecondsPerMicrosecond ? timer.expiry_ns - now : kNanosecondsPerMicrosecond;
  return {to_timeval(timer.interval_ns), to_timeval(left)};
}

}  // namespace

std::int64_t sys_getitimer(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint32_t which = arguments.unsigned32(0);
  if (which >= Timers::kCount) return -EINVAL;
  const GuestTimerValue value = value_of(process, which, process.timers[which]);
  return process.memory().write_value(arguments[1], value) ? 0 : -EFAULT;
}

// A null new value disarms, as Linux still does for old programs.
std::int64_t sys_setitimer(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint32_t which = arguments.unsigned32(0);
  GuestTimerValue value;
  if (arguments[1] != 0) {
    const auto given = process.memory().read_value<GuestTimerValue>(arguments[1]);
    if (!given) return -EFAULT;
    value = *given;
  }
  const std::optional<std::uint64_t> until = to_nanoseconds(value.value);
  const std::optional<std::uint64_t> interval = to_nanoseconds(value.interval);
  if (which >= Timers::kCount || !until || !interval) return -EINVAL;

  const GuestTimerValue previous = value_of(process, which, process.timers[which]);
  IntervalTimer timer;
  if (*until != 0) {
    timer = {timer_clock_ns(process, which) + std::min(*until, kLongestNs), std::min(*interval, kLongestNs)};
  }
  process.timers[which] = timer;
  if (arguments[2] != 0 && !process.memory().write_value(arguments[2], previous)) return -EFAULT;
  return 0;
}

}  // namespace caisson::linux_personality
