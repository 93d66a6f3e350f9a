#include "linux/host_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "linux/call_arguments.h"
#include "linux/guest_buffers.h"
#include "linux/host_result.h"
#include "linux/linux_process.h"
#include "linux/path_resolution.h"
#include "linux/saved_file.h"
#include "linux/signal_delivery.h"
#include "linux/terminal.h"
#include "linux/waiting.h"

namespace caisson::linux_personality {

namespace {

// After poll() says POLLOUT, a pipe takes this much without blocking (pipe(7): one page), and a terminal no less.
constexpr std::uint64_t kStreamWriteChunk = 4096;
// What one host call moves between a regular file and the guest: milliseconds.
constexpr std::uint64_t kTransferChunk = std::uint64_t{8} << 20;

// Keeps a SIGPIPE that a write raises from reaching the embedder: blocked for this thread and taken back if it was ours.
class BrokenPipeGuard {
 public:
  BrokenPipeGuard() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
  }
  BrokenPipeGuard(const BrokenPipeGuard&) = delete;
  ~BrokenPipeGuard() {
    const timespec at_once{};
    if (broken_ && !was_pending_) ::sigtimedwait(&pipe_, nullptr, &at_once);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  void note_broken() { broken_ = true; }

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false, broken_ = false;
};

// Moves what `buffers` ask for by calls of `move` (given what was moved before), each of at most kTransferChunk, until one is
// short. The host's read or write cannot be stopped, so a long transfer ends between two of them where the run is to stop.
template <class Move>
std::int64_t in_chunks(LinuxProcess& process, GuestBuffers& buffers, Move move) {
  std::uint64_t total = 0;
  for (;;) {
    const std::uint64_t wanted = std::min(buffers.remaining(), kTransferChunk);
    const std::int64_t moved = move(total);
    if (moved < 0) return total > 0 ? static_cast<std::int64_t>(total) : moved;
    total += static_cast<std::uint64_t>(moved);
    const bool short_count = static_cast<std::uint64_t>(moved) < wanted;
    if (short_count || buffers.remaining() == 0 || process.instance().stop_requested())
      return static_cast<std::int64_t>(total);
  }
}

std::uint32_t adopted_flags(int descriptor) {
  const int flags = ::fcntl(descriptor, F_GETFL);
  return flags < 0 ? O_RDWR : static_cast<std::uint32_t>(flags) & (O_ACCMODE | O_APPEND);
}

}  // namespace

std::int64_t host_status(LinuxProcess& process, int host_descriptor, const Mount* mount, struct statx& status) {
  if (::statx(host_descriptor, "", AT_EMPTY_PATH, kStatusMask, &status) != 0) return guest_error(errno);
  settle_status(process, mount, status);
  return 0;
}

void settle_status(LinuxProcess& process, const Mount* mount, struct statx& status) {
  status.stx_mask &= kStatusMask;
  status.stx_attributes = status.stx_attributes_mask = 0;
  if (process.deterministic()) {
    status.stx_dev_major = 0;
    status.stx_dev_minor = mount == nullptr ? 0 : mount->number;
  }
}

RegularFile::RegularFile(HostDescriptor descriptor, std::uint32_t status_flags, std::string guest_path,
                         std::shared_ptr<const Mount> mount, bool openable_again)
    : OpenFile(status_flags, std::move(guest_path)),
      descriptor_(std::move(descriptor)),
      mount_(std::move(mount)),
      openable_again_(openable_again) {}

std::int64_t RegularFile::read(LinuxProcess& process, GuestBuffers& to, std::optional<std::uint64_t> offset) {
  return in_chunks(process, to, [&](std::uint64_t moved_before) -> std::int64_t {
    const std::span<const iovec> ranges = to.host_ranges_to_write(kTransferChunk);
    const int count = static_cast<int>(ranges.size());
    const ssize_t moved =
        offset ? ::preadv(descriptor_.get(), ranges.data(), count, static_cast<off_t>(*offset + moved_before))
               : ::readv(descriptor_.get(), ranges.data(), count);
    if (moved < 0) return guest_error(errno);
    to.advance_written(static_cast<std::uint64_t>(moved));
    return moved;
  });
}

std::int64_t RegularFile::write(LinuxProcess& process, GuestBuffers& from, std::optional<std::uint64_t> offset) {
  // The host's description of an inherited file is not told of O_APPEND.
  if (append() && !offset && !openable_again_ && ::lseek(descriptor_.get(), 0, SEEK_END) < 0) return guest_error(errno);
  return in_chunks(process, from, [&](std::uint64_t moved_before) -> std::int64_t {
    const std::span<const iovec> ranges = from.host_ranges(kTransferChunk);
    const int count = static_cast<int>(ranges.size());
    const ssize_t moved =
        offset ? ::pwritev(descriptor_.get(), ranges.data(), count, static_cast<off_t>(*offset + moved_before))
               : ::writev(descriptor_.get(), ranges.data(), count);
    if (moved < 0) return guest_error(errno);
    from.advance(static_cast<std::uint64_t>(moved));
    return moved;
  });
}

std::int64_t RegularFile::seek(LinuxProcess&, std::int64_t offset, int whence) {
  return guest_result(::lseek(descriptor_.get(), offset, whence));
}

std::int64_t RegularFile::status(LinuxProcess& process, struct statx& status) {
  return host_status(process, descriptor_.get(), mount_.get(), status);
}

std::int64_t RegularFile::control(LinuxProcess& process, std::uint32_t request, std::uint64_t argument) {
  if (request != FIONREAD) return -ENOTTY;
  int available = 0;
  if (::ioctl(descriptor_.get(), FIONREAD, &available) != 0) return guest_error(errno);
  return process.memory().write_value(argument, available) ? 0 : -EFAULT;
}

std::int64_t RegularFile::truncate(LinuxProcess&, std::uint64_t length) {
  return guest_result(::ftruncate(descriptor_.get(), static_cast<off_t>(length)));
}

std::shared_ptr<OpenFile> RegularFile::reopened(HostDescriptor descriptor, std::uint32_t status_flags) const {
  return std::make_shared<RegularFile>(std::move(descriptor), status_flags, guest_path(), mount_, true);
}

// By name, so it must have one and be found by it; for reading only, so that nothing of it is the process's own.
std::expected<SavedFile, std::string> RegularFile::saved(LinuxProcess& process) const {
  if (writable()) return std::unexpected("a file of the host that it may write");
  if (mount_ == nullptr) return std::unexpected("a file of the host that has no name");
  const auto place = look_up(process.file_system, &process, *process.file_system.working_directory(), guest_path());
  struct stat named{}, open{};
  if (!place || !place->descriptor || place->guest_path != guest_path() ||
      ::fstat(place->descriptor.get(), &named) != 0 || ::fstat(descriptor_.get(), &open) != 0 ||
      named.st_dev != open.st_dev || named.st_ino != open.st_ino) {
    return std::unexpected("a file of the host that has lost its name");
  }
  const off_t position = ::lseek(descriptor_.get(), 0, SEEK_CUR);
  if (position < 0) return std::unexpected("a file of the host without a position");
  SavedFile file{.kind = SavedFileKind::kHostFile,
                 .status_flags = status_flags(),
                 .guest_path = guest_path(),
                 .position = static_cast<std::uint64_t>(position)};
  if (const auto identified = identify_host_file(descriptor_.get(), file); !identified)
    return std::unexpected(identified.error());
  return file;
}

MemoryFile::MemoryFile(HostDescriptor descriptor, std::uint32_t status_flags, std::string guest_path,
                       std::shared_ptr<MemoryCharge> charge)
    : RegularFile(std::move(descriptor), status_flags, std::move(guest_path), nullptr, true),
      charge_(std::move(charge)) {}

std::int64_t MemoryFile::reserve(LinuxProcess& process, std::uint64_t end) {
  if (end <= charge_->bytes()) return 0;
  if (end > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())) return -EFBIG;
  const std::uint64_t pages = (end + memory::kPageSize - 1) / memory::kPageSize;
  return charge_->resize(pages * memory::kPageSize, process.memory().commit_limit()) ? 0 : -ENOSPC;
}

