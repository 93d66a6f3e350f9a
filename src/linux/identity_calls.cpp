// Numbers of the process, its group and its session. It knows of no other process but its parent.
#include <cerrno>

#include "linux/linux_process.h"
#include "linux/process_calls.h"

namespace caisson::linux_personality {
namespace {

bool is_self(const LinuxProcess& process, std::int32_t id) {
  return id == 0 || static_cast<std::uint32_t>(id) == process.ids.process;
}

}  // namespace

std::int64_t sys_getpid(LinuxProcess& process, const CallArguments&) { return process.ids.process; }
std::int64_t sys_getppid(LinuxProcess& process, const CallArguments&) { return process.ids.parent; }
std::int64_t sys_gettid(LinuxProcess& process, const CallArguments&) { return process.ids.thread; }

std::int64_t sys_getpgid(LinuxProcess& process, const CallArguments& arguments) {
  return is_self(process, arguments.signed32(0)) ? static_cast<std::int64_t>(process.ids.process_group) : -ESRCH;
}

std::int64_t sys_getsid(LinuxProcess& process, const CallArguments& arguments) {
  return is_self(process, arguments.signed32(0)) ? static_cast<std::int64_t>(process.ids.session) : -ESRCH;
}

std::int64_t sys_setpgid(LinuxProcess& process, const CallArguments& arguments) {
  const std::int32_t group = arguments.signed32(1);
  if (group < 0) return -EINVAL;
  if (!is_self(process, arguments.signed32(0))) return -ESRCH;
  // A session's leader stays in its group, and no other group exists.
  if (process.ids.session == process.ids.process || !is_self(process, group)) return -EPERM;
  process.ids.process_group = process.ids.process;
  return 0;
}

std::int64_t sys_setsid(LinuxProcess& process, const CallArguments&) {
  if (process.ids.process_group == process.ids.process) return -EPERM;
  process.ids.session = process.ids.process_group = process.ids.process;
  return process.ids.session;
}

}  // namespace caisson::linux_personality
