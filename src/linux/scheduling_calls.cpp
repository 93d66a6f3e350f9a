// One process on one processor: scheduling has nothing to decide, but programs ask.
#include <linux/sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "linux/guest_time.h"
#include "linux/linux_process.h"
#include "linux/process_calls.h"

namespace caisson::linux_personality {
namespace {

constexpr std::uint64_t kMaskBytes = 8;  // a kernel's cpumask of up to 64 processors
constexpr std::uint64_t kRoundRobinNs = 100'000'000;

bool is_self(const LinuxProcess& process, std::int32_t id) {
  return id == 0 || static_cast<std::uint32_t>(id) == process.ids.thread;
}

// -ESRCH, as for any process that does not exist, and -EINVAL for what cannot be one.
std::int64_t check_target(const LinuxProcess& process, std::int32_t id) {
  if (id < 0) return -EINVAL;
  return is_self(process, id) ? 0 : -ESRCH;
}

bool is_fair(std::int32_t policy) { return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE; }
bool is_real_time(std::int32_t policy) { return policy == SCHED_FIFO || policy == SCHED_RR; }

// A process of ours that nice values are asked about: 0, -ESRCH or -EINVAL.
std::int64_t check_priority_target(const LinuxProcess& process, std::int32_t which, std::uint32_t who) {
  switch (which) {
    case PRIO_PROCESS:
      return who == 0 || who == process.ids.process ? 0 : -ESRCH;
    case PRIO_PGRP:
      return who == 0 || who == process.ids.process_group ? 0 : -ESRCH;
    case PRIO_USER:
      return who == 0 || who == process.credentials.user ? 0 : -ESRCH;
    default:
      return -EINVAL;
  }
}

}  // namespace

std::int64_t sys_sched_yield(LinuxProcess&, const CallArguments&) { return 0; }

std::int64_t sys_sched_getaffinity(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments.unsigned32(1) < kMaskBytes || arguments.unsigned32(1) % kMaskBytes != 0) return -EINVAL;
  if (!is_self(process, arguments.signed32(0))) return -ESRCH;
  return process.memory().write_value(arguments[2], std::uint64_t{1}) ? static_cast<std::int64_t>(kMaskBytes) : -EFAULT;
}

std::int64_t sys_sched_setaffinity(LinuxProcess& process, const CallArguments& arguments) {
  std::uint64_t mask = 0;
  const std::size_t length = std::min<std::uint64_t>(arguments.unsigned32(1), kMaskBytes);
  if (process.memory().read(arguments[2], &mask, length) != length) return -EFAULT;
  if (!is_self(process, arguments.signed32(0))) return -ESRCH;
  return (mask & 1) != 0 ? 0 : -EINVAL;
}

std::int64_t sys_sched_getscheduler(LinuxProcess& process, const CallArguments& arguments) {
  const std::int64_t status = check_target(process, arguments.signed32(0));
  return status < 0 ? status : SCHED_NORMAL;
}

std::int64_t sys_sched_setscheduler(LinuxProcess& process, const CallArguments& arguments) {
  const std::int32_t policy = arguments.signed32(1) & ~SCHED_RESET_ON_FORK;
  if (arguments[2] == 0 || policy < 0) return -EINVAL;
  const auto priority = process.memory().read_value<std::int32_t>(arguments[2]);
  if (!priority) return -EFAULT;
  if (const std::int64_t status = check_target(process, arguments.signed32(0)); status < 0) return status;
  if (is_real_time(policy)) return -EPERM;
  return is_fair(policy) && *priority == 0 ? 0 : -EINVAL;
}

std::int64_t sys_sched_getparam(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[1] == 0) return -EINVAL;
  if (const std::int64_t status = check_target(process, arguments.signed32(0)); status < 0) return status;
  return process.memory().write_value(arguments[1], std::int32_t{0}) ? 0 : -EFAULT;
}

std::int64_t sys_sched_setparam(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[1] == 0) return -EINVAL;
  const auto priority = process.memory().read_value<std::int32_t>(arguments[1]);
  if (!priority) return -EFAULT;
  if (const std::int64_t status = check_target(process, arguments.signed32(0)); status < 0) return status;
  return *priority == 0 ? 0 : -EINVAL;
}

std::int64_t sys_sched_get_priority_max(LinuxProcess&, const CallArguments& arguments) {
  constexpr std::int64_t kHighest = 99;
  const std::int32_t policy = arguments.signed32(0);
  if (is_real_time(policy)) return kHighest;
  return is_fair(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

std::int64_t sys_sched_get_priority_min(LinuxProcess&, const CallArguments& arguments) {
  const std::int32_t policy = arguments.signed32(0);
  if (is_real_time(policy)) return 1;
  return is_fair(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

std::int64_t sys_sched_rr_get_interval(LinuxProcess& process, const CallArguments& arguments) {
  if (const std::int64_t status = check_target(process, arguments.signed32(0)); status < 0) return status;
  return process.memory().write_value(arguments[1], to_timespec(kRoundRobinNs)) ? 0 : -EFAULT;
}

// The kernel's own result: 20 − nice, so that it is never negative; C libraries turn it around.
std::int64_t sys_getpriority(LinuxProcess& process, const CallArguments& arguments) {
  const std::int64_t status = check_priority_target(process, arguments.signed32(0), arguments.unsigned32(1));
  return status < 0 ? status : 20 - process.nice;
}

std::int64_t sys_setpriority(LinuxProcess& process, const CallArguments& arguments) {
  if (const std::int64_t status = check_priority_target(process, arguments.signed32(0), arguments.unsigned32(1));
      status < 0)
    return status;
  const std::int32_t nice = std::clamp(arguments.signed32(2), -20, 19);
  if (nice < process.nice && process.credentials.effective_user != 0) return -EACCES;
  process.nice = nice;
  return 0;
}

std::int64_t sys_getcpu(LinuxProcess& process, const CallArguments& arguments) {
  for (const unsigned index : {0u, 1u}) {  // the processor, then its node
    if (arguments[index] != 0 && !process.memory().write_value(arguments[index], std::uint32_t{0})) return -EFAULT;
  }
  return 0;
}

}  // namespace caisson::linux_personality
