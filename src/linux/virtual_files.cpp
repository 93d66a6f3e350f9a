#include "linux/virtual_files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "linux/file_table.h"
#include "linux/linux_process.h"
#include "linux/process_files.h"
#include "linux/system_identity.h"

namespace caisson::linux_personality {

namespace {

// A row of the virtual tree. Paths beneath "/proc/self/" stand for the process's own directory, /proc/<pid>.
struct Row {
  std::string_view path;
  mode_t mode;
  VirtualContent content = nullptr;
  std::string_view text = {};
  DeviceKind device = DeviceKind::kNone;
  std::uint32_t device_major = 0, device_minor = 0;
};

constexpr mode_t kDirectory = S_IFDIR | 0555;
constexpr mode_t kFile = S_IFREG | 0444;
constexpr mode_t kLink = S_IFLNK | 0777;
constexpr mode_t kDevice = S_IFCHR | 0666;

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "user:x:1000:1000:user:/:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
constexpr std::string_view kGroup = "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n";
constexpr std::string_view kNameServiceSwitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files\n";
constexpr std::string_view kFileSystems = "nodev\tproc\nnodev\ttmpfs\nnodev\tdevtmpfs\n";

// In the order in which directories list them.
constexpr Row kRows[] = {
    {"/", kDirectory},

    {"/dev", kDirectory},
    {"/dev/fd", kLink, nullptr, "/proc/self/fd"},
    {"/dev/full", kDevice, nullptr, {}, DeviceKind::kFull, 1, 7},
    {"/dev/null", kDevice, nullptr, {}, DeviceKind::kNull, 1, 3},
    {"/dev/random", kDevice, nullptr, {}, DeviceKind::kRandom, 1, 8},
    {"/dev/stderr", kLink, nullptr, "/proc/self/fd/2"},
    {"/dev/stdin", kLink, nullptr, "/proc/self/fd/0"},
    {"/dev/stdout", kLink, nullptr, "/proc/self/fd/1"},
    {"/dev/tty", kDevice, nullptr, {}, DeviceKind::kTerminal, 5, 0},
    {"/dev/urandom", kDevice, nullptr, {}, DeviceKind::kRandom, 1, 9},
    {"/dev/zero", kDevice, nullptr, {}, DeviceKind::kZero, 1, 5},

    {"/etc", kDirectory},
    {"/etc/group", kFile, nullptr, kGroup},
    {"/etc/hostname", kFile, nullptr, "caisson\n"},
    {"/etc/nsswitch.conf", kFile, nullptr, kNameServiceSwitch},
    {"/etc/passwd", kFile, nullptr, kPasswd},

    {"/proc", kDirectory},
    {"/proc/cmdline", kFile, nullptr, "\n"},
    {"/proc/cpuinfo", kFile, machine_files::cpuinfo},
    {"/proc/filesystems", kFile, nullptr, kFileSystems},
    {"/proc/loadavg", kFile, machine_files::loadavg},
    {"/proc/meminfo", kFile, machine_files::meminfo},
    {"/proc/mounts", kLink, nullptr, "self/mounts"},
    {"/proc/self", kLink, process_files::process_link},
    {"/proc/stat", kFile, machine_files::stat},
    {"/proc/sys", kDirectory},
    {"/proc/sys/fs", kDirectory},
    {"/proc/sys/fs/file-max", kFile, nullptr, "65536\n"},
    {"/proc/sys/fs/nr_open", kFile, nullptr, "65536\n"},
    {"/proc/sys/fs/pipe-max-size", kFile, nullptr, "1048576\n"},
    {"/proc/sys/kernel", kDirectory},
    {"/proc/sys/kernel/cap_last_cap", kFile, nullptr, "40\n"},
    {"/proc/sys/kernel/hostname", kFile, machine_files::hostname},
    {"/proc/sys/kernel/ngroups_max", kFile, nullptr, "65536\n"},
    {"/proc/sys/kernel/osrelease", kFile, machine_files::kernel_release},
    {"/proc/sys/kernel/ostype", kFile, machine_files::kernel_name},
    {"/proc/sys/kernel/pid_max", kFile, nullptr, "4194304\n"},
    {"/proc/sys/kernel/random", kDirectory},
    {"/proc/sys/kernel/random/uuid", kFile, machine_files::random_uuid},
    {"/proc/sys/kernel/version", kFile, machine_files::kernel_version},
    {"/proc/sys/vm", kDirectory},
    {"/proc/sys/vm/max_map_count", kFile, nullptr, "65530\n"},
    {"/proc/sys/vm/mmap_min_addr", kFile, nullptr, "65536\n"},
    {"/proc/sys/vm/overcommit_memory", kFile, nullptr, "1\n"},
    {"/proc/thread-self", kLink, process_files::thread_link},
    {"/proc/uptime", kFile, machine_files::uptime},
    {"/proc/version", kFile, machine_files::version},

    {"/proc/self/auxv", S_IFREG | 0400, process_files::auxv},
    {"/proc/self/cgroup", kFile, nullptr, "0::/\n"},
    {"/proc/self/cmdline", kFile, process_files::cmdline},
    {"/proc/self/comm", kFile, process_files::comm},
    {"/proc/self/cwd", kLink, process_files::working_directory_link},
    {"/proc/self/environ", S_IFREG | 0400, process_files::environ},
    {"/proc/self/exe", kLink, process_files::executable_link},
    {"/proc/self/fd", S_IFDIR | 0500},
    {"/proc/self/limits", kFile, process_files::limits},
    {"/proc/self/maps", kFile, process_files::maps},
    {"/proc/self/mountinfo", kFile, process_files::mountinfo},
    {"/proc/self/mounts", kFile, process_files::mounts},
    {"/proc/self/oom_score_adj", kFile, nullptr, "0\n"},
    {"/proc/self/root", kLink, nullptr, "/"},
    {"/proc/self/stat", kFile, process_files::stat},
    {"/proc/self/statm", kFile, process_files::statm},
    {"/proc/self/status", kFile, process_files::status},
    {"/proc/self/task", kDirectory},
};

constexpr std::string_view kProcessDirectory = "/proc/self";
constexpr std::string_view kDescriptorDirectory = "/proc/self/fd";

// Inode numbers: a row's place in the table; then what is made per process.
constexpr std::uint64_t kFirstInode = 1;
constexpr std::uint64_t kProcessInode = 0x1000, kTaskInode = 0x1001, kSyntheticInode = 0x2000,
                        kDescriptorInode = 0x10000;

// A path as the table spells it.
struct TablePath {
  std::string path;
  enum Kind : std::uint8_t {
    kRow,
    kProcess,
    kTask
  } kind = kRow;  // kProcess: /proc/<pid>; kTask: /proc/<pid>/task/<tid>
};

// Takes "/<number>" off the front of `path`.
bool take_number(std::string_view& path, std::uint32_t number) {
  const std::string text = "/" + std::to_string(number);
  if (!path_is_within(path, text)) return false;
  path.remove_prefix(text.size());
  return true;
}

// /proc/<pid>/x and /proc/<pid>/task/<tid>/x become /proc/self/x. nullopt: no such process, or none at all.
std::optional<TablePath> table_path(LinuxProcess* process, std::string_view path) {
  std::string_view rest = path;
  if (!rest.starts_with("/proc/")) return TablePath{std::string(path)};
  rest.remove_prefix(5);
  if (rest == "/self" || rest == "/thread-self")
    return process ? std::optional(TablePath{std::string(path)}) : std::nullopt;
  if (path_is_within(rest, "/self") || path_is_within(rest, "/thread-self"))
    return std::nullopt;  // links: followed before
  if (rest[1] < '0' || rest[1] > '9') return TablePath{std::string(path)};
  if (process == nullptr || !take_number(rest, process->ids.process)) return std::nullopt;
  if (rest.empty()) return TablePath{std::string(kProcessDirectory), TablePath::kProcess};
  std::string_view task = rest;
  if (task.starts_with("/task/")) {
    task.remove_prefix(5);
    if (!take_number(task, process->ids.thread)) return std::nullopt;
    if (task.empty()) return TablePath{std::string(kProcessDirectory), TablePath::kTask};
    if (path_is_within(task, "/task")) return std::nullopt;
    rest = task;
  }
  return TablePath{std::string(kProcessDirectory) + std::string(rest)};
}

VirtualNode directory_node(std::uint64_t inode, mode_t mode = kDirectory) {
  VirtualNode node;
  node.mode = mode;
  node.inode = inode;
  return node;
}

VirtualNode node_of(const Row& row) {
  VirtualNode node;
  node.mode = row.mode;
  node.content = row.content;
  node.text = row.text;
  node.device = row.device;
  node.device_number = makedev(row.device_major, row.device_minor);
  node.inode = kFirstInode + static_cast<std::uint64_t>(&row - kRows);
  return node;
}

std::optional<VirtualNode> descriptor_node(LinuxProcess& process, std::string_view name) {
  std::int32_t number = -1;
  const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (failure != std::errc() || end != name.data() + name.size() || std::to_string(number) != name) return std::nullopt;
  const std::shared_ptr<OpenFile>& file = process.files.get(number);
  if (!file) return std::nullopt;
  VirtualNode node;
  node.mode = S_IFLNK | (file->readable() ? 0500U : 0U) | (file->writable() ? 0300U : 0U);
  node.text = file->guest_path();
  node.inode = kDescriptorInode + static_cast<std::uint64_t>(number);
  node.descriptor = number;
  return node;
}

}  // namespace

std::optional<VirtualNode> find_virtual(LinuxProcess* process, std::string_view guest_path) {
  const std::optional<TablePath> key = table_path(process, guest_path);
  if (!key) return std::nullopt;
  if (key->kind == TablePath::kProcess) return directory_node(kProcessInode);
  if (key->kind == TablePath::kTask) return directory_node(kTaskInode);
  if (process != nullptr && key->path.starts_with(kDescriptorDirectory) &&
      key->path.size() > kDescriptorDirectory.size() + 1) {
    return descriptor_node(*process, std::string_view(key->path).substr(kDescriptorDirectory.size() + 1));
  }
  const auto* row = std::ranges::find(kRows, key->path, &Row::path);
  if (row == std::end(kRows) || (row->content != nullptr && process == nullptr)) return std::nullopt;
  return node_of(*row);
}

std::vector<DirectoryEntry> list_virtual(LinuxProcess& process, std::string_view guest_path) {
  std::vector<DirectoryEntry> entries;
  const std::optional<TablePath> key = table_path(&process, guest_path);
  if (!key) return entries;
  const auto add = [&](std::string name, const VirtualNode& node) {
    entries.push_back({std::move(name), node.inode, static_cast<std::uint8_t>(IFTODT(node.mode))});
  };

  if (key->path == kDescriptorDirectory) {
    for (std::uint32_t number = 0; number < process.files.end(); ++number) {
      const std::string name = std::to_string(number);
      if (const auto node = descriptor_node(process, name)) add(name, *node);
    }
    return entries;
  }
  if (key->path == "/proc/self/task") {
    add(std::to_string(process.ids.thread), directory_node(kTaskInode));
    return entries;
  }
  for (const Row& row : kRows) {
    if (row.path.size() == 1 || !path_is_within(row.path, key->path) || row.path == key->path) continue;
    const std::string_view name = row.path.substr(key->path == "/" ? 1 : key->path.size() + 1);
    if (name.find('/') != std::string_view::npos) continue;
    if (key->kind == TablePath::kTask && name == "task") continue;
    add(std::string(name), node_of(row));
  }
  if (key->path == "/proc") add(std::to_string(process.ids.process), directory_node(kProcessInode));
  return entries;
}

VirtualNode synthetic_directory(std::string_view guest_path) {
  return directory_node(kSyntheticInode + std::hash<std::string_view>()(guest_path) % 0x8000, S_IFDIR | 0755);
}

std::string virtual_content(LinuxProcess* process, const VirtualNode& node) {
  if (node.content == nullptr) return node.text;
  return process == nullptr ? std::string() : node.content(*process);
}

void virtual_status(const VirtualNode& node, std::uint64_t size, struct statx& status) {
  status = {};
  status.stx_mask = STATX_BASIC_STATS;
  status.stx_mode = static_cast<std::uint16_t>(node.mode);
  status.stx_nlink = S_ISDIR(node.mode) ? 2 : 1;
  status.stx_ino = node.inode;
  status.stx_size = size;
  status.stx_blksize = 4096;
  status.stx_rdev_major = major(node.device_number);
  status.stx_rdev_minor = minor(node.device_number);
}

}  // namespace caisson::linux_personality
