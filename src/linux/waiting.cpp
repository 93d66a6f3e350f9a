#include "linux/waiting.h"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "linux/guest_time.h"
#include "linux/linux_process.h"

namespace caisson::linux_personality {
namespace {

// How long a request to stop the run may go unnoticed.
constexpr std::uint64_t kLongestStepNs = 20'000'000;

bool poll_host(std::span<pollfd> descriptors, std::uint64_t timeout_ns) {
  const timespec timeout{static_cast<time_t>(timeout_ns / kNanosecondsPerSecond),
                         static_cast<long>(timeout_ns % kNanosecondsPerSecond)};
  const int ready = ppoll(descriptors.data(), descriptors.size(), &timeout, nullptr);
  if (ready >= 0 || errno == EINTR) return ready > 0;
  // The host cannot watch so many descriptors now: pass the time, so that the next attempt is not made at once.
  ppoll(nullptr, 0, &timeout, nullptr);
  return false;
}

std::optional<std::uint64_t> earlier(std::optional<std::uint64_t> left, std::optional<std::uint64_t> right) {
  if (!left || !right) return left ? left : right;
  return std::min(*left, *right);
}

// Stops at the end of time.
std::uint64_t add_to_clock(std::uint64_t now, std::uint64_t nanoseconds) {
  constexpr std::uint64_t kEnd = std::numeric_limits<std::uint64_t>::max();
  return nanoseconds > kEnd - now ? kEnd : now + nanoseconds;
}

}  // namespace

std::uint64_t monotonic_of_realtime(const LinuxProcess& process, std::uint64_t realtime_ns) {
  const std::uint64_t now = process.realtime_ns();
  const std::uint64_t left = realtime_ns > now ? realtime_ns - now : 0;
  return add_to_clock(process.monotonic_ns(), left);
}

std::uint64_t deadline_after(LinuxProcess& process, std::uint64_t timeout_ns) {
  if (!process.wait_deadline_ns) {
    process.wait_deadline_ns = add_to_clock(process.monotonic_ns(), timeout_ns);
  }
  return *process.wait_deadline_ns;
}

WaitOutcome wait_for(LinuxProcess& process, std::span<pollfd> descriptors, std::optional<std::uint64_t> deadline_ns) {
  for (std::uint64_t step_ns = 0;;) {
    if ((step_ns != 0 || !descriptors.empty()) && poll_host(descriptors, step_ns)) return WaitOutcome::kReady;
    step_ns = 0;
    expire_timers(process);
    if (process.signals.deliverable()) return WaitOutcome::kInterrupted;
    const std::uint64_t now = process.monotonic_ns();
    if (deadline_ns && now >= *deadline_ns) return WaitOutcome::kTimedOut;
    if (process.instance().stop_requested()) return WaitOutcome::kInterrupted;

    const std::optional<std::uint64_t> event = earlier(deadline_ns, process.timers.next_real_expiry());
    const std::uint64_t until_event_ns = !event ? kLongestStepNs : *event > now ? *event - now : 0;
    if (process.deterministic() && event) {
      process.skip_time(until_event_ns);
    } else {
      step_ns = std::min(until_event_ns, kLongestStepNs);
    }
  }
}

}  // namespace caisson::linux_personality
