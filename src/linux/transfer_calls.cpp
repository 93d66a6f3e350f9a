// read, write and their kin, and lseek.
#include <cerrno>

#include "linux/call_support.h"
#include "linux/file_calls.h"
#include "linux/guest_buffers.h"

namespace caisson::linux_personality {

namespace {

enum class Direction : std::uint8_t { kRead, kWrite };

using Buffers = std::expected<GuestBuffers, std::int64_t>;

std::int64_t move_bytes(LinuxProcess& process, std::int32_t descriptor, Direction direction,
                        Buffers (*buffers)(memory::AddressSpace&, std::uint64_t, std::uint64_t),
                        const CallArguments& arguments, std::optional<std::int64_t> offset) {
  const std::shared_ptr<OpenFile> file = process.files.get(descriptor);
  if (!file || (direction == Direction::kRead ? !file->readable() : !file->writable())) return -EBADF;
  if (offset && *offset < 0) return -EINVAL;
  Buffers ranges = buffers(process.memory(), arguments[1], arguments[2]);
  if (!ranges) return ranges.error();
  std::optional<std::uint64_t> at;
  if (offset) at = static_cast<std::uint64_t>(*offset);
  return direction == Direction::kRead ? file->read(process, *ranges, at) : file->write(process, *ranges, at);
}

std::int64_t move_range(LinuxProcess& process, const CallArguments& arguments, Direction direction,
                        std::optional<std::int64_t> offset) {
  return move_bytes(process, arguments.signed32(0), direction, GuestBuffers::range, arguments, offset);
}

std::int64_t move_vectors(LinuxProcess& process, const CallArguments& arguments, Direction direction,
                          std::optional<std::int64_t> offset) {
  return move_bytes(process, arguments.signed32(0), direction, GuestBuffers::vectors, arguments, offset);
}

// preadv2 and pwritev2: an offset of −1 means the file's own. No RWF_ flag is supported but the hint RWF_HIPRI.
std::int64_t move_vectors_flags(LinuxProcess& process, const CallArguments& arguments, Direction direction) {
  constexpr std::uint32_t kHighPriority = 1;  // RWF_HIPRI
  if ((arguments.unsigned32(5) & ~kHighPriority) != 0) return -EOPNOTSUPP;
  if (arguments.signed64(3) == -1) return move_vectors(process, arguments, direction, std::nullopt);
  return move_vectors(process, arguments, direction, arguments.signed64(3));
}

}  // namespace

std::int64_t sys_read(LinuxProcess& process, const CallArguments& arguments) {
  return move_range(process, arguments, Direction::kRead, std::nullopt);
}
std::int64_t sys_write(LinuxProcess& process, const CallArguments& arguments) {
  return move_range(process, arguments, Direction::kWrite, std::nullopt);
}
std::int64_t sys_readv(LinuxProcess& process, const CallArguments& arguments) {
  return move_vectors(process, arguments, Direction::kRead, std::nullopt);
}
std::int64_t sys_writev(LinuxProcess& process, const CallArguments& arguments) {
  return move_vectors(process, arguments, Direction::kWrite, std::nullopt);
}

std::int64_t sys_pread64(LinuxProcess& process, const CallArguments& arguments) {
  return move_range(process, arguments, Direction::kRead, arguments.signed64(3));
}

std::int64_t sys_pwrite64(LinuxProcess& process, const CallArguments& arguments) {
  return move_range(process, arguments, Direction::kWrite, arguments.signed64(3));
}

// On a 64-bit machine the offset is whole in its low half; the high half is ignored.
std::int64_t sys_preadv(LinuxProcess& process, const CallArguments& arguments) {
  return move_vectors(process, arguments, Direction::kRead, arguments.signed64(3));
}

std::int64_t sys_pwritev(LinuxProcess& process, const CallArguments& arguments) {
  return move_vectors(process, arguments, Direction::kWrite, arguments.signed64(3));
}

std::int64_t sys_preadv2(LinuxProcess& process, const CallArguments& arguments) {
  return move_vectors_flags(process, arguments, Direction::kRead);
}
std::int64_t sys_pwritev2(LinuxProcess& process, const CallArguments& arguments) {
  return move_vectors_flags(process, arguments, Direction::kWrite);
}

std::int64_t sys_lseek(LinuxProcess& process, const CallArguments& arguments) {
  const std::shared_ptr<OpenFile> file = process.files.get(arguments.signed32(0));
  if (!file || file->path_only()) return -EBADF;
  return file->seek(process, arguments.signed64(1), arguments.signed32(2));
}

}  // namespace caisson::linux_personality
