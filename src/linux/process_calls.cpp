// A process's end, what a C library registers at its start, and prctl.
#include "linux/process_calls.h"

#include <linux/personality.h>
#include <linux/prctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "linux/linux_process.h"

namespace caisson::linux_personality {
namespace {

constexpr std::uint64_t kRobustListSize = 24;  // sizeof(struct robust_list_head)
constexpr std::size_t kCommandNameSize = 16;   // TASK_COMM_LEN, NUL included
constexpr std::uint64_t kLastCapability = 40;  // CAP_CHECKPOINT_RESTORE
constexpr std::int64_t kTimerSlackNs = 50'000;

std::int64_t set_name(LinuxProcess& process, const CallArguments& arguments) {
  std::optional<std::string> name = process.memory().read_string(arguments[1], kCommandNameSize - 1);
  if (!name) return -EFAULT;
  name->resize(std::min(name->size(), kCommandNameSize - 1));
  process.command_name = std::move(*name);
  return 0;
}

std::int64_t get_name(LinuxProcess& process, const CallArguments& arguments) {
  std::array<char, kCommandNameSize> name{};
  std::memcpy(name.data(), process.command_name.data(), std::min(process.command_name.size(), name.size() - 1));
  return process.memory().write_value(arguments[1], name) ? 0 : -EFAULT;
}

std::int64_t set_parent_death_signal(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[1] > kSignalCount) return -EINVAL;
  process.parent_death_signal = arguments.signed32(1);
  return 0;
}

std::int64_t get_parent_death_signal(LinuxProcess& process, const CallArguments& arguments) {
  return process.memory().write_value(arguments[1], process.parent_death_signal) ? 0 : -EFAULT;
}

std::int64_t set_dumpable(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[1] > 1) return -EINVAL;
  process.dumpable = arguments[1] != 0;
  return 0;
}

std::int64_t get_dumpable(LinuxProcess& process, const CallArguments&) { return process.dumpable ? 1 : 0; }

std::int64_t set_no_new_privileges(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[1] != 1 || arguments[2] != 0 || arguments[3] != 0 || arguments[4] != 0) return -EINVAL;
  process.no_new_privileges = true;
  return 0;
}

std::int64_t get_no_new_privileges(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[1] != 0 || arguments[2] != 0 || arguments[3] != 0 || arguments[4] != 0) return -EINVAL;
  return process.no_new_privileges ? 1 : 0;
}

// The guest's root has no capabilities: there is nothing for them to grant.
std::int64_t read_bounding_set(LinuxProcess&, const CallArguments& arguments) {
  return arguments[1] <= kLastCapability ? 0 : -EINVAL;
}

std::int64_t get_timer_slack(LinuxProcess&, const CallArguments&) { return kTimerSlackNs; }

std::int64_t get_tid_address(LinuxProcess& process, const CallArguments& arguments) {
  return process.memory().write_value(arguments[1], process.clear_child_tid) ? 0 : -EFAULT;
}

std::int64_t accept(LinuxProcess&, const CallArguments&) { return 0; }

struct ControlRow {
  std::int32_t option;
  SystemCall control;
};
constexpr ControlRow kControls[] = {
    {PR_SET_PDEATHSIG, set_parent_death_signal},
    {PR_GET_PDEATHSIG, get_parent_death_signal},
    {PR_GET_DUMPABLE, get_dumpable},
    {PR_SET_DUMPABLE, set_dumpable},
    {PR_SET_NAME, set_name},
    {PR_GET_NAME, get_name},
    {PR_CAPBSET_READ, read_bounding_set},
    {PR_SET_TIMERSLACK, accept},
    {PR_GET_TIMERSLACK, get_timer_slack},
    {PR_SET_NO_NEW_PRIVS, set_no_new_privileges},
    {PR_GET_NO_NEW_PRIVS, get_no_new_privileges},
    {PR_GET_TID_ADDRESS, get_tid_address},
};

}  // namespace

// The only thread is the process.
std::int64_t sys_exit(LinuxProcess& process, const CallArguments& arguments) {
  return sys_exit_group(process, arguments);
}

std::int64_t sys_exit_group(LinuxProcess& process, const CallArguments& arguments) {
  process.instance().finish(ExitReason::kHalt, 0, arguments[0] & 0xff);
  return kCallExit;
}

std::int64_t sys_set_tid_address(LinuxProcess& process, const CallArguments& arguments) {
  process.clear_child_tid = arguments[0];
  return process.ids.thread;
}

std::int64_t sys_set_robust_list(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments[1] != kRobustListSize) return -EINVAL;
  process.robust_list_head = arguments[0];
  return 0;
}

std::int64_t sys_get_robust_list(LinuxProcess& process, const CallArguments& arguments) {
  const std::int32_t thread = arguments.signed32(0);
  if (thread != 0 && static_cast<std::uint32_t>(thread) != process.ids.thread) return -ESRCH;
  const bool written = process.memory().write_value(arguments[2], kRobustListSize) &&
                       process.memory().write_value(arguments[1], process.robust_list_head);
  return written ? 0 : -EFAULT;
}

// Restartable sequences serve threads that share a processor; a C library does without them.
std::int64_t sys_rseq(LinuxProcess&, const CallArguments&) { return -ENOSYS; }

std::int64_t sys_personality(LinuxProcess& process, const CallArguments& arguments) {
  constexpr std::uint32_t kAsk = 0xffffffff;
  const std::uint32_t previous = process.personality_flags;
  if (arguments.unsigned32(0) != kAsk) process.personality_flags = arguments.unsigned32(0);
  return previous;
}

std::int64_t sys_prctl(LinuxProcess& process, const CallArguments& arguments) {
  const auto* const row = std::ranges::find(kControls, arguments.signed32(0), &ControlRow::option);
  return row == std::end(kControls) ? -EINVAL : row->control(process, arguments);
}

}  // namespace caisson::linux_personality
