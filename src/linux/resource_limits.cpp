#include "linux/resource_limits.h"

#include <sys/resource.h>

namespace caisson::linux_personality {

// What a Linux distribution gives a fresh process.
ResourceLimits::ResourceLimits(std::uint64_t stack_size) {
  constexpr std::uint64_t kDescriptors = 1024, kLockedBytes = std::uint64_t{8} << 20, kQueuedSignals = 1024,
                          kProcesses = 1024;
  constexpr std::uint64_t kMessageQueueBytes = 819'200;
  limits[RLIMIT_STACK] = {stack_size, kNoLimit};
  limits[RLIMIT_CORE] = {0, kNoLimit};
  limits[RLIMIT_NPROC] = {kProcesses, kProcesses};
  limits[RLIMIT_NOFILE] = {kDescriptors, kDescriptors};
  limits[RLIMIT_MEMLOCK] = {kLockedBytes, kLockedBytes};
  limits[RLIMIT_SIGPENDING] = {kQueuedSignals, kQueuedSignals};
  limits[RLIMIT_MSGQUEUE] = {kMessageQueueBytes, kMessageQueueBytes};
  limits[RLIMIT_NICE] = {0, 0};
  limits[RLIMIT_RTPRIO] = {0, 0};
}

}  // namespace caisson::linux_personality
