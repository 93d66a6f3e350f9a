#include "linux/record_locks.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "linux/host_result.h"
#include "linux/open_file.h"
#include "linux/opening.h"

namespace caisson::linux_personality {

namespace {

// The owner's description has an offset of its own, so a range relative to the file's is made absolute.
std::int64_t make_absolute(const OpenFile& file, struct flock& lock) {
  lock.l_pid = 0;  // demanded for locks of a description
  if (lock.l_whence != SEEK_CUR) return 0;
  const off_t offset = ::lseek(file.host_descriptor(), 0, SEEK_CUR);
  if (offset < 0) return guest_error(errno);
  if (__builtin_add_overflow(lock.l_start, offset, &lock.l_start)) return -EOVERFLOW;
  lock.l_whence = SEEK_SET;
  return 0;
}

}  // namespace

RecordLocks::FileIdentity RecordLocks::identity(const OpenFile& file) {
  struct stat status{};
  ::fstat(file.host_descriptor(), &status);
  return {status.st_dev, status.st_ino};
}

std::int64_t RecordLocks::owner(const OpenFile& file) {
  if (file.named_descriptor() < 0) return file.host_descriptor();  // cannot be opened anew: the description's own locks
  const FileIdentity key = identity(file);
  const auto known = owners_.find(key);
  if (known != owners_.end()) return known->second.get();
  HostDescriptor opened(open_held(file.named_descriptor(), O_RDWR));
  if (!opened) opened = HostDescriptor(open_held(file.named_descriptor(), file.writable() ? O_WRONLY : O_RDONLY));
  if (!opened) return guest_error(errno);
  return owners_.emplace(key, std::move(opened)).first->second.get();
}

std::int64_t RecordLocks::query(const OpenFile& file, struct flock& lock) {
  if (const std::int64_t result = make_absolute(file, lock); result < 0) return result;
  const std::int64_t descriptor = owner(file);
  if (descriptor < 0) return descriptor;
  return guest_result(::fcntl(static_cast<int>(descriptor), F_OFD_GETLK, &lock));
}

std::int64_t RecordLocks::set(const OpenFile& file, struct flock lock) {
  if ((lock.l_type == F_RDLCK && !file.readable()) || (lock.l_type == F_WRLCK && !file.writable())) return -EBADF;
  if (const std::int64_t result = make_absolute(file, lock); result < 0) return result;
  const std::int64_t descriptor = owner(file);
  if (descriptor < 0) return descriptor;
  return guest_result(::fcntl(static_cast<int>(descriptor), F_OFD_SETLK, &lock));
}

void RecordLocks::closed(const OpenFile& file) {
  if (owners_.empty() || !file.is_regular()) return;
  owners_.erase(identity(file));
}

}  // namespace caisson::linux_personality