std::int64_t MemoryFile::write(LinuxProcess& process, GuestBuffers& from, std::optional<std::uint64_t> offset) {
  struct stat status{};
  if (append() && ::fstat(host_descriptor(), &status) != 0) return guest_error(errno);
  // Linux appends also where an offset is given (pwrite(2), "BUGS").
  const off_t start = append() ? status.st_size
                      : offset ? static_cast<off_t>(*offset)
                               : ::lseek(host_descriptor(), 0, SEEK_CUR);
  if (start < 0) return guest_error(errno);
  if (const std::int64_t result = reserve(process, static_cast<std::uint64_t>(start) + from.remaining()); result < 0)
    return result;
  return RegularFile::write(process, from, offset);
}

std::int64_t MemoryFile::truncate(LinuxProcess& process, std::uint64_t length) {
  if (const std::int64_t result = reserve(process, length); result < 0) return result;
  return RegularFile::truncate(process, length);
}

std::expected<SavedFile, std::string> MemoryFile::saved(LinuxProcess&) const {
  return std::unexpected("a memory file (memfd_create)");
}

std::shared_ptr<OpenFile> MemoryFile::reopened(HostDescriptor descriptor, std::uint32_t status_flags) const {
  return std::make_shared<MemoryFile>(std::move(descriptor), status_flags, guest_path(), charge_);
}

