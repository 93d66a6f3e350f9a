#include "linux/time_calls.h"

#include <time.h>

#include <array>
#include <cerrno>
#include <optional>

#include "linux/guest_time.h"
#include "linux/linux_process.h"
#include "linux/waiting.h"

namespace caisson::linux_personality {
namespace {

using ReadClock = std::uint64_t (*)(const LinuxProcess& process);

std::uint64_t read_realtime(const LinuxProcess& process) { return process.realtime_ns(); }
std::uint64_t read_monotonic(const LinuxProcess& process) { return process.monotonic_ns(); }
std::uint64_t read_processor(const LinuxProcess& process) { return process.processor_ns(); }

enum class Sleep : std::uint8_t { kMonotonic, kRealtime, kProcessor, kUnsupported, kInvalid };

struct Clock {
  ReadClock read;
  std::uint64_t resolution_ns;
  Sleep sleep;
};

constexpr std::uint64_t kCoarseNs = 4'000'000;

// Indexed by CLOCK_*.
constexpr Clock kClocks[] = {
    /* REALTIME */ {read_realtime, 1, Sleep::kRealtime},
    /* MONOTONIC */ {read_monotonic, 1, Sleep::kMonotonic},
    /* PROCESS_CPUTIME_ID */ {read_processor, 1, Sleep::kProcessor},
    /* THREAD_CPUTIME_ID */ {read_processor, 1, Sleep::kInvalid},
    /* MONOTONIC_RAW */ {read_monotonic, 1, Sleep::kUnsupported},
    /* REALTIME_COARSE */ {read_realtime, kCoarseNs, Sleep::kUnsupported},
    /* MONOTONIC_COARSE */ {read_monotonic, kCoarseNs, Sleep::kUnsupported},
    /* BOOTTIME */ {read_monotonic, 1, Sleep::kMonotonic},
    /* REALTIME_ALARM */ {read_realtime, 1, Sleep::kRealtime},
    /* BOOTTIME_ALARM */ {read_monotonic, 1, Sleep::kMonotonic},
    /* SGI_CYCLE */ {nullptr, 0, Sleep::kInvalid},
    /* TAI */ {read_realtime, 1, Sleep::kRealtime},
};
static_assert(std::size(kClocks) == CLOCK_TAI + 1);

constexpr Clock kProcessClock = kClocks[CLOCK_PROCESS_CPUTIME_ID];

// Negative ids name the processor clocks of a process or thread: ~pid << 3 | per thread << 2 | kind (clock_getcpuclockid(3)).
const Clock* find_clock(const LinuxProcess& process, std::int32_t id) {
  if (id >= 0) {
    if (static_cast<std::size_t>(id) >= std::size(kClocks) || kClocks[id].read == nullptr) return nullptr;
    return &kClocks[id];
  }
  constexpr std::int32_t kKindMask = 3, kDescriptorClock = 3;
  const auto target = static_cast<std::uint32_t>(~(id >> 3));
  if ((id & kKindMask) == kDescriptorClock || (target != 0 && target != process.ids.process)) return nullptr;
  return &kProcessClock;
}

// A relative sleep that a signal may end writes what was left to `remaining`.
std::int64_t sleep_relative(LinuxProcess& process, std::uint64_t duration_ns, std::uint64_t remaining) {
  const std::uint64_t deadline = deadline_after(process, duration_ns);
  if (wait_for(process, {}, deadline) == WaitOutcome::kTimedOut) return 0;
  if (remaining != 0) {
    const std::uint64_t now = process.monotonic_ns();
    if (!process.memory().write_value(remaining, to_timespec(deadline > now ? deadline - now : 0))) return -EFAULT;
  }
  return kRestartUnlessHandled;
}

std::int64_t sleep_until(LinuxProcess& process, std::uint64_t deadline_ns) {
  return wait_for(process, {}, deadline_ns) == WaitOutcome::kTimedOut ? 0 : kRestartUnlessHandled;
}

// Returns the nanoseconds of a timespec argument: -EFAULT or -EINVAL otherwise.
std::int64_t read_time(LinuxProcess& process, std::uint64_t address, std::uint64_t& nanoseconds) {
  const auto time = process.memory().read_value<GuestTimespec>(address);
  if (!time) return -EFAULT;
  const std::optional<std::uint64_t> value = to_nanoseconds(*time);
  if (!value) return -EINVAL;
  nanoseconds = *value;
  return 0;
}

}  // namespace

std::int64_t sys_nanosleep(LinuxProcess& process, const CallArguments& arguments) {
  std::uint64_t duration = 0;
  if (const std::int64_t status = read_time(process, arguments[0], duration); status < 0) return status;
  return sleep_relative(process, duration, arguments[1]);
}

std::int64_t sys_clock_gettime(LinuxProcess& process, const CallArguments& arguments) {
  const Clock* const clock = find_clock(process, arguments.signed32(0));
  if (clock == nullptr) return -EINVAL;
  return process.memory().write_value(arguments[1], to_timespec(clock->read(process))) ? 0 : -EFAULT;
}

// The guest cannot set what it shares with others.
std::int64_t sys_clock_settime(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments.signed32(0) != CLOCK_REALTIME) return -EINVAL;
  std::uint64_t time = 0;
  const std::int64_t status = read_time(process, arguments[1], time);
  return status < 0 ? status : -EPERM;
}

std::int64_t sys_clock_getres(LinuxProcess& process, const CallArguments& arguments) {
  const Clock* const clock = find_clock(process, arguments.signed32(0));
  if (clock == nullptr) return -EINVAL;
  if (arguments[1] != 0 && !process.memory().write_value(arguments[1], to_timespec(clock->resolution_ns)))
    return -EFAULT;
  return 0;
}

// A processor clock stands still while its only thread sleeps, so such a sleep lasts its wall time.
std::int64_t sys_clock_nanosleep(LinuxProcess& process, const CallArguments& arguments) {
  const Clock* const clock = find_clock(process, arguments.signed32(0));
  if (clock == nullptr || clock->sleep == Sleep::kInvalid) return -EINVAL;
  if (clock->sleep == Sleep::kUnsupported) return -EOPNOTSUPP;
  std::uint64_t time = 0;
  if (const std::int64_t status = read_time(process, arguments[2], time); status < 0) return status;
  if ((arguments.signed32(1) & TIMER_ABSTIME) == 0) return sleep_relative(process, time, arguments[3]);
  switch (clock->sleep) {
    case Sleep::kRealtime:
      return sleep_until(process, monotonic_of_realtime(process, time));
    case Sleep::kProcessor: {
      const std::uint64_t now = clock->read(process);
      return sleep_until(process, deadline_after(process, time > now ? time - now : 0));
    }
    default:
      return sleep_until(process, time);
  }
}

std::int64_t sys_gettimeofday(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[0] != 0 && !process.memory().write_value(arguments[0], to_timeval(process.realtime_ns())))
    return -EFAULT;
  // struct timezone: UTC.
  if (arguments[1] != 0 && !process.memory().write_value(arguments[1], std::array<std::int32_t, 2>{})) return -EFAULT;
  return 0;
}

std::int64_t sys_settimeofday(LinuxProcess&, const CallArguments&) { return -EPERM; }

}  // namespace caisson::linux_personality
