#include "linux/open_file.h"

#include <fcntl.h>

#include <cerrno>

#include "linux/saved_file.h"

namespace caisson::linux_personality {

std::int64_t OpenFile::read(LinuxProcess&, GuestBuffers&, std::optional<std::uint64_t>) { return -EINVAL; }
std::int64_t OpenFile::write(LinuxProcess&, GuestBuffers&, std::optional<std::uint64_t>) { return -EINVAL; }
std::int64_t OpenFile::seek(LinuxProcess&, std::int64_t, int) { return -ESPIPE; }
std::int64_t OpenFile::read_directory(LinuxProcess&, std::uint64_t, std::uint32_t) { return -ENOTDIR; }
std::int64_t OpenFile::control(LinuxProcess&, std::uint32_t, std::uint64_t) { return -ENOTTY; }
std::int64_t OpenFile::truncate(LinuxProcess&, std::uint64_t) { return -EINVAL; }
std::expected<SavedFile, std::string> OpenFile::saved(LinuxProcess&) const {
  return std::unexpected("a file of the host");
}
std::int64_t OpenFile::reserve(LinuxProcess&, std::uint64_t) { return 0; }
std::shared_ptr<OpenFile> OpenFile::reopened(HostDescriptor, std::uint32_t) const { return nullptr; }

bool OpenFile::readable() const { return !path_only() && (status_flags() & O_ACCMODE) != O_WRONLY; }
bool OpenFile::writable() const { return !path_only() && (status_flags() & O_ACCMODE) != O_RDONLY; }
bool OpenFile::path_only() const { return (status_flags() & O_PATH) != 0; }
bool OpenFile::non_blocking() const { return (status_flags() & O_NONBLOCK) != 0; }
bool OpenFile::append() const { return (status_flags() & O_APPEND) != 0; }

}  // namespace caisson::linux_personality
