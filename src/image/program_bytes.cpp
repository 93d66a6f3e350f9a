#include "caisson/program_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace caisson {
namespace {

constexpr std::uint64_t kLargestProgram = std::uint64_t{1} << 30;

// A descriptor that is closed again.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

std::unexpected<Error> io_failure(std::string_view what, const std::string& name) {
  return fail(ErrorCode::kIo, fmt::format("cannot {} the program: {}", what, ::strerror(errno)), name);
}

ErrorCode code_of_open_failure(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case EACCES:
    case EPERM:
      return ErrorCode::kPermission;
    default:
      return ErrorCode::kIo;
  }
}

Descriptor new_memory() { return Descriptor(::memfd_create("caisson-program", MFD_CLOEXEC | MFD_ALLOW_SEALING)); }

// Copies until the file's end; a file that shrinks meanwhile is what is left of it. False with errno set on failure.
bool copy_file(int from, int to, std::size_t size, std::size_t* copied) {
  off_t offset = 0;
  while (static_cast<std::size_t>(offset) < size) {
    const ssize_t count = ::sendfile(to, from, &offset, size - static_cast<std::size_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    if (count == 0) break;
  }
  *copied = static_cast<std::size_t>(offset);
  return true;
}

bool write_all(int to, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(to, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

struct ProgramBytes::Memory {
  int descriptor = -1;
  const std::uint8_t* begin = nullptr;
  std::size_t size = 0;

  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (begin != nullptr) ::munmap(const_cast<std::uint8_t*>(begin), size);
    if (descriptor >= 0) ::close(descriptor);
  }
};

Result<ProgramBytes> ProgramBytes::seal(int descriptor, std::size_t size) {
  auto memory = std::make_shared<Memory>();
  memory->descriptor = descriptor;
  if (size == 0) return ProgramBytes(std::move(memory));
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (::fcntl(descriptor, F_ADD_SEALS, kSeals) != 0) return io_failure("seal", {});
  void* mapping = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (mapping == MAP_FAILED) return io_failure("map", {});
  memory->begin = static_cast<const std::uint8_t*>(mapping);
  memory->size = size;
  return ProgramBytes(std::move(memory));
}

Result<ProgramBytes> ProgramBytes::from_file(const std::string& path) {
  // Non-blocking, so that opening a FIFO does not wait for a writer; regular files do not care.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    const int error = errno;
    return fail(code_of_open_failure(error), fmt::format("cannot open the program: {}", ::strerror(error)), path);
  }
  return from_descriptor(file.get(), path);
}

Result<ProgramBytes> ProgramBytes::from_descriptor(int descriptor, const std::string& name) {
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) return io_failure("examine", name);
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kNotExecutable, "a program is a regular file", name);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > kLargestProgram) return fail(ErrorCode::kLimit, "a program has at most 1 GiB", name);
  Descriptor memory = new_memory();
  if (memory.get() < 0) return io_failure("make room for", name);
  std::size_t copied = 0;
  if (!copy_file(descriptor, memory.get(), static_cast<std::size_t>(size), &copied)) return io_failure("read", name);
  return seal(memory.release(), copied);
}

Result<ProgramBytes> ProgramBytes::copy_of(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kLargestProgram) return fail(ErrorCode::kLimit, "a program has at most 1 GiB");
  Descriptor memory = new_memory();
  if (memory.get() < 0) return io_failure("make room for", {});
  if (!write_all(memory.get(), bytes)) return io_failure("copy", {});
  return seal(memory.release(), bytes.size());
}

std::span<const std::uint8_t> ProgramBytes::span() const {
  if (memory_ == nullptr) return {};
  return {memory_->begin, memory_->size};
}

int ProgramBytes::descriptor() const { return memory_ == nullptr ? -1 : memory_->descriptor; }

}  // namespace caisson
