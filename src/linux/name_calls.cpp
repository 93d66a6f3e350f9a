// Calls that make, move and remove names. Each works on a held parent directory and one name in it, which the host kernel
// does not resolve any further.
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "linux/call_support.h"
#include "linux/file_calls.h"
#include "linux/opening.h"

namespace caisson::linux_personality {

namespace {

constexpr LookUpFlags kNameOnly{LookUpTarget::kParent, false, 0};

// The name as the host gets it: a trailing slash still demands a directory.
std::string host_name(const Place& place) { return place.must_be_directory ? place.name + "/" : place.name; }

// 0 where a name can be made, else the error.
std::int64_t check_new_name(const Place& place) {
  if (place.name.empty() || place.is_mount_point || place.virtual_node) return -EEXIST;
  if (!place.parent || place.mount->read_only) return -EROFS;
  return 0;
}

std::expected<Place, std::int64_t> new_name(LinuxProcess& process, std::int32_t descriptor,
                                            std::uint64_t path_address) {
  auto place = place_argument(process, descriptor, path_address, kNameOnly);
  if (!place) return place;
  const std::int64_t failure = check_new_name(*place);
  if (failure == 0) return place;
  // A name that is there already says so, also where nothing could be made (mkdir -p relies on it).
  if (failure == -EROFS && place->parent &&
      ::faccessat(place->parent.get(), place->name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    return std::unexpected(-EEXIST);
  }
  return std::unexpected(failure);
}

std::int64_t rename_place(LinuxProcess& process, const CallArguments& arguments, unsigned flags) {
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0) return -EINVAL;
  const auto from = place_argument(process, arguments.signed32(0), arguments[1], kNameOnly);
  if (!from) return from.error();
  const auto to = place_argument(process, arguments.signed32(2), arguments[3], kNameOnly);
  if (!to) return to.error();
  if (from->mount != to->mount) return -EXDEV;
  for (const Place* place : {&*from, &*to}) {
    if (place->name.empty() || place->is_mount_point || (place->virtual_node && place->parent)) return -EBUSY;
    if (!place->parent || place->mount->read_only) return -EROFS;
  }
  return guest_result(
      ::renameat2(from->parent.get(), host_name(*from).c_str(), to->parent.get(), host_name(*to).c_str(), flags));
}

}  // namespace

std::int64_t sys_mkdirat(LinuxProcess& process, const CallArguments& arguments) {
  const auto place = new_name(process, arguments.signed32(0), arguments[1]);
  if (!place) return place.error();
  const mode_t mode = arguments.unsigned32(2) & ~process.umask & kSettableMode;
  if (::mkdirat(place->parent.get(), place->name.c_str(), mode) != 0) return guest_error(errno);
  // The host's umask may have taken more away than the guest's.
  const HostDescriptor made(
      ::openat(place->parent.get(), place->name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (made && ::fstat(made.get(), &status) == 0 && (status.st_mode & kSettableMode) != mode) {
    ::chmod(descriptor_link(made.get()).c_str(), mode | (status.st_mode & S_ISGID));
  }
  return 0;
}

// Regular files and FIFOs; a guest makes no devices, and sockets come by bind().
std::int64_t sys_mknodat(LinuxProcess& process, const CallArguments& arguments) {
  const mode_t type = arguments.unsigned32(2) & S_IFMT;
  const auto place = new_name(process, arguments.signed32(0), arguments[1]);
  if (!place) return place.error();
  if (type == S_IFCHR || type == S_IFBLK || type == S_IFSOCK) return -EPERM;
  if (type != 0 && type != S_IFREG && type != S_IFIFO) return -EINVAL;
  const mode_t mode = arguments.unsigned32(2) & ~process.umask & kSettableMode;
  return guest_result(::mknodat(place->parent.get(), host_name(*place).c_str(), type | mode, 0));
}

std::int64_t sys_unlinkat(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint32_t flags = arguments.unsigned32(2);
  if ((flags & ~static_cast<std::uint32_t>(AT_REMOVEDIR)) != 0) return -EINVAL;
  const bool directory = (flags & AT_REMOVEDIR) != 0;
  const auto place = place_argument(process, arguments.signed32(0), arguments[1], kNameOnly);
  if (!place) return place.error();
  if (place->name.empty()) {
    if (!directory) return -EISDIR;
    return place->ends_in_dot_dot ? -ENOTEMPTY : place->guest_path == "/" ? -EBUSY : -EINVAL;
  }
  if (place->is_mount_point || (place->virtual_node && place->parent)) return -EBUSY;
  if (!place->parent && !place->virtual_node) return -ENOENT;
  if (!place->parent || place->mount->read_only) return -EROFS;
  return guest_result(::unlinkat(place->parent.get(), host_name(*place).c_str(), static_cast<int>(flags)));
}

std::int64_t sys_renameat(LinuxProcess& process, const CallArguments& arguments) {
  return rename_place(process, arguments, 0);
}

std::int64_t sys_renameat2(LinuxProcess& process, const CallArguments& arguments) {
  return rename_place(process, arguments, arguments.unsigned32(4));
}

std::int64_t sys_linkat(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint32_t flags = arguments.unsigned32(4);
  if ((flags & ~static_cast<std::uint32_t>(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0) return -EINVAL;
  LookUpFlags look_up_flags;
  look_up_flags.follow_last = (flags & AT_SYMLINK_FOLLOW) != 0;
  const auto from =
      place_argument(process, arguments.signed32(0), arguments[1], look_up_flags, (flags & AT_EMPTY_PATH) != 0);
  if (!from) return from.error();
  const auto to = new_name(process, arguments.signed32(2), arguments[3]);
  if (!to) return to.error();
  if (S_ISDIR(from->mode)) return -EPERM;
  const int named = named_descriptor(*from);
  const std::shared_ptr<const Mount> mount = from->open_file ? from->open_file->mount() : from->mount;
  if (named < 0 || mount != to->mount) return -EXDEV;
  return guest_result(
      ::linkat(AT_FDCWD, descriptor_link(named).c_str(), to->parent.get(), host_name(*to).c_str(), AT_SYMLINK_FOLLOW));
}

std::int64_t sys_symlinkat(LinuxProcess& process, const CallArguments& arguments) {
  const auto target = path_argument(process, arguments[0]);
  if (!target) return target.error();
  const auto place = new_name(process, arguments.signed32(1), arguments[2]);
  if (!place) return place.error();
  return guest_result(::symlinkat(target->c_str(), place->parent.get(), host_name(*place).c_str()));
}

std::int64_t sys_readlinkat(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments.signed32(3) <= 0) return -EINVAL;
  LookUpFlags flags;
  flags.follow_last = false;
  const auto place = place_argument(process, arguments.signed32(0), arguments[1], flags, true);
  if (!place) return place.error();
  if (!S_ISLNK(place->mode)) return -EINVAL;

  std::string text;
  if (place->virtual_node) {
    text = virtual_content(&process, *place->virtual_node);
  } else {
    std::array<char, kMaximumPath> bytes;
    const ssize_t length = ::readlinkat(named_descriptor(*place), "", bytes.data(), bytes.size());
    if (length < 0) return guest_error(errno);
    text.assign(bytes.data(), static_cast<std::size_t>(length));
  }
  const std::size_t length = std::min<std::size_t>(text.size(), arguments.unsigned32(3));
  return process.memory().write(arguments[2], text.data(), length) == length ? static_cast<std::int64_t>(length)
                                                                             : -EFAULT;
}

}  // namespace caisson::linux_personality
