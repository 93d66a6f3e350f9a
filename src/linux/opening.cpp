#include "linux/opening.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "linux/call_arguments.h"
#include "linux/directory_file.h"
#include "linux/file_table.h"
#include "linux/host_file.h"
#include "linux/host_result.h"
#include "linux/linux_process.h"
#include "linux/virtual_file.h"
#include "linux/waiting.h"

namespace caisson::linux_personality {

namespace {

using Opened = std::expected<std::shared_ptr<OpenFile>, std::int64_t>;

constexpr std::uint32_t kLargeFile = 0100000;  // O_LARGEFILE; the host's C library defines it as 0
constexpr std::uint32_t kTemporaryFile = O_TMPFILE & ~O_DIRECTORY;
constexpr std::uint32_t kKnownFlags = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK |
                                      O_DSYNC | O_SYNC | O_DIRECT | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |
                                      O_PATH | O_TMPFILE;
// What the host's open() is told; the rest is done here.
constexpr std::uint32_t kHostFlags = O_ACCMODE | O_TRUNC | O_APPEND | O_DSYNC | O_SYNC | O_DIRECT | O_NOATIME;
// What F_GETFL shows.
constexpr std::uint32_t kStatusFlags = O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC | O_DIRECT | O_NOATIME;
constexpr std::uint64_t kFifoRetryNs = 10'000'000;

std::unexpected<std::int64_t> error(int host_error) { return std::unexpected(guest_error(host_error)); }

bool wants_write(std::uint32_t flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0; }

std::uint32_t status_flags(std::uint32_t flags) { return (flags & kStatusFlags) | kLargeFile; }

// A new file's mode comes from the guest's umask alone: the host's is taken out again.
void settle_mode(int descriptor, std::uint32_t mode) {
  struct stat status;
  if (::fstat(descriptor, &status) == 0 && (status.st_mode & 07777) != mode) ::fchmod(descriptor, mode);
}

class Opening {
 public:
  Opening(LinuxProcess& process, const OpenRequest& request)
      : process_(process), flags_(request.flags & kKnownFlags), request_(request) {}

  Opened run(const HeldDirectory& start, std::string_view path);

 private:
  Opened existing(Place&& place);
  Opened created(Place&& place);
  Opened temporary(Place&& place);
  Opened path_only(Place&& place);
  Opened virtual_file(Place&& place);
  Opened open_file(Place&& place);
  Opened directory(Place&& place);
  Opened fifo(Place&& place);
  Opened terminal();
  // A virtual file in a directory of the host stands in for one that is missing: creating it makes the real one.
  bool gives_way(const Place& place) const {
    return place.virtual_node && place.parent && S_ISREG(place.mode) && (flags_ & O_CREAT) != 0 && wants_write(flags_);
  }
  std::uint32_t new_mode() const { return request_.mode & ~process_.umask & kSettableMode; }

