// Calls that ask about files: stat and its kin, access, statfs.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "linux/call_support.h"
#include "linux/file_calls.h"
#include "linux/host_file.h"

namespace caisson::linux_personality {

namespace {

// struct stat of asm-generic, which riscv64 uses; x86-64 has its own.
struct GuestStat {
  std::uint64_t device, inode;
  std::uint32_t mode, links, user, group;
  std::uint64_t special_device, padding1;
  std::int64_t size;
  std::int32_t block_size, padding2;
  std::int64_t blocks;
  std::int64_t access_seconds, access_nanoseconds;
  std::int64_t modify_seconds, modify_nanoseconds;
  std::int64_t change_seconds, change_nanoseconds;
  std::uint32_t unused[2];
};
static_assert(sizeof(GuestStat) == 128);
static_assert(sizeof(struct statx) == 256 && sizeof(struct statfs) == 120, "laid out alike on both sides");

constexpr std::uint32_t kStatFlags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;
constexpr std::uint32_t kStatxSync = AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC;
constexpr std::int64_t kMountFlagReadOnly = 1, kMountFlagValid = 0x20;  // ST_RDONLY, ST_VALID

// As the kernel's new_encode_dev().
std::uint64_t encode_device(std::uint32_t major, std::uint32_t minor) {
  return (minor & 0xffU) | (std::uint64_t{major} << 8) | (std::uint64_t{minor & ~0xffU} << 12);
}

std::int64_t write_stat(LinuxProcess& process, std::uint64_t address, const struct statx& status) {
  GuestStat guest{};
  guest.device = encode_device(status.stx_dev_major, status.stx_dev_minor);
  guest.inode = status.stx_ino;
  guest.mode = status.stx_mode;
  guest.links = status.stx_nlink;
  guest.user = status.stx_uid;
  guest.group = status.stx_gid;
  guest.special_device = encode_device(status.stx_rdev_major, status.stx_rdev_minor);
  guest.size = static_cast<std::int64_t>(status.stx_size);
  guest.block_size = static_cast<std::int32_t>(status.stx_blksize);
  guest.blocks = static_cast<std::int64_t>(status.stx_blocks);
  guest.access_seconds = status.stx_atime.tv_sec;
  guest.access_nanoseconds = status.stx_atime.tv_nsec;
  guest.modify_seconds = status.stx_mtime.tv_sec;
  guest.modify_nanoseconds = status.stx_mtime.tv_nsec;
  guest.change_seconds = status.stx_ctime.tv_sec;
  guest.change_nanoseconds = status.stx_ctime.tv_nsec;
  return process.memory().write_value(address, guest) ? 0 : -EFAULT;
}

std::int64_t status_of(LinuxProcess& process, const Place& place, struct statx& status) {
  if (place.open_file) return place.open_file->status(process, status);
  if (place.descriptor) {
    status = place.host_status;
    settle_status(process, place.mount.get(), status);
    return 0;
  }
  const VirtualNode& node = *place.virtual_node;
  virtual_status(node, node.content == nullptr ? node.text.size() : 0, status);
  return 0;
}

// A (descriptor, path, flags) triple.
std::int64_t status_argument(LinuxProcess& process, std::int32_t descriptor, std::uint64_t path, std::uint32_t flags,
                             struct statx& status) {
  LookUpFlags look_up_flags;
  look_up_flags.follow_last = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  const auto place = place_argument(process, descriptor, path, look_up_flags, (flags & AT_EMPTY_PATH) != 0);
  if (!place) return place.error();
  return status_of(process, *place, status);
}

std::int64_t check_access(LinuxProcess& process, const CallArguments& arguments, std::uint32_t flags) {
  const std::uint32_t wanted = arguments.unsigned32(2);
  if ((wanted & ~static_cast<std::uint32_t>(R_OK | W_OK | X_OK)) != 0) return -EINVAL;
  if ((flags & ~static_cast<std::uint32_t>(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return -EINVAL;
  LookUpFlags look_up_flags;
  look_up_flags.follow_last = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  const auto place =
      place_argument(process, arguments.signed32(0), arguments[1], look_up_flags, (flags & AT_EMPTY_PATH) != 0);
  if (!place) return place.error();
  const int named = named_descriptor(*place);
  if (named < 0) {
    // A virtual or inherited file: its mode tells.
    const bool file = !S_ISDIR(place->mode) && !S_ISLNK(place->mode);
    if ((wanted & W_OK) != 0 && (place->mode & 0222) == 0) return file ? -EACCES : -EROFS;
    return (wanted & X_OK) != 0 && (place->mode & 0111) == 0 ? -EACCES : 0;
  }
  if ((wanted & W_OK) != 0 && is_read_only(*place) && (S_ISREG(place->mode) || S_ISDIR(place->mode))) return -EROFS;
  if (S_ISLNK(place->mode)) return 0;  // itself, not what it names
  return guest_result(::faccessat(AT_FDCWD, descriptor_link(named).c_str(), static_cast<int>(wanted), AT_EACCESS));
}

std::int64_t write_statfs(LinuxProcess& process, const Place& place, std::uint64_t address) {
  struct statfs status{};
  const std::shared_ptr<const Mount> mount = place.open_file ? place.open_file->mount() : place.mount;
  const int named = named_descriptor(place);
  if (named >= 0) {
    if (::fstatfs(named, &status) != 0) return guest_error(errno);
  } else {
    status.f_type = mount && mount->guest_path == "/proc" ? PROC_SUPER_MAGIC : TMPFS_MAGIC;
    status.f_bsize = status.f_frsize = memory::kPageSize;
    status.f_namelen = kMaximumName;
  }
  std::memset(&status.f_fsid, 0, sizeof status.f_fsid);
  status.f_flags = kMountFlagValid | (mount && mount->read_only ? kMountFlagReadOnly : 0);
  return process.memory().write_value(address, status) ? 0 : -EFAULT;
}

}  // namespace

std::int64_t sys_fstat(LinuxProcess& process, const CallArguments& arguments) {
  const std::shared_ptr<OpenFile> file = process.files.get(arguments.signed32(0));
  if (!file) return -EBADF;
  struct statx status{};
  if (const std::int64_t result = file->status(process, status); result < 0) return result;
  return write_stat(process, arguments[1], status);
}

std::int64_t sys_newfstatat(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint32_t flags = arguments.unsigned32(3);
  if ((flags & ~kStatFlags) != 0) return -EINVAL;
  struct statx status{};
  if (const std::int64_t result = status_argument(process, arguments.signed32(0), arguments[1], flags, status);
      result < 0)
    return result;
  return write_stat(process, arguments[2], status);
}

std::int64_t sys_statx(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint32_t flags = arguments.unsigned32(2), mask = arguments.unsigned32(3);
  if ((flags & ~(kStatFlags | kStatxSync)) != 0 || (flags & kStatxSync) == kStatxSync || (mask & STATX__RESERVED) != 0)
    return -EINVAL;
  struct statx status{};
  if (const std::int64_t result = status_argument(process, arguments.signed32(0), arguments[1], flags, status);
      result < 0)
    return result;
  return process.memory().write_value(arguments[4], status) ? 0 : -EFAULT;
}

std::int64_t sys_statfs(LinuxProcess& process, const CallArguments& arguments) {
  const auto place = place_argument(process, AT_FDCWD, arguments[0], {});
  return place ? write_statfs(process, *place, arguments[1]) : place.error();
}

std::int64_t sys_fstatfs(LinuxProcess& process, const CallArguments& arguments) {
  const auto place = place_of_descriptor(process, arguments.signed32(0));
  return place ? write_statfs(process, *place, arguments[1]) : place.error();
}

std::int64_t sys_faccessat(LinuxProcess& process, const CallArguments& arguments) {
  return check_access(process, arguments, 0);
}

std::int64_t sys_faccessat2(LinuxProcess& process, const CallArguments& arguments) {
  return check_access(process, arguments, arguments.unsigned32(3));
}

}  // namespace caisson::linux_personality