StreamFile::StreamFile(HostDescriptor descriptor, std::uint32_t status_flags, std::string guest_path,
                       bool non_blocking_host)
    : OpenFile(status_flags, std::move(guest_path)),
      descriptor_(std::move(descriptor)),
      non_blocking_host_(non_blocking_host) {}

// 0: ready; else what the call returns.
std::int64_t StreamFile::wait(LinuxProcess& process, short events) {
  pollfd descriptor{descriptor_.get(), events, 0};
  if (non_blocking()) return ::poll(&descriptor, 1, 0) > 0 ? 0 : -EAGAIN;
  return wait_for(process, {&descriptor, 1}, std::nullopt) == WaitOutcome::kInterrupted ? kRestartUnlessNoRestart : 0;
}

std::int64_t StreamFile::read(LinuxProcess& process, GuestBuffers& to, std::optional<std::uint64_t> offset) {
  if (offset) return -ESPIPE;
  if (to.remaining() == 0) return 0;
  for (;;) {
    if (const std::int64_t stopped = wait(process, POLLIN); stopped != 0) return stopped;
    const std::span<const iovec> ranges = to.host_ranges_to_write();
    const ssize_t moved = ::readv(descriptor_.get(), ranges.data(), static_cast<int>(ranges.size()));
    if (moved >= 0) {
      to.advance_written(static_cast<std::uint64_t>(moved));
      return moved;
    }
    // EAGAIN: another reader was faster, wait again.
    if (errno != EAGAIN && errno != EINTR) return guest_error(errno);
    if (non_blocking()) return -EAGAIN;
  }
}

std::int64_t StreamFile::write(LinuxProcess& process, GuestBuffers& from, std::optional<std::uint64_t> offset) {
  if (offset) return -ESPIPE;
  BrokenPipeGuard guard;
  std::int64_t written = 0;
  while (from.remaining() > 0) {
    if (const std::int64_t stopped = wait(process, POLLOUT); stopped != 0) return written > 0 ? written : stopped;
    const std::span<const iovec> ranges =
        from.host_ranges(non_blocking_host_ ? GuestBuffers::kMaximumTransfer : kStreamWriteChunk);
    const ssize_t moved = ::writev(descriptor_.get(), ranges.data(), static_cast<int>(ranges.size()));
    if (moved >= 0) {
      from.advance(static_cast<std::uint64_t>(moved));
      written += moved;
      continue;
    }
    if (errno == EPIPE) {
      guard.note_broken();
      raise_signal(process, kSigPipe);
    }
    if (errno != EAGAIN && errno != EINTR) return written > 0 ? written : guest_error(errno);
    if (non_blocking()) return written > 0 ? written : -EAGAIN;
  }
  return written;
}

std::int64_t StreamFile::status(LinuxProcess& process, struct statx& status) {
  return host_status(process, descriptor_.get(), nullptr, status);
}

// Its own pipes; the host has their packets (O_DIRECT) in pieces that a copy would not keep.
std::expected<SavedFile, std::string> StreamFile::saved(LinuxProcess&) const {
  const int host_flags = ::fcntl(descriptor_.get(), F_GETFL);
  if (!non_blocking_host_ || guest_path().starts_with('/')) return std::unexpected("a named pipe of the host");
  if (host_flags < 0 || (host_flags & O_DIRECT) != 0) return std::unexpected("a pipe of packets");
  return SavedFile{.kind = readable() ? SavedFileKind::kPipeReader : SavedFileKind::kPipeWriter,
                   .status_flags = status_flags(),
                   .guest_path = guest_path()};
}

std::int64_t StreamFile::control(LinuxProcess& process, std::uint32_t request, std::uint64_t argument) {
  return terminal_control(process, descriptor_.get(), request, argument);
}

std::shared_ptr<OpenFile> adopt_host_descriptor(HostDescriptor descriptor) {
  const std::uint32_t flags = adopted_flags(descriptor.get());
  struct stat status{};
  ::fstat(descriptor.get(), &status);
  if (S_ISREG(status.st_mode))
    return std::make_shared<RegularFile>(std::move(descriptor), flags, "/dev/inherited", nullptr, false);
  std::string name = S_ISFIFO(status.st_mode)     ? "pipe:[0]"
                     : S_ISSOCK(status.st_mode)   ? "socket:[0]"
                     : ::isatty(descriptor.get()) ? "/dev/tty"
                                                  : "/dev/inherited";
  return std::make_shared<StreamFile>(std::move(descriptor), flags, std::move(name), false);
}

}  // namespace caisson::linux_personality
