#include "memory/memory_base.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "memory/host_memory.h"
#include "memory/memory_state.h"
#include "memory/region_map.h"

namespace caisson::memory {
namespace {

// Zero pages in a row that get a mapping of their own: reading them then takes no memory, and they cost one kernel mapping or two.
constexpr Page kPagesOfZeroExtent = 256;
// Beyond one for each region.
constexpr std::size_t kMaximumExtraExtents = 64;

constexpr std::size_t kBatchPages = 16;

Error host_error(const char* what) {
  return {ErrorCode::kOutOfMemory,
          fmt::format("cannot {} for a snapshot of guest memory: {}", what, std::strerror(errno)), "memory base"};
}

// Appends pages to a file, several at once where they are neighbours.
class PageWriter {
 public:
  explicit PageWriter(int fd) : fd_(fd), batch_(std::make_unique<std::uint8_t[]>(kBatchPages * kPageSize)) {}

  bool write(std::uint64_t file_page, const std::uint8_t* bytes) {
    if ((count_ == kBatchPages || file_page != first_ + count_) && !flush()) return false;
    if (count_ == 0) first_ = file_page;
    std::memcpy(batch_.get() + count_ * kPageSize, bytes, kPageSize);
    ++count_;
    return true;
  }

  bool flush() {
    const std::uint8_t* from = batch_.get();
    std::uint64_t offset = first_ * kPageSize;
    std::size_t left = std::exchange(count_, 0) * kPageSize;
    while (left > 0) {
      const ssize_t written = pwrite(fd_, from, left, static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      from += written;
      offset += static_cast<std::uint64_t>(written);
      left -= static_cast<std::size_t>(written);
    }
    return true;
  }

 private:
  const int fd_;
  std::unique_ptr<std::uint8_t[]> batch_;
  std::uint64_t first_ = 0;
  std::size_t count_ = 0;
};

// A guest's own count goes on from there.
constexpr std::uint32_t kHighestObject = std::uint32_t{1} << 31;

// nullptr where the layout can be one.
const char* fault_of_layout(std::span<const BaseRegionSource> regions) {
  Page reached = kLowestPage;
  if (regions.size() > RegionMap::kMaximumRegions) return "too many regions";
  for (const BaseRegionSource& source : regions) {
    const BaseRegion& region = source.region;
    if (region.page_count == 0) return "a region without pages";
    if (region.first_page < reached) return "regions that overlap, are out of order, or below the lowest address";
    if (region.first_page > kHighestPage || region.page_count > kHighestPage - region.first_page)
      return "a region above the highest address";
    if ((region.permissions & ~(kRead | kWrite | kExecute)) != 0) return "unknown permissions";
    if (region.file != (region.object != 0) || region.file_offset % kPageSize != 0)
      return "a region that is half a file's";
    if (region.object > kHighestObject) return "too high a number of a file mapping";
    reached = region.first_page + region.page_count;
  }
  return nullptr;
}

}  // namespace

std::function<const std::uint8_t*(std::uint32_t page)> contents_of(std::span<const std::uint8_t> bytes) {
  return [bytes, last = PageContents{}](std::uint32_t page) mutable -> const std::uint8_t* {
    const std::size_t offset = page * kPageSize;
    if (offset >= bytes.size()) return nullptr;
    if (bytes.size() - offset >= kPageSize) return bytes.data() + offset;
    last.bytes.fill(0);
    std::memcpy(last.bytes.data(), bytes.data() + offset, bytes.size() - offset);
    return last.bytes.data();
  };
}

const std::uint8_t* MemoryState::page(std::uint32_t page) const {
  const auto found = std::ranges::lower_bound(changed, page, {}, &ChangedPage::page);
  if (found != changed.end() && found->page == page) return found->contents->bytes.data();
  return base == nullptr ? nullptr : base->page(page);
}

// Fills the extents of one region at a time, as the contents become known in ascending order.
class MemoryBaseBuilder {
 public:
  MemoryBaseBuilder(MemoryBase& base, int fd) : base_(base), writer_(fd) {}

  bool add(const BaseRegionSource& source) {
    const BaseRegion& region = source.region;
    const Page region_end = region.first_page + region.page_count;
    Page first = region.first_page;  // of the extent that is being made
    Page zero_from = first;  // zeros since there
    for (Page page = region.first_page; source.contents && page < region_end; ++page) {
      const std::uint8_t* const bytes = source.contents(page - region.first_page);
      if (bytes == nullptr || is_zero_page(bytes)) continue;
      if (page - zero_from >= kPagesOfZeroExtent && may_split()) {
        close(first, zero_from, false);
        close(zero_from, page, true);
        first = page;
      }
      if (!write(first, page, bytes)) return false;
      zero_from = page + 1;
    }
    const bool splits = zero_from == first || (region_end - zero_from >= kPagesOfZeroExtent && may_split());
    if (!splits) zero_from = region_end;
    close(first, zero_from, false);
    close(zero_from, region_end, true);
    add_to_layout(region);
    base_.mapped_pages_ += region.page_count;
    return true;
  }

  bool finish() { return writer_.flush(); }
  std::uint64_t file_pages() const { return file_pages_; }

