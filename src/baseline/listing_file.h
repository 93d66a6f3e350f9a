// A file that host tools read once this process has ended: records are appended whole or not at all, up to a limit.
//
// A file that cannot be written any further is closed and stays so; what it holds until then remains readable.
// Not thread-safe.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string>

#include "caisson/result.h"

namespace caisson::baseline {

class ListingFile {
 public:
  // A new file at `path`, for its owner only. What a process of the same number left there is removed; nothing else is followed
  // or opened, since the folder may be anybody's. Errors: kIo.
  static Result<ListingFile> create(const std::string& path, std::uint64_t maximum_size);

  ListingFile(ListingFile&& other) noexcept;
  ListingFile& operator=(ListingFile&&) = delete;
  ~ListingFile() { close(); }

  // One record in pieces, which are changed. False where the file is closed, or is now.
  bool append(std::span<iovec> pieces);

  void close();
  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }

 private:
  ListingFile(int descriptor, std::uint64_t maximum_size) : descriptor_(descriptor), maximum_size_(maximum_size) {}

  int descriptor_;
  std::uint64_t maximum_size_;
  std::uint64_t size_ = 0;
};

}  // namespace caisson::baseline
