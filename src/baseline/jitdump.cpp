#include "baseline/jitdump.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

namespace caisson::baseline {
namespace {

constexpr std::uint32_t kMagic = 0x4A695444;  // "JiTD", in the byte order of the writer
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kCodeLoad = 0;
constexpr std::uint32_t kCodeClose = 3;
constexpr std::size_t kMarkerSize = 4096;

struct FileHeader {
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t size = sizeof(FileHeader);
  std::uint32_t machine = EM_X86_64;
  std::uint32_t padding = 0;
  std::uint32_t process = 0;
  std::uint64_t timestamp = 0;
  std::uint64_t flags = 0;
};
static_assert(sizeof(FileHeader) == 40);

struct RecordHeader {
  std::uint32_t kind = 0;
  std::uint32_t size = 0;  // of the whole record
  std::uint64_t timestamp = 0;
};
static_assert(sizeof(RecordHeader) == 16);

// Followed by the name, a zero byte and the code.
struct CodeLoad {
  RecordHeader header;
  std::uint32_t process = 0;
  std::uint32_t thread = 0;
  std::uint64_t virtual_address = 0;
  std::uint64_t code_address = 0;
  std::uint64_t code_size = 0;
  std::uint64_t code_index = 0;
};
static_assert(sizeof(CodeLoad) == 56);

// The clock of `perf record -k 1`, in nanoseconds.
std::uint64_t timestamp() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

iovec piece(const void* data, std::size_t size) { return {.iov_base = const_cast<void*>(data), .iov_len = size}; }

}  // namespace

Result<Jitdump> Jitdump::create(const std::string& folder) {
  const std::string path = fmt::format("{}/jit-{}.dump", folder, ::getpid());
  Result<ListingFile> file = ListingFile::create(path, kMaximumSize);
  if (!file) return std::unexpected(file.error());
  Jitdump jitdump(std::move(*file));
  if (!jitdump.write_header()) return fail(ErrorCode::kIo, "cannot be written", path);
  if (const Result<void> mapped = jitdump.map_marker(path); !mapped) return std::unexpected(mapped.error());
  return jitdump;
}

Jitdump::Jitdump(Jitdump&& other) noexcept
    : file_(std::move(other.file_)), marker_(std::exchange(other.marker_, nullptr)), next_index_(other.next_index_) {}

Jitdump::~Jitdump() {
  if (marker_ != nullptr) ::munmap(marker_, kMarkerSize);
}

bool Jitdump::write_header() {
  const FileHeader header{.process = static_cast<std::uint32_t>(::getpid()), .timestamp = timestamp()};
  std::array pieces{piece(&header, sizeof(header))};
  return file_.append(pieces);
}

// perf learns of the file from an executable mapping of it. Kept, so that a perf that attaches later sees it as well.
Result<void> Jitdump::map_marker(const std::string& path) {
  void* const mapping = ::mmap(nullptr, kMarkerSize, PROT_READ | PROT_EXEC, MAP_PRIVATE, file_.descriptor(), 0);
  if (mapping == MAP_FAILED) {
    return fail(ErrorCode::kIo,
                fmt::format("cannot be mapped for perf to find it ({}): set JITDUMPDIR to a folder whose file system "
                            "allows programs",
                            std::strerror(errno)),
                path);
  }
  marker_ = mapping;
  return {};
}

bool Jitdump::add(const void* address, std::size_t size, std::string_view name) {
  CodeLoad record{.process = static_cast<std::uint32_t>(::getpid()),
                  .thread = static_cast<std::uint32_t>(::gettid()),
                  .virtual_address = reinterpret_cast<std::uintptr_t>(address),
                  .code_address = reinterpret_cast<std::uintptr_t>(address),
                  .code_size = size,
                  .code_index = next_index_};
  const std::size_t overhead = sizeof(record) + name.size() + 1;
  if (size > std::numeric_limits<std::uint32_t>::max() - overhead) return false;
  record.header = {.kind = kCodeLoad, .size = static_cast<std::uint32_t>(overhead + size), .timestamp = timestamp()};
  std::array pieces{piece(&record, sizeof(record)), piece(name.data(), name.size()), piece("", 1),
                    piece(address, size)};
  if (!file_.append(pieces)) return false;
  ++next_index_;
  return true;
}

void Jitdump::close() {
  const RecordHeader record{.kind = kCodeClose, .size = sizeof(RecordHeader), .timestamp = timestamp()};
  std::array pieces{piece(&record, sizeof(record))};
  file_.append(pieces);
  file_.close();
}

}  // namespace caisson::baseline
