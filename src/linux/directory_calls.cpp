// The working directory, directory listings, and what would change the tree's roots.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "linux/call_support.h"
#include "linux/file_calls.h"

namespace caisson::linux_personality {

namespace {

// chdir needs search permission, which an O_PATH descriptor does not prove.
std::int64_t enter_directory(LinuxProcess& process, std::shared_ptr<const HeldDirectory> directory) {
  if (directory->descriptor && ::faccessat(directory->descriptor.get(), ".", X_OK, 0) != 0) return guest_error(errno);
  process.file_system.set_working_directory(std::move(directory));
  return 0;
}

}  // namespace

std::int64_t sys_getdents64(LinuxProcess& process, const CallArguments& arguments) {
  const std::shared_ptr<OpenFile> file = process.files.get(arguments.signed32(0));
  if (!file || file->path_only()) return -EBADF;
  return file->read_directory(process, arguments[1], arguments.unsigned32(2));
}

std::int64_t sys_getcwd(LinuxProcess& process, const CallArguments& arguments) {
  const auto path = current_guest_path(*process.file_system.working_directory());
  if (!path) return path.error();
  const std::size_t size = path->size() + 1;
  if (arguments[1] < size) return -ERANGE;
  return process.memory().write(arguments[0], path->c_str(), size) == size ? static_cast<std::int64_t>(size) : -EFAULT;
}

std::int64_t sys_chdir(LinuxProcess& process, const CallArguments& arguments) {
  auto place = place_argument(process, AT_FDCWD, arguments[0], {});
  if (!place) return place.error();
  auto directory = hold_directory(std::move(*place));
  if (!directory) return directory.error();
  return enter_directory(process, std::move(*directory));
}

std::int64_t sys_fchdir(LinuxProcess& process, const CallArguments& arguments) {
  const std::shared_ptr<OpenFile> file = process.files.get(arguments.signed32(0));
  if (!file) return -EBADF;
  std::shared_ptr<const HeldDirectory> directory = file->directory();
  if (!directory) return -ENOTDIR;
  return enter_directory(process, std::move(directory));
}

// The roots and mounts are the embedder's; a guest has no capability to change them.
std::int64_t sys_chroot(LinuxProcess&, const CallArguments&) { return -EPERM; }
std::int64_t sys_mount(LinuxProcess&, const CallArguments&) { return -EPERM; }
std::int64_t sys_umount2(LinuxProcess&, const CallArguments&) { return -EPERM; }
std::int64_t sys_pivot_root(LinuxProcess&, const CallArguments&) { return -EPERM; }

}  // namespace caisson::linux_personality
