// The one place where a system call waits.
//
// Waits end early for a deliverable signal, an interval timer that raises one, or a request to stop the run
// (HartState::interrupt), which is looked at every 20 ms at least. Under --deterministic the clock is virtual: a wait with a
// deadline on which nothing is ready moves the clock to the deadline (or to the next timer) at once.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <span>

namespace caisson::linux_personality {

class LinuxProcess;

enum class WaitOutcome : std::uint8_t {
  kReady,  // some descriptor has revents
  kTimedOut,  // the deadline passed
  kInterrupted,  // return kRestartUnlessNoRestart or kRestartUnlessHandled from the call
};

// The deadline of a relative timeout. A call that was stopped by a request to stop the run is made again later and keeps
// the deadline of its first attempt.
std::uint64_t deadline_after(LinuxProcess& process, std::uint64_t timeout_ns);

// The deadline of an absolute time on CLOCK_REALTIME.
std::uint64_t monotonic_of_realtime(const LinuxProcess& process, std::uint64_t realtime_ns);

// Waits for events on host descriptors (none: sleeps). The deadline is on LinuxProcess::monotonic_ns(); nullopt: for ever;
// one that has passed polls once. Descriptors < 0 are skipped, as by poll().
WaitOutcome wait_for(LinuxProcess& process, std::span<pollfd> descriptors, std::optional<std::uint64_t> deadline_ns);

}  // namespace caisson::linux_personality