  LinuxProcess& process_;
  const std::uint32_t flags_;
  const OpenRequest& request_;
};

Opened Opening::path_only(Place&& place) {
  if (place.open_file) return place.open_file;
  const mode_t mode = place.mode;
  std::optional<VirtualNode> node = std::move(place.virtual_node);
  auto held = std::make_shared<HeldDirectory>();
  held->mount = std::move(place.mount);
  held->descriptor = std::move(place.descriptor);
  held->guest_path = std::move(place.guest_path);
  return std::make_shared<PathFile>(O_PATH | (flags_ & (O_DIRECTORY | O_NOFOLLOW)), mode, std::move(held),
                                    std::move(node));
}

// /dev/tty: the terminal among the standard streams, if there is one.
Opened Opening::terminal() {
  for (std::int32_t descriptor = 0; descriptor < 3; ++descriptor) {
    const std::shared_ptr<OpenFile>& file = process_.files.get(descriptor);
    if (file && file->host_descriptor() >= 0 && ::isatty(file->host_descriptor()) == 1) return file;
  }
  return error(ENXIO);
}

Opened Opening::virtual_file(Place&& place) {
  const VirtualNode& node = *place.virtual_node;
  if (node.device == DeviceKind::kTerminal) return terminal();
  if (node.device != DeviceKind::kNone) {
    return std::make_shared<DeviceFile>(status_flags(flags_), std::move(place.guest_path), *place.virtual_node);
  }
  if (wants_write(flags_)) return error(S_ISDIR(node.mode) ? EISDIR : EACCES);
  if (S_ISDIR(node.mode)) return directory(std::move(place));
  std::string bytes = virtual_content(&process_, node);
  MemoryCharge charge(process_.files.memory_budget());
  if (!charge.resize(bytes.size(), process_.memory().commit_limit())) return error(ENOMEM);
  return std::make_shared<TextFile>(status_flags(flags_), std::move(place.guest_path), node, std::move(bytes),
                                    std::move(charge));
}

// Through /proc/self/fd. A file that the guest opened by name is opened anew, with the rights of its mount; of anything else
// there is the one description, which must allow what is asked.
Opened Opening::open_file(Place&& place) {
  const std::shared_ptr<OpenFile>& file = place.open_file;
  if (file->named_descriptor() < 0) {
    const bool allowed = ((flags_ & O_ACCMODE) == O_WRONLY || file->readable()) &&
                         ((flags_ & O_ACCMODE) == O_RDONLY || file->writable());
    if (!allowed) return error(EACCES);
    return file;
  }
  if (wants_write(flags_) && file->mount() != nullptr && file->mount()->read_only) return error(EROFS);
  if (file->is_regular()) {
    HostDescriptor descriptor(open_held(file->named_descriptor(), flags_ & kHostFlags));
    if (!descriptor) return error(errno);
    return file->reopened(std::move(descriptor), status_flags(flags_));
  }
  place.descriptor = HostDescriptor(::fcntl(file->named_descriptor(), F_DUPFD_CLOEXEC, 0));
  if (!place.descriptor) return error(errno);
  place.mount = file->mount();
  place.open_file.reset();
  return existing(std::move(place));
}

Opened Opening::directory(Place&& place) {
  if (wants_write(flags_) || (flags_ & O_CREAT) != 0) return error(EISDIR);
  auto held = std::make_shared<HeldDirectory>();
  if (place.descriptor) {
    held->descriptor = HostDescriptor(open_held(place.descriptor.get(), O_RDONLY | O_DIRECTORY));
    if (!held->descriptor) return error(errno);
  }
  held->mount = std::move(place.mount);
  held->guest_path = std::move(place.guest_path);
  return std::make_shared<DirectoryFile>(status_flags(flags_) | O_DIRECTORY, std::move(held),
                                         MemoryCharge(process_.files.memory_budget()));
}

// Linux waits in open() for the other side; here only a writer does (a reader waits in its first read).
Opened Opening::fifo(Place&& place) {
  for (;;) {
    HostDescriptor descriptor(
        open_held(place.descriptor.get(), (flags_ & kHostFlags & ~static_cast<std::uint32_t>(O_TRUNC)) | O_NONBLOCK));
    if (descriptor) {
      return std::make_shared<StreamFile>(std::move(descriptor), status_flags(flags_), std::move(place.guest_path),
                                          true);
    }
    if (errno != ENXIO || (flags_ & O_NONBLOCK) != 0) return error(errno);
    if (wait_for(process_, {}, process_.monotonic_ns() + kFifoRetryNs) == WaitOutcome::kInterrupted) {
      return std::unexpected(kRestartUnlessNoRestart);
    }
  }
}

Opened Opening::existing(Place&& place) {
  if ((flags_ & O_CREAT) != 0 && (flags_ & O_EXCL) != 0) return error(EEXIST);
  if (S_ISLNK(place.mode) && (flags_ & O_PATH) == 0) return error(ELOOP);
  if ((flags_ & O_DIRECTORY) != 0 && !S_ISDIR(place.mode)) return error(ENOTDIR);
  if ((flags_ & O_PATH) != 0) return path_only(std::move(place));
  if (place.open_file) return open_file(std::move(place));
  if (place.virtual_node) return virtual_file(std::move(place));
  if (S_ISDIR(place.mode)) return directory(std::move(place));
  if (S_ISCHR(place.mode) || S_ISBLK(place.mode)) return error(EACCES);
  if (S_ISSOCK(place.mode)) return error(ENXIO);
  if (S_ISFIFO(place.mode)) return fifo(std::move(place));
  if (wants_write(flags_) && place.mount && place.mount->read_only) return error(EROFS);

  HostDescriptor descriptor(open_held(place.descriptor.get(), flags_ & kHostFlags));
  if (!descriptor) return error(errno);
  return std::make_shared<RegularFile>(std::move(descriptor), status_flags(flags_), std::move(place.guest_path),
                                       std::move(place.mount), true);
}

Opened Opening::created(Place&& place) {
  if (place.must_be_directory) return error(EISDIR);
  if (place.mount->read_only || !place.parent) return error(EROFS);
  const std::uint32_t host_flags = (flags_ & kHostFlags) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  HostDescriptor descriptor(::openat(place.parent.get(), place.name.c_str(), static_cast<int>(host_flags), new_mode()));
  if (!descriptor) return error(errno);
  settle_mode(descriptor.get(), new_mode());
  return std::make_shared<RegularFile>(std::move(descriptor), status_flags(flags_), std::move(place.guest_path),
                                       std::move(place.mount), true);
}

Opened Opening::temporary(Place&& place) {
  if (!S_ISDIR(place.mode)) return error(ENOTDIR);
  if ((flags_ & O_ACCMODE) == O_RDONLY) return error(EINVAL);
  if (!place.descriptor || place.mount->read_only) return error(EROFS);
  HostDescriptor descriptor(
      open_held(place.descriptor.get(), (flags_ & (kHostFlags | O_EXCL)) | O_TMPFILE, new_mode()));
  if (!descriptor) return error(errno);
  settle_mode(descriptor.get(), new_mode());
  std::string name = join_path(place.guest_path, "#temporary (deleted)");
  return std::make_shared<RegularFile>(std::move(descriptor), status_flags(flags_), std::move(name),
                                       std::move(place.mount), true);
}

Opened Opening::run(const HeldDirectory& start, std::string_view path) {
  LookUpFlags look_up_flags;
  look_up_flags.resolve = request_.resolve;
  look_up_flags.follow_last = (flags_ & O_NOFOLLOW) == 0 && (flags_ & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
  if ((flags_ & O_PATH) == 0 && (flags_ & kTemporaryFile) != 0) {
    if ((flags_ & O_DIRECTORY) == 0) return error(EINVAL);
    auto place = look_up(process_.file_system, &process_, start, path, look_up_flags);
    if (!place) return std::unexpected(place.error());
    return temporary(std::move(*place));
  }
  const bool creates = (flags_ & O_CREAT) != 0 && (flags_ & O_PATH) == 0;
  if (creates) look_up_flags.target = LookUpTarget::kParentAndFile;
  // Again where the name came into being between the look-up and its creation; a tree that changes that often may fail.
  for (int attempt = 0;; ++attempt) {
    auto place = look_up(process_.file_system, &process_, start, path, look_up_flags);
    if (!place) return std::unexpected(place.error());
    if (place->exists() && !gives_way(*place)) return existing(std::move(*place));
    Opened opened = created(std::move(*place));
    if (opened || opened.error() != -EEXIST || (flags_ & O_EXCL) != 0 || attempt == 16) return opened;
  }
}

}  // namespace

int open_held(int host_descriptor, std::uint32_t flags, std::uint32_t mode) {
  return ::open(descriptor_link(host_descriptor).c_str(), static_cast<int>(flags | O_CLOEXEC | O_NOCTTY), mode);
}

Opened open_path(LinuxProcess& process, const HeldDirectory& start, std::string_view path, const OpenRequest& request) {
  return Opening(process, request).run(start, path);
}

}  // namespace caisson::linux_personality
