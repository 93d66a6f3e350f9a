#include "linux/process_files.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>

#include "linux/linux_process.h"
#include "linux/path_resolution.h"

namespace caisson::linux_personality::process_files {

namespace {

constexpr std::uint64_t kKibibyte = 1024;

std::string terminated(const std::vector<std::string>& strings) {
  std::string bytes;
  for (const std::string& text : strings) {
    bytes += text;
    bytes += '\0';
  }
  return bytes;
}

struct MountDescription {
  std::string_view type, source, options;
};

MountDescription describe(const Mount& mount) {
  const std::string_view options = mount.read_only ? "ro,relatime" : "rw,relatime";
  if (mount.guest_path == "/proc") return {"proc", "proc", options};
  if (mount.guest_path == "/dev") return {"devtmpfs", "dev", options};
  return {"caisson", "caisson", options};
}

struct MappedSizes {
  std::uint64_t total = 0, code = 0, data = 0;
};

MappedSizes mapped_sizes(LinuxProcess& process) {
  MappedSizes sizes;
  for (const memory::Mapping& mapping : process.memory().mappings()) {
    const std::uint64_t length = mapping.end - mapping.start;
    sizes.total += length;
    if ((mapping.permissions & memory::kExecute) != 0) sizes.code += length;
    if ((mapping.permissions & memory::kWrite) != 0) sizes.data += length;
  }
  return sizes;
}

std::string limit_text(std::uint64_t value) { return value == kNoLimit ? "unlimited" : std::to_string(value); }

}  // namespace

std::string process_link(LinuxProcess& process) { return std::to_string(process.ids.process); }
std::string thread_link(LinuxProcess& process) {
  return fmt::format("{}/task/{}", process.ids.process, process.ids.thread);
}

// Linux names the file itself, not the link by which it was started.
std::string executable_link(LinuxProcess& process) {
  const auto place =
      look_up(process.file_system, &process, *process.file_system.working_directory(), process.executable_path);
  return place && place->descriptor ? place->guest_path : process.executable_path;
}

std::string working_directory_link(LinuxProcess& process) {
  const HeldDirectory& directory = *process.file_system.working_directory();
  return current_guest_path(directory).value_or(directory.guest_path + " (deleted)");
}

std::string auxv(LinuxProcess& process) {
  return std::string(process.auxiliary_vector.begin(), process.auxiliary_vector.end());
}
std::string cmdline(LinuxProcess& process) { return terminated(process.arguments); }
std::string comm(LinuxProcess& process) { return process.command_name + "\n"; }
std::string environ(LinuxProcess& process) { return terminated(process.environment); }

// proc_pid_limits(5); in the order of RLIMIT_* (asm-generic numbers).
std::string limits(LinuxProcess& process) {
  struct Row {
    std::string_view name, unit;
  };
  static constexpr std::array<Row, ResourceLimits::kCount> kRows = {{
      {"Max cpu time", "seconds"},
      {"Max file size", "bytes"},
      {"Max data size", "bytes"},
      {"Max stack size", "bytes"},
      {"Max core file size", "bytes"},
      {"Max resident set", "bytes"},
      {"Max processes", "processes"},
      {"Max open files", "files"},
      {"Max locked memory", "bytes"},
      {"Max address space", "bytes"},
      {"Max file locks", "locks"},
      {"Max pending signals", "signals"},
      {"Max msgqueue size", "bytes"},
      {"Max nice priority", ""},
      {"Max realtime priority", ""},
      {"Max realtime timeout", "us"},
  }};
  std::string text = fmt::format("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
  for (unsigned resource = 0; resource < kRows.size(); ++resource) {
    const ResourceLimit& limit = process.limits[resource];
    text += fmt::format("{:<25} {:<20} {:<20} {:<10}\n", kRows[resource].name, limit_text(limit.current),
                        limit_text(limit.maximum), kRows[resource].unit);
  }
  return text;
}

// proc_pid_maps(5). Device and inode are not shown: they are the host's.
std::string maps(LinuxProcess& process) {
  std::string text;
  for (const memory::Mapping& mapping : process.memory().mappings()) {
    const auto flag = [&](memory::Permissions permission, char letter) {
      return (mapping.permissions & permission) != 0 ? letter : '-';
    };
    const std::string row =
        fmt::format("{:08x}-{:08x} {}{}{}{} {:08x} 00:00 0", mapping.start, mapping.end, flag(memory::kRead, 'r'),
                    flag(memory::kWrite, 'w'), flag(memory::kExecute, 'x'), mapping.shared ? 's' : 'p',
                    mapping.file ? mapping.file_offset : 0);
    text += mapping.name.empty() ? row + " \n" : fmt::format("{:<73}{}\n", row, mapping.name);
  }
  return text;
}

std::string mountinfo(LinuxProcess& process) {
  std::string text;
  for (const auto& mount : process.file_system.mounts()) {
    const MountDescription description = describe(*mount);
    text += fmt::format("{} {} 0:{} / {} {} - {} {} {}\n", mount->number, mount->guest_path == "/" ? 0 : 1,
                        mount->number, mount->guest_path, description.options, description.type, description.source,
                        mount->read_only ? "ro" : "rw");
  }
  return text;
}

std::string mounts(LinuxProcess& process) {
  std::string text;
  for (const auto& mount : process.file_system.mounts()) {
    const MountDescription description = describe(*mount);
    text +=
        fmt::format("{} {} {} {} 0 0\n", description.source, mount->guest_path, description.type, description.options);
  }
  return text;
}

// proc_pid_stat(5): 52 fields.
std::string stat(LinuxProcess& process) {
  const MappedSizes sizes = mapped_sizes(process);
  const std::uint64_t ticks = process.monotonic_ns() / 10'000'000;
  const MemoryLayout& layout = process.layout;
  return fmt::format(
      "{} ({}) R {} {} {} 0 -1 0 0 0 0 0 {} 0 0 0 20 0 1 0 0 {} {} {} 0 0 {} {} {} 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 {} "
      "{} {} {} {} 0\n",
      process.ids.process, process.command_name, process.ids.parent, process.ids.process_group, process.ids.session,
      ticks, sizes.total, process.memory().committed_bytes() / memory::kPageSize, kNoLimit, layout.stack_high,
      process.hart().x[riscv::kSp], process.hart().pc, layout.break_start, layout.arguments_start, layout.arguments_end,
      layout.environment_start, layout.environment_end);
}

// proc_pid_statm(5): in pages.
std::string statm(LinuxProcess& process) {
  const MappedSizes sizes = mapped_sizes(process);
  return fmt::format("{} {} 0 {} 0 {} 0\n", sizes.total / memory::kPageSize,
                     process.memory().committed_bytes() / memory::kPageSize, sizes.code / memory::kPageSize,
                     sizes.data / memory::kPageSize);
}

std::string status(LinuxProcess& process) {
  const MappedSizes sizes = mapped_sizes(process);
  const Credentials& ids = process.credentials;
  std::string groups;
  for (const std::uint32_t group : ids.supplementary_groups) groups += fmt::format("{} ", group);
  SignalMask ignored = 0, caught = 0;
  for (unsigned signal = 1; signal <= kSignalCount; ++signal) {
    const std::uint64_t handler = process.signals.actions[signal].handler;
    if (handler == 1) ignored |= signal_bit(signal);
    if (handler > 1) caught |= signal_bit(signal);
  }
  return fmt::format(
      "Name:\t{}\nUmask:\t{:04o}\nState:\tR (running)\nTgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n"
      "Uid:\t{}\t{}\t{}\t{}\nGid:\t{}\t{}\t{}\t{}\nFDSize:\t{}\nGroups:\t{}\n"
      "VmPeak:\t{:8} kB\nVmSize:\t{:8} kB\nVmHWM:\t{:8} kB\nVmRSS:\t{:8} kB\nVmData:\t{:8} kB\nVmStk:\t{:8} "
      "kB\nVmExe:\t{:8} kB\n"
      "Threads:\t1\nSigPnd:\t0000000000000000\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{:016x}\n"
      "NoNewPrivs:\t1\nSeccomp:\t0\nCpus_allowed:\t1\nCpus_allowed_list:\t0\n",
      process.command_name, process.umask, process.ids.process, process.ids.thread, process.ids.parent, ids.user,
      ids.effective_user, ids.saved_user, ids.file_system_user, ids.group, ids.effective_group, ids.saved_group,
      ids.file_system_group, process.files.end(), groups, sizes.total / kKibibyte, sizes.total / kKibibyte,
      process.memory().peak_committed_bytes() / kKibibyte, process.memory().committed_bytes() / kKibibyte,
      sizes.data / kKibibyte, (process.layout.stack_high - process.layout.stack_low) / kKibibyte,
      sizes.code / kKibibyte, process.signals.pending(), process.signals.blocked, ignored, caught);
}

}  // namespace caisson::linux_personality::process_files