 private:
  // Alike neighbours are one region, as in an address space.
  void add_to_layout(BaseRegion region) {
    region.committed |= region.permissions != kNone;
    if (region.committed) base_.committed_bytes_ += region.page_count * kPageSize;
    if (!base_.layout_.empty()) {
      BaseRegion& last = base_.layout_.back();
      const std::uint64_t file_end = last.file_offset + last.page_count * kPageSize;
      if (last.first_page + last.page_count == region.first_page && last.permissions == region.permissions &&
          last.name == region.name && last.committed == region.committed && last.object == region.object &&
          (!region.file || file_end == region.file_offset)) {
        last.page_count += region.page_count;
        return;
      }
    }
    base_.layout_.push_back(std::move(region));
  }

  bool may_split() { return extra_extents_ < kMaximumExtraExtents; }

  bool write(Page first, Page page, const std::uint8_t* bytes) {
    const std::uint64_t file_page = file_pages_ + (page - first);
    if (base_.nonzero_.size() <= file_page / 64) base_.nonzero_.resize(file_page / 64 + 1);
    base_.nonzero_[file_page / 64] |= std::uint64_t{1} << (file_page % 64);
    ++base_.nonzero_pages_;
    return writer_.write(file_page, bytes);
  }

  void close(Page first, Page end, bool zero) {
    if (first >= end) return;
    base_.extents_.push_back({.first = first, .end = end, .offset = zero ? 0 : file_pages_ * kPageSize, .zero = zero});
    if (zero) ++extra_extents_;
    if (!zero) file_pages_ += end - first;
  }

  MemoryBase& base_;
  PageWriter writer_;
  std::uint64_t file_pages_ = 0;
  std::size_t extra_extents_ = 0;
};

Result<std::shared_ptr<const MemoryBase>> MemoryBase::create(std::span<const BaseRegionSource> regions) {
  if (const char* const fault = fault_of_layout(regions); fault != nullptr)
    return fail(ErrorCode::kInvalidArgument, std::string("a snapshot's layout has ") + fault, "memory base");
  try {
    const std::shared_ptr<MemoryBase> base(new MemoryBase);
    base->fd_ = memfd_create("caisson-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (base->fd_ < 0) return std::unexpected(host_error("make a file in memory"));
    MemoryBaseBuilder builder(*base, base->fd_);
    for (const BaseRegionSource& source : regions) {
      if (!builder.add(source)) return std::unexpected(host_error("write a file in memory"));
    }
    base->contents_size_ = builder.file_pages() * kPageSize;
    base->nonzero_.resize((builder.file_pages() + 63) / 64);
    constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    if (!builder.finish() || ftruncate(base->fd_, static_cast<off_t>(base->contents_size_)) != 0 ||
        fcntl(base->fd_, F_ADD_SEALS, kSeals) != 0) {
      return std::unexpected(host_error("write and seal a file in memory"));
    }
    if (base->contents_size_ > 0) {
      void* const contents = mmap(nullptr, base->contents_size_, PROT_READ, MAP_SHARED, base->fd_, 0);
      if (contents == MAP_FAILED) return std::unexpected(host_error("map a file in memory"));
      base->contents_ = static_cast<const std::uint8_t*>(contents);
    }
    return base;
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "no memory for a snapshot of guest memory", "memory base");
  }
}

MemoryBase::~MemoryBase() {
  if (contents_ != nullptr) munmap(const_cast<std::uint8_t*>(contents_), contents_size_);
  if (fd_ >= 0) close(fd_);
}

const std::uint8_t* MemoryBase::page(std::uint32_t page) const {
  const auto extent = std::ranges::upper_bound(extents_, page, {}, &Extent::end);
  if (extent == extents_.end() || extent->first > page || extent->zero) return nullptr;
  const std::uint64_t file_page = extent->offset / kPageSize + (page - extent->first);
  if ((nonzero_[file_page / 64] >> (file_page % 64) & 1) == 0) return nullptr;
  return contents_ + file_page * kPageSize;
}

const BaseRegion* MemoryBase::region_of(std::uint32_t page) const {
  const auto region = std::ranges::upper_bound(
      layout_, page, {}, [](const BaseRegion& candidate) { return candidate.first_page + candidate.page_count; });
  return region == layout_.end() || region->first_page > page ? nullptr : &*region;
}

bool MemoryBase::map_into(std::uint8_t* window_base, std::uint32_t first, std::uint32_t end) const {
  const BaseRegion* const region = region_of(first);
  if (region == nullptr) return false;
  const int protection = region->permissions == kNone ? PROT_NONE : PROT_READ;
  auto extent = std::ranges::upper_bound(extents_, first, {}, &Extent::end);
  for (; extent != extents_.end() && extent->first < end; ++extent) {
    const Page begin = std::max(extent->first, first);
    const std::size_t length = (std::min(extent->end, end) - begin) * kPageSize;
    const int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | (extent->zero ? MAP_ANONYMOUS : 0);
    const auto offset = extent->zero ? 0 : static_cast<off_t>(extent->offset + (begin - extent->first) * kPageSize);
    if (mmap(window_base + begin * kPageSize, length, protection, flags, extent->zero ? -1 : fd_, offset) == MAP_FAILED)
      return false;
  }
  return true;
}

}  // namespace caisson::memory
