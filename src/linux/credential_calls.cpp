// Users and groups: credentials(7)'s rules over ids that grant nothing on the host.
#include <linux/capability.h>

#include <array>
#include <cerrno>
#include <initializer_list>
#include <vector>

#include "linux/linux_process.h"
#include "linux/process_calls.h"

namespace caisson::linux_personality {
namespace {

constexpr std::uint32_t kUnchanged = 0xffffffff;
constexpr std::int32_t kMostGroups = 65536;  // NGROUPS_MAX

// The four ids of either kind, so that users and groups share their rules.
struct IdSet {
  std::uint32_t& real;
  std::uint32_t& effective;
  std::uint32_t& saved;
  std::uint32_t& file_system;

  bool has(std::uint32_t id) const { return id == real || id == effective || id == saved; }
};

IdSet users(LinuxProcess& process) {
  Credentials& ids = process.credentials;
  return {ids.user, ids.effective_user, ids.saved_user, ids.file_system_user};
}

IdSet groups(LinuxProcess& process) {
  Credentials& ids = process.credentials;
  return {ids.group, ids.effective_group, ids.saved_group, ids.file_system_group};
}

bool is_privileged(const LinuxProcess& process) { return process.credentials.effective_user == 0; }

std::int64_t set_id(LinuxProcess& process, const IdSet& ids, std::uint32_t id) {
  if (id == kUnchanged) return -EINVAL;
  if (is_privileged(process)) {
    ids.real = ids.saved = id;
  } else if (id != ids.real && id != ids.saved) {
    return -EPERM;
  }
  ids.effective = ids.file_system = id;
  return 0;
}

std::int64_t set_real_and_effective(LinuxProcess& process, const IdSet& ids, std::uint32_t real,
                                    std::uint32_t effective) {
  if (!is_privileged(process)) {
    if (real != kUnchanged && real != ids.real && real != ids.effective) return -EPERM;
    if (effective != kUnchanged && !ids.has(effective)) return -EPERM;
  }
  const std::uint32_t old_real = ids.real;
  if (real != kUnchanged) ids.real = real;
  if (effective != kUnchanged) ids.effective = effective;
  if (real != kUnchanged || (effective != kUnchanged && effective != old_real)) ids.saved = ids.effective;
  ids.file_system = ids.effective;
  return 0;
}

std::int64_t set_all(LinuxProcess& process, const IdSet& ids, std::uint32_t real, std::uint32_t effective,
                     std::uint32_t saved) {
  if (!is_privileged(process)) {
    for (const std::uint32_t id : {real, effective, saved}) {
      if (id != kUnchanged && !ids.has(id)) return -EPERM;
    }
  }
  if (real != kUnchanged) ids.real = real;
  if (effective != kUnchanged) ids.effective = effective;
  if (saved != kUnchanged) ids.saved = saved;
  ids.file_system = ids.effective;
  return 0;
}

std::int64_t write_all(LinuxProcess& process, const IdSet& ids, const CallArguments& arguments) {
  const std::array<std::uint32_t, 3> values = {ids.real, ids.effective, ids.saved};
  for (unsigned index = 0; index < values.size(); ++index) {
    if (!process.memory().write_value(arguments[index], values[index])) return -EFAULT;
  }
  return 0;
}

// Gives the old id whether or not the new one is allowed.
std::int64_t set_file_system_id(LinuxProcess& process, const IdSet& ids, std::uint32_t id) {
  const std::uint32_t previous = ids.file_system;
  if (id != kUnchanged && (is_privileged(process) || ids.has(id) || id == ids.file_system)) ids.file_system = id;
  return previous;
}

struct CapabilityHeader {
  std::uint32_t version;
  std::int32_t process;
};
using CapabilityData = std::array<std::uint32_t, 6>;  // effective, permitted, inheritable; twice

// 0 where the header names this process and the current version; -EINVAL has written the version that it should be.
std::int64_t check_capability_header(LinuxProcess& process, std::uint64_t address) {
  const auto header = process.memory().read_value<CapabilityHeader>(address);
  if (!header) return -EFAULT;
  if (header->version != _LINUX_CAPABILITY_VERSION_3) {
    return process.memory().write_value(address, std::uint32_t{_LINUX_CAPABILITY_VERSION_3}) ? -EINVAL : -EFAULT;
  }
  if (header->process < 0) return -EINVAL;
  return header->process == 0 || static_cast<std::uint32_t>(header->process) == process.ids.process ? 0 : -ESRCH;
}

}  // namespace

std::int64_t sys_getuid(LinuxProcess& process, const CallArguments&) { return process.credentials.user; }
std::int64_t sys_geteuid(LinuxProcess& process, const CallArguments&) { return process.credentials.effective_user; }
std::int64_t sys_getgid(LinuxProcess& process, const CallArguments&) { return process.credentials.group; }
std::int64_t sys_getegid(LinuxProcess& process, const CallArguments&) { return process.credentials.effective_group; }

std::int64_t sys_setuid(LinuxProcess& process, const CallArguments& arguments) {
  return set_id(process, users(process), arguments.unsigned32(0));
}
std::int64_t sys_setgid(LinuxProcess& process, const CallArguments& arguments) {
  return set_id(process, groups(process), arguments.unsigned32(0));
}
std::int64_t sys_setreuid(LinuxProcess& process, const CallArguments& arguments) {
  return set_real_and_effective(process, users(process), arguments.unsigned32(0), arguments.unsigned32(1));
}
std::int64_t sys_setregid(LinuxProcess& process, const CallArguments& arguments) {
  return set_real_and_effective(process, groups(process), arguments.unsigned32(0), arguments.unsigned32(1));
}
std::int64_t sys_setresuid(LinuxProcess& process, const CallArguments& arguments) {
  return set_all(process, users(process), arguments.unsigned32(0), arguments.unsigned32(1), arguments.unsigned32(2));
}
std::int64_t sys_setresgid(LinuxProcess& process, const CallArguments& arguments) {
  return set_all(process, groups(process), arguments.unsigned32(0), arguments.unsigned32(1), arguments.unsigned32(2));
}
std::int64_t sys_getresuid(LinuxProcess& process, const CallArguments& arguments) {
  return write_all(process, users(process), arguments);
}
std::int64_t sys_getresgid(LinuxProcess& process, const CallArguments& arguments) {
  return write_all(process, groups(process), arguments);
}
std::int64_t sys_setfsuid(LinuxProcess& process, const CallArguments& arguments) {
  return set_file_system_id(process, users(process), arguments.unsigned32(0));
}
std::int64_t sys_setfsgid(LinuxProcess& process, const CallArguments& arguments) {
  return set_file_system_id(process, groups(process), arguments.unsigned32(0));
}

std::int64_t sys_getgroups(LinuxProcess& process, const CallArguments& arguments) {
  const std::vector<std::uint32_t>& list = process.credentials.supplementary_groups;
  const std::int32_t room = arguments.signed32(0);
  const auto count = static_cast<std::int64_t>(list.size());
  if (room < 0) return -EINVAL;
  if (room == 0) return count;
  if (room < count) return -EINVAL;
  const std::size_t bytes = list.size() * sizeof list[0];
  return process.memory().write(arguments[1], list.data(), bytes) == bytes ? count : -EFAULT;
}

std::int64_t sys_setgroups(LinuxProcess& process, const CallArguments& arguments) {
  if (!is_privileged(process)) return -EPERM;
  const std::int32_t count = arguments.signed32(0);
  if (count < 0 || count > kMostGroups) return -EINVAL;
  std::vector<std::uint32_t> list(static_cast<std::size_t>(count));
  const std::size_t bytes = list.size() * sizeof(std::uint32_t);
  if (process.memory().read(arguments[1], list.data(), bytes) != bytes) return -EFAULT;
  process.credentials.supplementary_groups = std::move(list);
  return 0;
}

std::int64_t sys_capget(LinuxProcess& process, const CallArguments& arguments) {
  const std::int64_t status = check_capability_header(process, arguments[0]);
  if (arguments[1] == 0) return status == -EINVAL ? 0 : status;  // only asks for the version
  if (status < 0) return status;
  return process.memory().write_value(arguments[1], CapabilityData{}) ? 0 : -EFAULT;
}

// None are held, so none can be kept.
std::int64_t sys_capset(LinuxProcess& process, const CallArguments& arguments) {
  if (const std::int64_t status = check_capability_header(process, arguments[0]); status < 0) return status;
  const auto data = process.memory().read_value<CapabilityData>(arguments[1]);
  if (!data) return -EFAULT;
  return *data == CapabilityData{} ? 0 : -EPERM;
}

}  // namespace caisson::linux_personality
