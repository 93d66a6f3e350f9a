// Limits of resources, and what has been used of them.
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <optional>

#include "linux/guest_time.h"
#include "linux/linux_process.h"
#include "linux/process_calls.h"

namespace caisson::linux_personality {
namespace {

constexpr std::uint64_t kNanosecondsPerTick = kNanosecondsPerSecond / 100;  // USER_HZ, as AT_CLKTCK says

std::int64_t read_limit(LinuxProcess& process, unsigned resource, std::uint64_t address) {
  return process.memory().write_value(address, process.limits[resource]) ? 0 : -EFAULT;
}

std::int64_t change_limit(LinuxProcess& process, unsigned resource, const ResourceLimit& limit) {
  ResourceLimit& current = process.limits[resource];
  if (limit.current > limit.maximum) return -EINVAL;
  if (limit.maximum > current.maximum && process.credentials.effective_user != 0) return -EPERM;
  // Open files and queued signals take the engine's own, so not even root may have more of them.
  const bool is_the_engines = resource == RLIMIT_NOFILE || resource == RLIMIT_SIGPENDING;
  if (is_the_engines && limit.maximum > current.maximum) return -EPERM;
  current = limit;
  return 0;
}

// struct rusage of a 64-bit kernel.
struct GuestUsage {
  GuestTimeval user;
  GuestTimeval system;
  std::int64_t peak_resident_kibibytes = 0;
  std::array<std::int64_t, 13> others{};
};
static_assert(sizeof(GuestUsage) == 144);

struct GuestTimes {
  std::int64_t user = 0, system = 0, children_user = 0, children_system = 0;
};

}  // namespace

std::int64_t sys_getrlimit(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments.unsigned32(0) >= ResourceLimits::kCount) return -EINVAL;
  return read_limit(process, arguments.unsigned32(0), arguments[1]);
}

std::int64_t sys_setrlimit(LinuxProcess& process, const CallArguments& arguments) {
  const auto limit = process.memory().read_value<ResourceLimit>(arguments[1]);
  if (!limit) return -EFAULT;
  if (arguments.unsigned32(0) >= ResourceLimits::kCount) return -EINVAL;
  return change_limit(process, arguments.unsigned32(0), *limit);
}

std::int64_t sys_prlimit64(LinuxProcess& process, const CallArguments& arguments) {
  const std::int32_t target = arguments.signed32(0);
  const std::uint32_t resource = arguments.unsigned32(1);
  std::optional<ResourceLimit> replacement;
  if (arguments[2] != 0) {
    replacement = process.memory().read_value<ResourceLimit>(arguments[2]);
    if (!replacement) return -EFAULT;
  }
  if (target != 0 && static_cast<std::uint32_t>(target) != process.ids.process) return -ESRCH;
  if (resource >= ResourceLimits::kCount) return -EINVAL;
  const ResourceLimit previous = process.limits[resource];
  if (replacement) {
    if (const std::int64_t status = change_limit(process, resource, *replacement); status < 0) return status;
  }
  if (arguments[3] != 0 && !process.memory().write_value(arguments[3], previous)) return -EFAULT;
  return 0;
}

std::int64_t sys_getrusage(LinuxProcess& process, const CallArguments& arguments) {
  constexpr std::int32_t kSelf = RUSAGE_SELF, kThread = 1, kChildren = RUSAGE_CHILDREN;
  const std::int32_t who = arguments.signed32(0);
  if (who != kSelf && who != kThread && who != kChildren) return -EINVAL;
  GuestUsage usage;
  if (who != kChildren) {
    usage.user = to_timeval(process.processor_ns());
    usage.peak_resident_kibibytes = static_cast<std::int64_t>(process.memory().peak_committed_bytes() / 1024);
  }
  return process.memory().write_value(arguments[1], usage) ? 0 : -EFAULT;
}

std::int64_t sys_times(LinuxProcess& process, const CallArguments& arguments) {
  const GuestTimes times{.user = static_cast<std::int64_t>(process.processor_ns() / kNanosecondsPerTick)};
  if (arguments[0] != 0 && !process.memory().write_value(arguments[0], times)) return -EFAULT;
  return static_cast<std::int64_t>(process.monotonic_ns() / kNanosecondsPerTick);
}

}  // namespace caisson::linux_personality
