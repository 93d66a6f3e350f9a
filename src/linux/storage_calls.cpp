// Calls about a file's storage: its length, its blocks, bringing it to disk, and copying from file to file.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "linux/call_support.h"
#include "linux/file_calls.h"
#include "linux/guest_buffers.h"

namespace caisson::linux_personality {

namespace {

constexpr std::size_t kCopyChunk = 65536;
// A host copy cannot be stopped half-way: one call copies at most this much (a short count is the caller's to continue).
constexpr std::uint64_t kMaximumHostCopy = std::uint64_t{64} << 20;

// −EINVAL where the host has no file behind the descriptor.
template <class HostCall>
std::int64_t on_host_file(LinuxProcess& process, const CallArguments& arguments, HostCall host_call) {
  const std::shared_ptr<OpenFile> file = process.files.get(arguments.signed32(0));
  if (!file || file->path_only()) return -EBADF;
  if (file->host_descriptor() < 0) return -EINVAL;
  return guest_result(host_call(file->host_descriptor()));
}

// posix_fadvise() returns the error instead of setting errno.
int advise(int descriptor, std::uint64_t offset, std::uint64_t length, int advice) {
  const int failure = ::posix_fadvise(descriptor, static_cast<off_t>(offset), static_cast<off_t>(length), advice);
  if (failure != 0) errno = failure;
  return failure == 0 ? 0 : -1;
}

}  // namespace

std::int64_t sys_truncate(LinuxProcess& process, const CallArguments& arguments) {
  const auto place = place_argument(process, AT_FDCWD, arguments[0], {});
  if (!place) return place.error();
  if (arguments.signed64(1) < 0) return -EINVAL;
  if (S_ISDIR(place->mode)) return -EISDIR;
  if (!S_ISREG(place->mode)) return -EINVAL;
  if (is_read_only(*place)) return -EROFS;
  const int named = named_descriptor(*place);
  if (named < 0) return -EACCES;
  // Through /proc/self/fd it may be a file whose size is charged.
  if (place->open_file) {
    if (const std::int64_t result = place->open_file->reserve(process, arguments[1]); result < 0) return result;
  }
  return guest_result(::truncate(descriptor_link(named).c_str(), arguments.signed64(1)));
}

std::int64_t sys_ftruncate(LinuxProcess& process, const CallArguments& arguments) {
  const std::shared_ptr<OpenFile> file = process.files.get(arguments.signed32(0));
  if (!file || file->path_only()) return -EBADF;
  if (!file->writable() || arguments.signed64(1) < 0) return -EINVAL;
  return file->truncate(process, arguments[1]);
}

std::int64_t sys_fallocate(LinuxProcess& process, const CallArguments& arguments) {
  const std::shared_ptr<OpenFile> file = process.files.get(arguments.signed32(0));
  if (!file || !file->writable()) return -EBADF;
  if (!file->is_regular()) return file->host_descriptor() < 0 ? -ENODEV : -ESPIPE;
  std::uint64_t end = 0;
  if (arguments.signed64(2) < 0 || arguments.signed64(3) <= 0) return -EINVAL;
  if (__builtin_add_overflow(arguments[2], arguments[3], &end)) return -EFBIG;
  if (const std::int64_t result = file->reserve(process, end); result < 0) return result;
  return guest_result(
      ::fallocate(file->host_descriptor(), arguments.signed32(1), arguments.signed64(2), arguments.signed64(3)));
}

std::int64_t sys_fsync(LinuxProcess& process, const CallArguments& arguments) {
  return on_host_file(process, arguments, [](int descriptor) { return ::fsync(descriptor); });
}

std::int64_t sys_fdatasync(LinuxProcess& process, const CallArguments& arguments) {
  return on_host_file(process, arguments, [](int descriptor) { return ::fdatasync(descriptor); });
}

// Brings the guest's mounts to disk, and not the whole host.
std::int64_t sys_sync(LinuxProcess& process, const CallArguments&) {
  for (const auto& mount : process.file_system.mounts()) {
    if (!mount->root || mount->read_only) continue;
    const HostDescriptor directory(::openat(mount->root.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory) ::syncfs(directory.get());
  }
  return 0;
}

std::int64_t sys_syncfs(LinuxProcess& process, const CallArguments& arguments) {
  return on_host_file(process, arguments, [](int descriptor) { return ::syncfs(descriptor); });
}

std::int64_t sys_sync_file_range(LinuxProcess& process, const CallArguments& arguments) {
  return on_host_file(process, arguments, [&](int descriptor) {
    return ::sync_file_range(descriptor, arguments.signed64(1), arguments.signed64(2), arguments.unsigned32(3));
  });
}

std::int64_t sys_fadvise64(LinuxProcess& process, const CallArguments& arguments) {
  return on_host_file(process, arguments, [&](int descriptor) {
    return advise(descriptor, arguments[1], arguments[2], arguments.signed32(3));
  });
}

std::int64_t sys_readahead(LinuxProcess& process, const CallArguments& arguments) {
  return on_host_file(process, arguments,
                      [&](int descriptor) { return ::readahead(descriptor, arguments.signed64(1), arguments[2]); });
}

// (out, in, *offset, count). The input is read at an explicit offset, so that what could not be written is not lost.
std::int64_t sys_sendfile(LinuxProcess& process, const CallArguments& arguments) {
  const std::shared_ptr<OpenFile> out = process.files.get(arguments.signed32(0));
  const std::shared_ptr<OpenFile> in = process.files.get(arguments.signed32(1));
  if (!out || !in || !out->writable() || !in->readable()) return -EBADF;
  if (out->append()) return -EINVAL;
  std::int64_t start = 0;
  if (arguments[2] != 0) {
    const auto offset = process.memory().read_value<std::int64_t>(arguments[2]);
    if (!offset) return -EFAULT;
    if (*offset < 0) return -EINVAL;
    start = *offset;
  } else {
    start = in->seek(process, 0, SEEK_CUR);
    if (start < 0) return -EINVAL;
  }

  const std::uint64_t wanted = std::min(arguments[3], GuestBuffers::kMaximumTransfer);
  std::vector<std::uint8_t> chunk(std::min<std::uint64_t>(wanted, kCopyChunk));
  std::uint64_t moved = 0;
  std::int64_t result = 0;
  while (moved < wanted) {
    GuestBuffers to = GuestBuffers::engine({chunk.data(), std::min<std::uint64_t>(chunk.size(), wanted - moved)});
    result = in->read(process, to, static_cast<std::uint64_t>(start) + moved);
    if (result <= 0) break;
    GuestBuffers from = GuestBuffers::engine({chunk.data(), static_cast<std::size_t>(result)});
    const std::int64_t read = result;
    result = out->write(process, from, std::nullopt);
    if (result <= 0) break;
    moved += static_cast<std::uint64_t>(result);
    if (result < read || process.instance().stop_requested()) break;
  }
  if (moved == 0 && result < 0) return result;
  const std::int64_t end = start + static_cast<std::int64_t>(moved);
  if (arguments[2] == 0) {
    in->seek(process, end, SEEK_SET);
  } else if (!process.memory().write_value(arguments[2], end)) {
    return -EFAULT;
  }
  return static_cast<std::int64_t>(moved);
}

// (in, *in offset, out, *out offset, count, flags)
std::int64_t sys_copy_file_range(LinuxProcess& process, const CallArguments& arguments) {
  const std::shared_ptr<OpenFile> in = process.files.get(arguments.signed32(0));
  const std::shared_ptr<OpenFile> out = process.files.get(arguments.signed32(2));
  if (!in || !out || !in->readable() || !out->writable() || out->append()) return -EBADF;
  if (arguments.unsigned32(5) != 0 || !in->is_regular() || !out->is_regular()) return -EINVAL;
  std::array<std::int64_t, 2> offsets{};
  std::array<std::int64_t*, 2> pointers{};
  for (const unsigned index : {0U, 1U}) {
    const std::uint64_t address = arguments[1 + 2 * index];
    if (address == 0) continue;
    const auto offset = process.memory().read_value<std::int64_t>(address);
    if (!offset) return -EFAULT;
    offsets[index] = *offset;
    pointers[index] = &offsets[index];
  }
  const std::uint64_t length = std::min(arguments[4], kMaximumHostCopy);
  const std::int64_t out_start = pointers[1] != nullptr ? offsets[1] : out->seek(process, 0, SEEK_CUR);
  if (out_start < 0 || offsets[0] < 0) return -EINVAL;
  if (const std::int64_t result = out->reserve(process, static_cast<std::uint64_t>(out_start) + length); result < 0)
    return result;
  const std::int64_t copied = guest_result(
      ::copy_file_range(in->host_descriptor(), pointers[0], out->host_descriptor(), pointers[1], length, 0));
  if (copied < 0) return copied;
  for (const unsigned index : {0U, 1U}) {
    if (pointers[index] != nullptr && !process.memory().write_value(arguments[1 + 2 * index], offsets[index]))
      return -EFAULT;
  }
  return copied;
}

}  // namespace caisson::linux_personality
