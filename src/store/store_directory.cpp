#include "store/store_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <thread>

namespace caisson::store {
namespace {

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
constexpr mode_t kOthersAnything = S_IRWXG | S_IRWXO;
constexpr const char* kKeyName = "key";
constexpr const char* kNewKeyName = "key.new";
constexpr const char* kLockName = "lock";
constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{20};

struct ErrnoRow {
  int error_number;
  ErrorCode code;
};

constexpr ErrnoRow kErrnos[] = {
    {EACCES, ErrorCode::kPermission},  {EPERM, ErrorCode::kPermission}, {EROFS, ErrorCode::kPermission},
    {ENOENT, ErrorCode::kNotFound},    {ENOSPC, ErrorCode::kLimit},     {EDQUOT, ErrorCode::kLimit},
    {EFBIG, ErrorCode::kLimit},        {EMFILE, ErrorCode::kLimit},     {ENFILE, ErrorCode::kLimit},
    {ENOMEM, ErrorCode::kOutOfMemory}, {ELOOP, ErrorCode::kPermission},
};

// Refuses what belongs to somebody else or gives others one of the permissions `forbidden`.
Result<void> check_owner(const struct stat& status, mode_t forbidden, const std::string& path) {
  if (status.st_uid != geteuid()) {
    return fail(ErrorCode::kPermission,
                fmt::format("belongs to user {}, not to {}: code of a store is run, so it must be one's own",
                            status.st_uid, geteuid()),
                path);
  }
  if ((status.st_mode & forbidden) != 0) {
    return fail(ErrorCode::kPermission,
                fmt::format("has mode {:04o}: others could {} it; chmod go-{} it once it is known to be good",
                            status.st_mode & 07777U, (forbidden & S_IROTH) != 0 ? "read or change" : "change",
                            (forbidden & S_IROTH) != 0 ? "rwx" : "w"),
                path);
  }
  return {};
}

// Makes `path` and what is above it, for this user only.
Result<void> make_directories(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (mkdir(part.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
      // Above may be directories that exist and that one may not even try to make.
      const int error_number = errno;
      if (access(part.c_str(), F_OK) != 0) return fail_with_errno(error_number, "cannot make the directory", part);
    }
    if (end == std::string::npos) return {};
  }
}

Result<void> write_all(int descriptor, std::span<const std::uint8_t> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_with_errno(errno, "cannot write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

// Up to `bytes.size()`; how many there were.
Result<std::size_t> read_up_to(int descriptor, std::span<std::uint8_t> bytes, const std::string& path) {
  std::size_t count = 0;
  while (count < bytes.size()) {
    const ssize_t got = read(descriptor, bytes.data() + count, bytes.size() - count);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_with_errno(errno, "cannot read", path);
    if (got == 0) break;
    count += static_cast<std::size_t>(got);
  }
  return count;
}

struct flock record_lock(short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

std::unexpected<Error> fail_with_errno(int error_number, std::string_view doing, std::string where) {
  ErrorCode code = ErrorCode::kIo;
  for (const ErrnoRow& row : kErrnos) {
    if (row.error_number == error_number) code = row.code;
  }
  return fail(code, fmt::format("{}: {}", doing, std::generic_category().message(error_number)), std::move(where));
}

Result<StoreDirectory> StoreDirectory::open(const std::string& path, bool create) {
  if (path.empty()) return fail(ErrorCode::kInvalidArgument, "a store needs the path of a directory");
  StoreDirectory directory;
  directory.path_ = path;
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  directory.descriptor_ = Descriptor(::open(path.c_str(), kFlags));
  if (!directory.descriptor_ && errno == ENOENT && create) {
    if (const Result<void> made = make_directories(path); !made) return std::unexpected(made.error());
    directory.descriptor_ = Descriptor(::open(path.c_str(), kFlags));
  }
  if (!directory.descriptor_) return fail_with_errno(errno, "cannot open the store", path);
  struct stat status{};
  if (fstat(directory.descriptor_.get(), &status) != 0) return fail_with_errno(errno, "cannot examine", path);
  if (const Result<void> owner = check_owner(status, kOthersWrite, path); !owner) return std::unexpected(owner.error());
  directory.identity_ = {status.st_dev, status.st_ino};
  return directory;
}

Result<void> StoreDirectory::open_lock_file() {
  if (const Result<void> owner = check_file(kLockName); !owner) return owner;
  lock_file_ = Descriptor(openat(descriptor_.get(), kLockName, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (!lock_file_) return fail_with_errno(errno, "cannot open", path_of(kLockName));
  return {};
}

Result<void> StoreDirectory::lock(Deadline deadline) const {
  std::chrono::milliseconds pause = kFirstPause;
  for (;;) {
    struct flock lock = record_lock(F_WRLCK);
    if (fcntl(lock_file_.get(), F_SETLK, &lock) == 0) return {};
    if (errno != EAGAIN && errno != EACCES && errno != EINTR)
      return fail_with_errno(errno, "cannot lock", path_of(kLockName));
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline) break;
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(pause, deadline - now));
    pause = std::min(2 * pause, kLongestPause);
  }
  struct flock holder = record_lock(F_WRLCK);
  const bool is_known = fcntl(lock_file_.get(), F_GETLK, &holder) == 0 && holder.l_type != F_UNLCK;
  return fail(ErrorCode::kBusy,
              is_known ? fmt::format("process {} has been writing to the store all the time", holder.l_pid)
                       : "other processes have been writing to the store all the time",
              path_of(kLockName));
}

void StoreDirectory::unlock() const {
  struct flock lock = record_lock(F_UNLCK);
  fcntl(lock_file_.get(), F_SETLK, &lock);
}

Result<StoreKey> StoreDirectory::read_or_make_key() const {
  Result<StoreKey> key = read_key();
  if (key || key.error().code != ErrorCode::kNotFound) return key;
  if (const Result<void> made = make_key(); !made) return std::unexpected(made.error());
  return read_key();
}

Result<StoreKey> StoreDirectory::read_key() const {
  const std::string path = path_of(kKeyName);
  const Descriptor file(openat(descriptor_.get(), kKeyName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return fail_with_errno(errno, "cannot open the store's key", path);
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return fail_with_errno(errno, "cannot examine", path);
  if (const Result<void> owner = check_owner(status, kOthersAnything, path); !owner)
    return std::unexpected(owner.error());
  std::array<std::uint8_t, sizeof(StoreKey) + 1> bytes{};
  const Result<std::size_t> size = read_up_to(file.get(), bytes, path);
  if (!size) return std::unexpected(size.error());
  if (*size != sizeof(StoreKey)) {
    return fail(ErrorCode::kInvalidImage,
                "is not a key of 32 bytes; remove the file and the store's artifacts are void", path);
  }
  StoreKey key;
  std::copy_n(bytes.begin(), key.size(), key.begin());
  return key;
}

// Whole or not at all, and never in place of one that exists: the new file gets its name when its bytes are durable.
Result<void> StoreDirectory::make_key() const {
  const std::string path = path_of(kNewKeyName);
  const int directory = descriptor_.get();
  // Left by a process that was killed here; the lock is ours now.
  unlinkat(directory, kNewKeyName, 0);
  const Descriptor file(
      openat(directory, kNewKeyName, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (!file) return fail_with_errno(errno, "cannot make", path);
  StoreKey key;
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size()))
    return fail_with_errno(errno, "cannot get random bytes for", path);
  if (const Result<void> written = write_all(file.get(), key, path); !written) return written;
  if (fsync(file.get()) != 0) return fail_with_errno(errno, "cannot make durable", path);
  // A key that came meanwhile is the store's key.
  if (linkat(directory, kNewKeyName, directory, kKeyName, 0) != 0 && errno != EEXIST)
    return fail_with_errno(errno, "cannot name", path_of(kKeyName));
  unlinkat(directory, kNewKeyName, 0);
  return sync();
}

Result<void> StoreDirectory::check_file(const char* name) const {
  struct stat status{};
  if (fstatat(descriptor_.get(), name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return fail_with_errno(errno, "cannot examine", path_of(name));
  }
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kPermission, "is not a regular file", path_of(name));
  return check_owner(status, kOthersWrite, path_of(name));
}

Result<void> StoreDirectory::allocate_file(const char* name, std::uint64_t bytes) const {
  const Descriptor file(openat(descriptor_.get(), name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (!file) return fail_with_errno(errno, "cannot open", path_of(name));
  if (const int error_number = posix_fallocate(file.get(), 0, static_cast<off_t>(bytes)); error_number != 0)
    return fail_with_errno(error_number, "cannot allocate", path_of(name));
  return {};
}

Result<void> StoreDirectory::sync() const {
  if (fsync(descriptor_.get()) != 0) return fail_with_errno(errno, "cannot make durable", path_);
  return {};
}

}  // namespace caisson::store
