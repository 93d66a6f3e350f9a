// Files that exist in the engine only: /proc, /dev, and what /etc must have for a C library to work.
//
// One table (virtual_files.cpp) lists each with its mode and where its bytes come from. They show guest names and guest
// numbers only. A file's bytes are made when it is opened. Where --root has an /etc/passwd of its own, that one is seen.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linux/open_file.h"

namespace caisson::linux_personality {

class LinuxProcess;

enum class DeviceKind : std::uint8_t { kNone, kNull, kZero, kFull, kRandom, kTerminal };

// Makes a virtual file's bytes, or a symbolic link's text.
using VirtualContent = std::string (*)(LinuxProcess& process);

struct VirtualNode {
  mode_t mode = 0;  // type and permissions
  VirtualContent content = nullptr;  // regular files and symbolic links that need a process
  std::string text;  // else: the bytes
  DeviceKind device = DeviceKind::kNone;
  std::uint64_t device_number = 0;  // st_rdev
  std::uint64_t inode = 0;
  std::int32_t descriptor = -1;  // /proc/self/fd/N
};

struct DirectoryEntry {
  std::string name;
  std::uint64_t inode = 0;
  std::uint8_t type = 0;  // DT_*
};

// What lies at an absolute path without links in it. `process` may be null: then nothing that shows a process exists.
std::optional<VirtualNode> find_virtual(LinuxProcess* process, std::string_view guest_path);

// The names in a virtual directory, without "." and "..".
std::vector<DirectoryEntry> list_virtual(LinuxProcess& process, std::string_view guest_path);

// A directory that exists because a mount lies beneath it.
VirtualNode synthetic_directory(std::string_view guest_path);

// The bytes of a regular file, or the text of a link.
std::string virtual_content(LinuxProcess* process, const VirtualNode& node);

void virtual_status(const VirtualNode& node, std::uint64_t size, struct statx& status);

}  // namespace caisson::linux_personality
