#include "baseline/listing_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace caisson::baseline {
namespace {

// A write past the limit of file sizes would end the process with SIGXFSZ. Asked for each time: it may be lowered at any time.
std::uint64_t file_size_limit() {
  rlimit limit{};
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 ? limit.rlim_cur : 0;
}

bool write_all(int descriptor, std::span<iovec> pieces) {
  while (!pieces.empty()) {
    const ssize_t count = ::writev(descriptor, pieces.data(), static_cast<int>(pieces.size()));
    if (count < 0 && errno == EINTR) continue;
    auto written = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    if (written == 0) return false;
    while (!pieces.empty() && written >= pieces.front().iov_len) {
      written -= pieces.front().iov_len;
      pieces = pieces.subspan(1);
    }
    if (pieces.empty()) break;
    pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + written;
    pieces.front().iov_len -= written;
  }
  return true;
}

}  // namespace

Result<ListingFile> ListingFile::create(const std::string& path, std::uint64_t maximum_size) {
  const bool is_free = ::unlink(path.c_str()) == 0 || errno == ENOENT;
  const int descriptor =
      is_free ? ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR) : -1;
  if (descriptor < 0) return fail(ErrorCode::kIo, std::string("cannot be created: ") + std::strerror(errno), path);
  return ListingFile(descriptor, maximum_size);
}

ListingFile::ListingFile(ListingFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), maximum_size_(other.maximum_size_), size_(other.size_) {}

bool ListingFile::append(std::span<iovec> pieces) {
  if (!is_open()) return false;
  const std::uint64_t limit = std::min(maximum_size_, file_size_limit());
  std::uint64_t size = size_;
  bool fits = size <= limit;
  for (const iovec& piece : pieces) {
    fits = fits && piece.iov_len <= limit - size;
    if (fits) size += piece.iov_len;
  }
  if (!fits || !write_all(descriptor_, pieces)) {
    // Half a record would make readers doubt those before it. A file that cannot be cut either is left as it is.
    [[maybe_unused]] const int cut = fits ? ::ftruncate(descriptor_, static_cast<off_t>(size_)) : 0;
    close();
    return false;
  }
  size_ = size;
  return true;
}

void ListingFile::close() {
  if (is_open()) ::close(std::exchange(descriptor_, -1));
}

}  // namespace caisson::baseline
