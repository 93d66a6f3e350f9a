// Calls that change a file's attributes: mode, owner, times; and the umask.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "linux/call_support.h"
#include "linux/file_calls.h"
#include "linux/opening.h"

namespace caisson::linux_personality {

namespace {

// 0 where the file behind `place` may be changed, else the error.
std::int64_t check_changeable(const Place& place) {
  if (is_read_only(place)) return -EROFS;
  return named_descriptor(place) < 0 ? -EPERM : 0;
}

std::expected<Place, std::int64_t> changeable(std::expected<Place, std::int64_t> place) {
  if (!place) return place;
  const std::int64_t failure = check_changeable(*place);
  if (failure != 0) return std::unexpected(failure);
  return place;
}

// An open file that is no O_PATH descriptor, as fchmod and fchown want it.
std::expected<Place, std::int64_t> changeable_descriptor(LinuxProcess& process, std::int32_t descriptor) {
  const std::shared_ptr<OpenFile>& file = process.files.get(descriptor);
  if (!file || file->path_only()) return std::unexpected(-EBADF);
  return changeable(place_of_descriptor(process, descriptor));
}

std::int64_t change_mode(const Place& place, std::uint32_t mode) {
  if (S_ISLNK(place.mode)) return -EOPNOTSUPP;
  const mode_t inherited_group = S_ISDIR(place.mode) ? S_ISGID : 0;  // harmless on a directory
  return guest_result(
      ::chmod(descriptor_link(named_descriptor(place)).c_str(), mode & (kSettableMode | inherited_group)));
}

std::int64_t change_owner(const Place& place, std::uint32_t user, std::uint32_t group) {
  return guest_result(::fchownat(named_descriptor(place), "", user, group, AT_EMPTY_PATH));
}

bool valid_time(const timespec& time) {
  return time.tv_nsec == UTIME_NOW || time.tv_nsec == UTIME_OMIT || (time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000);
}

std::int64_t change_mode_at(LinuxProcess& process, const CallArguments& arguments, std::uint32_t flags) {
  if ((flags & ~static_cast<std::uint32_t>(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return -EINVAL;
  LookUpFlags look_up_flags;
  look_up_flags.follow_last = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  const auto place = changeable(
      place_argument(process, arguments.signed32(0), arguments[1], look_up_flags, (flags & AT_EMPTY_PATH) != 0));
  return place ? change_mode(*place, arguments.unsigned32(2)) : place.error();
}

}  // namespace

std::int64_t sys_umask(LinuxProcess& process, const CallArguments& arguments) {
  return std::exchange(process.umask, arguments.unsigned32(0) & 0777);
}

std::int64_t sys_fchmod(LinuxProcess& process, const CallArguments& arguments) {
  const auto place = changeable_descriptor(process, arguments.signed32(0));
  return place ? change_mode(*place, arguments.unsigned32(1)) : place.error();
}

std::int64_t sys_fchmodat(LinuxProcess& process, const CallArguments& arguments) {
  return change_mode_at(process, arguments, 0);
}

std::int64_t sys_fchmodat2(LinuxProcess& process, const CallArguments& arguments) {
  return change_mode_at(process, arguments, arguments.unsigned32(3));
}

std::int64_t sys_fchown(LinuxProcess& process, const CallArguments& arguments) {
  const auto place = changeable_descriptor(process, arguments.signed32(0));
  return place ? change_owner(*place, arguments.unsigned32(1), arguments.unsigned32(2)) : place.error();
}

std::int64_t sys_fchownat(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint32_t flags = arguments.unsigned32(4);
  if ((flags & ~static_cast<std::uint32_t>(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return -EINVAL;
  LookUpFlags look_up_flags;
  look_up_flags.follow_last = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  const auto place = changeable(
      place_argument(process, arguments.signed32(0), arguments[1], look_up_flags, (flags & AT_EMPTY_PATH) != 0));
  return place ? change_owner(*place, arguments.unsigned32(2), arguments.unsigned32(3)) : place.error();
}

// (descriptor, path or null, two timespecs or null, flags); a null path means the descriptor, as futimens() uses it.
std::int64_t sys_utimensat(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint32_t flags = arguments.unsigned32(3);
  if ((flags & ~static_cast<std::uint32_t>(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return -EINVAL;
  std::array<timespec, 2> times = {timespec{0, UTIME_NOW}, timespec{0, UTIME_NOW}};
  if (arguments[2] != 0) {
    const auto given = process.memory().read_value<std::array<timespec, 2>>(arguments[2]);
    if (!given) return -EFAULT;
    times = *given;
    if (!valid_time(times[0]) || !valid_time(times[1])) return -EINVAL;
    if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT) return 0;
  }
  LookUpFlags look_up_flags;
  look_up_flags.follow_last = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  const auto place = arguments[1] == 0 && arguments.signed32(0) != AT_FDCWD
                         ? changeable_descriptor(process, arguments.signed32(0))
                         : changeable(place_argument(process, arguments.signed32(0), arguments[1], look_up_flags,
                                                     (flags & AT_EMPTY_PATH) != 0));
  if (!place) return place.error();
  return guest_result(::utimensat(AT_FDCWD, descriptor_link(named_descriptor(*place)).c_str(), times.data(), 0));
}

}  // namespace caisson::linux_personality
