// From a path to the file it names, without ever leaving the guest's tree.
//
// The fast way is one openat2() that refuses symbolic links and anything above the held directory it starts from: what it
// finds is what the text says, so the mounts can be judged by the text. Where it meets a link, a "..", or a mount on the way,
// or where the host has no openat2, the path is walked: each step opens one name from a held O_PATH descriptor with
// O_NOFOLLOW, ".." goes back to the descriptor held before, and a link's text is interpreted in the guest's names from the
// start again. A tree that changes meanwhile can make a look-up find one or the other version, never something outside.
// Host names are never resolved by the host kernel beyond one component or without RESOLVE_BENEATH.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "linux/file_system.h"
#include "linux/virtual_files.h"

namespace caisson::linux_personality {

class LinuxProcess;

inline constexpr std::size_t kMaximumPath = 4096;  // PATH_MAX, the NUL included
inline constexpr std::size_t kMaximumName = 255;  // NAME_MAX
inline constexpr unsigned kMaximumSymbolicLinks = 40;  // MAXSYMLINKS

// What of the last component a caller needs.
enum class LookUpTarget : std::uint8_t {
  kFile,  // the file itself, which must exist
  kParent,  // the directory and the name in it, whether or not something has that name
  kParentAndFile,  // both; the file may be missing
};

struct LookUpFlags {
  LookUpTarget target = LookUpTarget::kFile;
  bool follow_last = true;  // a symbolic link as last component is followed
  unsigned resolve = 0;  // RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV of the guest's own openat2
};

// Where a path leads. Exactly one of these holds: a host file (descriptor), a virtual one (virtual_node), an open file of the
// process (open_file, through /proc/self/fd), or nothing yet (only with kParent and kParentAndFile).
struct Place {
  std::shared_ptr<const Mount> mount;
  HostDescriptor descriptor;  // O_PATH on the file
  std::optional<VirtualNode> virtual_node;
  std::shared_ptr<OpenFile> open_file;
  mode_t mode = 0;  // st_mode where one of the three is set
  struct statx host_status{};  // of the host file, as it was found

  HostDescriptor parent;  // O_PATH on the directory; none where that is virtual
  std::string name;  // empty: the path ends in ".", ".." or "/"
  bool must_be_directory = false;  // the path ends in a slash
  bool ends_in_dot_dot = false;
  bool is_mount_point = false;

  std::string guest_path;  // absolute, links resolved

  bool exists() const { return descriptor || virtual_node || open_file; }
};

// Follows `path` from `start` (or from "/"). Without a process only host files and static virtual ones exist. Errors are
// −errno: −ENOENT (also for an empty path), −ENOTDIR, −ELOOP, −ENAMETOOLONG, −EACCES, …
std::expected<Place, std::int64_t> look_up(const FileSystem& file_system, LinuxProcess* process,
                                           const HeldDirectory& start, std::string_view path,
                                           const LookUpFlags& flags = {});

// Where a held directory is now: the kernel follows renames, so its name may have changed since. Errors: −ENOENT where it was
// deleted or moved out of its mount.
std::expected<std::string, std::int64_t> current_guest_path(const HeldDirectory& directory);

// A held directory of what a look-up found. Errors: −ENOTDIR.
std::expected<std::shared_ptr<const HeldDirectory>, std::int64_t> hold_directory(Place&& place);

// "/proc/self/fd/N": names the file that a host descriptor holds, whatever its path; for calls that take no O_PATH descriptor.
std::string descriptor_link(int host_descriptor);

}  // namespace caisson::linux_personality
