// What many suspended guests have in common: a layout and the contents of its pages, which never change.
//
// A guest that is not running needs no 4 GiB window. Its memory is a MemoryBase, which any number of guests share, and the pages
// that differ from it (memory_state.h). The contents lie in sealed memory (memfd_create(2)), so a window maps them privately
// and copies only the pages that its guest writes. Pages of zeros take no memory.
//
// A base holds a file descriptor and a kernel mapping or two; a process that keeps thousands of different ones must raise its limits.
// Thread safety: immutable; may be used and dropped on any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "caisson/result.h"
#include "memory/address_space.h"

namespace caisson::memory {

// One stretch of a base's layout, which becomes one mapping of a guest that is loaded from it.
struct BaseRegion {
  std::uint32_t first_page = 0;
  std::uint32_t page_count = 0;
  Permissions permissions = kNone;
  std::string name;  // as in Mapping
  // Counts against the commit limit although nothing may be accessible; AddressSpace has accessible pages count in any case.
  bool committed = false;
  // Came from a file: discard() keeps its contents, and the guest sees `file_offset` in its list of mappings.
  bool file = false;
  std::uint64_t file_offset = 0;
  // Regions of one file mapping have the same number, others of files different ones; 0 for anonymous memory.
  std::uint32_t object = 0;
};

// A region and what is in it. `contents` gives the kPageSize bytes of each page, by its number from the region's start; null for a
// page of zeros; what it returned may be reused by the next call. An empty function: all zeros.
struct BaseRegionSource {
  BaseRegion region;
  std::function<const std::uint8_t*(std::uint32_t page)> contents;
};

// `bytes` from the region's start, zeros behind them. They must last until MemoryBase::create() returns.
std::function<const std::uint8_t*(std::uint32_t page)> contents_of(std::span<const std::uint8_t> bytes);

class MemoryBase {
 public:
  // Regions in ascending order, disjoint, within [kLowestAddress, kHighestAddress). kInvalidArgument where they are not, kOutOfMemory
  // where the host has no memory or file descriptors left. Memory and time are those of the pages that are not zero (and a call of
  // `contents` for each).
  static Result<std::shared_ptr<const MemoryBase>> create(std::span<const BaseRegionSource> regions);
  ~MemoryBase();
  MemoryBase(const MemoryBase&) = delete;
  MemoryBase& operator=(const MemoryBase&) = delete;

  // Ascending.
  std::span<const BaseRegion> layout() const { return layout_; }
  // The kPageSize bytes of a page by its number (address >> 12); null where the page is not mapped or all zero.
  const std::uint8_t* page(std::uint32_t page) const;
  // The region that a page lies in; null where it is not mapped.
  const BaseRegion* region_of(std::uint32_t page) const;

  std::uint64_t mapped_pages() const { return mapped_pages_; }
  // These are what the base costs.
  std::uint64_t nonzero_pages() const { return nonzero_pages_; }
  std::uint64_t committed_bytes() const { return committed_bytes_; }

  // --- for AddressSpace ---

  // What the host maps at once: a part of one region that has contents, or one that is known to be zero.
  struct Extent {
    std::uint32_t first = 0, end = 0;
    std::uint64_t offset = 0;  // in the sealed memory
    bool zero = false;
  };
  std::span<const Extent> extents() const { return extents_; }
  // Makes pages [first, end) of a window, which must lie in one region, hold the base's contents, not writable for the host.
  // False where the host refuses; pages may then have been replaced in part.
  bool map_into(std::uint8_t* window_base, std::uint32_t first, std::uint32_t end) const;

 private:
  friend class MemoryBaseBuilder;
  MemoryBase() = default;

  std::vector<BaseRegion> layout_;
  std::vector<Extent> extents_;
  // A bit for each page of the sealed memory.
  std::vector<std::uint64_t> nonzero_;
  std::uint64_t mapped_pages_ = 0, nonzero_pages_ = 0, committed_bytes_ = 0;
  const std::uint8_t* contents_ = nullptr;  // host mapping of the sealed memory
  std::size_t contents_size_ = 0;
  int fd_ = -1;
};

}  // namespace caisson::memory
