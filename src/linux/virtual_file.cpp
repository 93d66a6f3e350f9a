#include "linux/virtual_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "linux/guest_buffers.h"
#include "linux/linux_process.h"
#include "linux/saved_file.h"

namespace caisson::linux_personality {

namespace {

// How much is moved between two looks at whether the run is to stop.
constexpr std::size_t kTransferChunk = std::size_t{1} << 20;

// A short count where something was moved, EFAULT where nothing could be.
std::int64_t moved_or_fault(std::size_t moved, std::uint64_t wanted) {
  return moved == 0 && wanted > 0 ? -EFAULT : static_cast<std::int64_t>(moved);
}

std::int64_t read_random(LinuxProcess& process, GuestBuffers& to) {
  const std::uint64_t wanted = to.remaining();
  std::vector<std::uint8_t> bytes(std::min<std::uint64_t>(wanted, kTransferChunk));
  std::size_t moved = 0;
  while (to.remaining() > 0) {
    const std::size_t step = std::min<std::uint64_t>(to.remaining(), bytes.size());
    if (!process.random.fill({bytes.data(), step})) return -EIO;
    const std::size_t copied = to.copy_to_guest(bytes.data(), step);
    moved += copied;
    if (copied < step || process.instance().stop_requested()) break;
  }
  return moved_or_fault(moved, wanted);
}

std::int64_t read_zeroes(LinuxProcess& process, GuestBuffers& to) {
  const std::uint64_t wanted = to.remaining();
  std::size_t moved = 0;
  while (to.remaining() > 0) {
    const std::size_t step = std::min<std::uint64_t>(to.remaining(), kTransferChunk);
    const std::size_t zeroed = to.zero_guest(step);
    moved += zeroed;
    if (zeroed < step || process.instance().stop_requested()) break;
  }
  return moved_or_fault(moved, wanted);
}

}  // namespace

TextFile::TextFile(std::uint32_t status_flags, std::string guest_path, VirtualNode node, std::string bytes,
                   MemoryCharge charge)
    : OpenFile(status_flags, std::move(guest_path)),
      node_(std::move(node)),
      bytes_(std::move(bytes)),
      charge_(std::move(charge)) {}

std::int64_t TextFile::read(LinuxProcess&, GuestBuffers& to, std::optional<std::uint64_t> offset) {
  const std::uint64_t at = std::min<std::uint64_t>(offset.value_or(position_), bytes_.size());
  const std::uint64_t wanted = std::min<std::uint64_t>(bytes_.size() - at, to.remaining());
  const std::size_t moved = to.copy_to_guest(bytes_.data() + at, wanted);
  if (!offset) position_ = at + moved;
  return moved_or_fault(moved, wanted);
}

std::int64_t TextFile::seek(LinuxProcess&, std::int64_t offset, int whence) {
  std::int64_t base = 0;
  if (whence == SEEK_CUR) base = static_cast<std::int64_t>(position_);
  if (whence == SEEK_END) base = static_cast<std::int64_t>(bytes_.size());
  std::int64_t target = 0;
  if (whence < SEEK_SET || whence > SEEK_END || __builtin_add_overflow(base, offset, &target) || target < 0)
    return -EINVAL;
  position_ = static_cast<std::uint64_t>(target);
  return target;
}

std::int64_t TextFile::status(LinuxProcess&, struct statx& status) {
  virtual_status(node_, node_.content == nullptr ? bytes_.size() : 0, status);
  return 0;
}

std::expected<SavedFile, std::string> TextFile::saved(LinuxProcess&) const {
  return SavedFile{.kind = SavedFileKind::kText,
                   .status_flags = status_flags(),
                   .guest_path = guest_path(),
                   .position = position_,
                   .bytes = bytes_};
}

DeviceFile::DeviceFile(std::uint32_t status_flags, std::string guest_path, VirtualNode node)
    : OpenFile(status_flags, std::move(guest_path)), node_(std::move(node)) {}

std::int64_t DeviceFile::read(LinuxProcess& process, GuestBuffers& to, std::optional<std::uint64_t>) {
  switch (node_.device) {
    case DeviceKind::kZero:
    case DeviceKind::kFull:
      return read_zeroes(process, to);
    case DeviceKind::kRandom:
      return read_random(process, to);
    default:
      return 0;
  }
}

std::int64_t DeviceFile::write(LinuxProcess&, GuestBuffers& from, std::optional<std::uint64_t>) {
  if (node_.device == DeviceKind::kFull && from.remaining() > 0) return -ENOSPC;
  return static_cast<std::int64_t>(from.remaining());
}

std::int64_t DeviceFile::status(LinuxProcess&, struct statx& status) {
  virtual_status(node_, 0, status);
  return 0;
}

std::expected<SavedFile, std::string> DeviceFile::saved(LinuxProcess&) const {
  return SavedFile{.kind = SavedFileKind::kDevice, .status_flags = status_flags(), .guest_path = guest_path()};
}

}  // namespace caisson::linux_personality
