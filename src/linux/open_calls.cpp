// openat and what else gives a descriptor, and close.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "linux/call_support.h"
#include "linux/file_calls.h"
#include "linux/host_file.h"
#include "linux/opening.h"

namespace caisson::linux_personality {

namespace {

constexpr std::uint32_t kMemfdFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
constexpr std::size_t kMaximumMemfdName = 249;
// Of RESOLVE_*: what look_up() itself can refuse.
constexpr std::uint64_t kResolveFlags = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
constexpr std::uint64_t kOpenModeBits = 07777;

std::int64_t open_descriptor(LinuxProcess& process, const CallArguments& arguments, const OpenRequest& request) {
  const auto path = path_argument(process, arguments[1]);
  if (!path) return path.error();
  const auto start = start_directory(process, arguments.signed32(0), *path);
  if (!start) return start.error();
  auto file = open_path(process, **start, *path, request);
  if (!file) return file.error();
  return install(process, std::move(*file), (request.flags & O_CLOEXEC) != 0);
}

}  // namespace

std::int64_t sys_openat(LinuxProcess& process, const CallArguments& arguments) {
  return open_descriptor(process, arguments, {arguments.unsigned32(2), arguments.unsigned32(3) & 07777, 0});
}

std::int64_t sys_openat2(LinuxProcess& process, const CallArguments& arguments) {
  open_how how{};
  const std::uint64_t size = arguments[3];
  if (size < sizeof how) return -EINVAL;
  if (size > memory::kPageSize) return -E2BIG;
  std::array<std::uint8_t, memory::kPageSize> bytes;
  if (process.memory().read(arguments[2], bytes.data(), size) != size) return -EFAULT;
  __builtin_memcpy(&how, bytes.data(), sizeof how);
  for (std::size_t index = sizeof how; index < size; ++index) {
    if (bytes[index] != 0) return -E2BIG;  // an extension that is not known here
  }
  const bool creates = (how.flags & O_CREAT) != 0 || (how.flags & O_TMPFILE) == O_TMPFILE;
  if (how.flags > UINT32_MAX || (how.resolve & ~kResolveFlags) != 0 || (how.mode & ~kOpenModeBits) != 0 ||
      (!creates && how.mode != 0)) {
    return -EINVAL;
  }
  return open_descriptor(process, arguments,
                         {static_cast<std::uint32_t>(how.flags), static_cast<std::uint32_t>(how.mode),
                          static_cast<unsigned>(how.resolve)});
}

std::int64_t sys_close(LinuxProcess& process, const CallArguments& arguments) {
  return process.files.close(arguments.signed32(0));
}

std::int64_t sys_close_range(LinuxProcess& process, const CallArguments& arguments) {
  constexpr std::uint32_t kUnshare = 2, kCloseOnExec = 4;  // CLOSE_RANGE_*
  const std::uint32_t first = arguments.unsigned32(0), last = arguments.unsigned32(1), flags = arguments.unsigned32(2);
  if ((flags & ~(kUnshare | kCloseOnExec)) != 0 || first > last) return -EINVAL;
  for (std::uint64_t descriptor = first; descriptor <= last && descriptor < process.files.end(); ++descriptor) {
    if ((flags & kCloseOnExec) != 0) {
      process.files.set_close_on_exec(static_cast<std::int32_t>(descriptor), true);
    } else {
      process.files.close(static_cast<std::int32_t>(descriptor));
    }
  }
  return 0;
}

std::int64_t sys_memfd_create(LinuxProcess& process, const CallArguments& arguments) {
  const auto name = process.memory().read_string(arguments[0], kMaximumMemfdName);
  if (!name) return -EFAULT;
  const std::uint32_t flags = arguments.unsigned32(1);
  if (name->size() > kMaximumMemfdName || (flags & ~kMemfdFlags) != 0) return -EINVAL;
  HostDescriptor descriptor(::memfd_create("caisson-guest", flags | MFD_CLOEXEC));
  if (!descriptor) return guest_error(errno);
  auto charge = std::make_shared<MemoryCharge>(process.files.memory_budget());
  auto file =
      std::make_shared<MemoryFile>(std::move(descriptor), O_RDWR, "/memfd:" + *name + " (deleted)", std::move(charge));
  return install(process, std::move(file), (flags & MFD_CLOEXEC) != 0);
}

std::int64_t sys_pipe2(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint32_t flags = arguments.unsigned32(1);
  if ((flags & ~static_cast<std::uint32_t>(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) != 0) return -EINVAL;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK | static_cast<int>(flags & O_DIRECT)) != 0) return guest_error(errno);
  HostDescriptor read_end(ends[0]), write_end(ends[1]);

  const std::string name = "pipe:[" + std::to_string(process.next_pipe_number++) + "]";
  const bool close_on_exec = (flags & O_CLOEXEC) != 0;
  const std::uint32_t status_flags = flags & static_cast<std::uint32_t>(O_NONBLOCK | O_DIRECT);
  const std::int64_t reader = install(
      process, std::make_shared<StreamFile>(std::move(read_end), O_RDONLY | status_flags, name, true), close_on_exec);
  if (reader < 0) return reader;
  const std::int64_t writer = install(
      process, std::make_shared<StreamFile>(std::move(write_end), O_WRONLY | status_flags, name, true), close_on_exec);
  const std::array<std::int32_t, 2> numbers = {static_cast<std::int32_t>(reader), static_cast<std::int32_t>(writer)};
  if (writer >= 0 && process.memory().write_value(arguments[0], numbers)) return 0;
  process.files.close(numbers[0]);
  if (writer < 0) return writer;
  process.files.close(numbers[1]);
  return -EFAULT;
}

}  // namespace caisson::linux_personality
