// AddressSpace's part of snapshots: taking a MemoryState and becoming equal to one.
//
// Both rest on one invariant, kept by everything that changes a page: a page whose byte is clean is the base's memory for the host and
// not writable for it; of any other page nothing is assumed. So a page is put right by mapping the base over it, whatever it is.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/slab_pool.h"
#include "memory/address_space.h"
#include "memory/fault_recovery.h"
#include "memory/host_memory.h"
#include "memory/memory_base.h"
#include "memory/memory_counters.h"
#include "memory/memory_state.h"
#include "memory/page_tracking.h"
#include "memory/region_map.h"

namespace caisson::memory {
namespace {

// Above these, what the guest changed is dropped by the kernel instead of being copied over, and a state gets a base of its own.
constexpr std::size_t kFewDirtyPages = 64;
constexpr std::size_t kManyChangedPages = 1024;
// Holes in what the host has of the base; each costs kernel mappings.
constexpr std::size_t kManyHoles = 256;

constexpr PageContents kZeros{};

Error out_of_memory(const char* what) { return {ErrorCode::kOutOfMemory, what, "guest memory"}; }

Region region_of_layout(const BaseRegion& layout) {
  return {.first = layout.first_page,
          .end = layout.first_page + layout.page_count,
          .permissions = layout.permissions,
          .backing = layout.file ? Backing::kFileCopy : Backing::kAnonymous,
          .committed = layout.committed,
          .object = layout.object,
          .offset = layout.file_offset};
}

BaseRegion layout_of_region(const Region& region) {
  return {.first_page = region.first,
          .page_count = region.pages(),
          .permissions = region.permissions,
          .name = region.name == nullptr ? std::string() : *region.name,
          .committed = region.committed,
          .file = region.object != 0,
          .file_offset = region.object != 0 ? region.offset : 0,
          .object = region.object};
}

bool is_layout(const Region& region, const BaseRegion& layout) {
  const Region wanted = region_of_layout(layout);
  const std::string_view name = region.name == nullptr ? std::string_view() : *region.name;
  return region.first == wanted.first && region.end == wanted.end && region.permissions == wanted.permissions &&
         region.backing == wanted.backing && !region.shared && region.committed == wanted.committed &&
         region.object == wanted.object && (region.object == 0 || region.offset == wanted.offset) &&
         name == layout.name;
}

// A private mapping of a file becomes a copy of the file's bytes when a base has them.
Backing backing_in_base(Backing backing) {
  return backing == Backing::kAnonymous ? Backing::kAnonymous : Backing::kFileCopy;
}

// A range of an extent as the host has it; neighbours of the same file are one kernel mapping.
Region shared_region(const MemoryBase::Extent& extent, Page first, Page end) {
  const std::uint64_t offset = extent.zero ? first * kPageSize : extent.offset + (first - extent.first) * kPageSize;
  return {.first = first, .end = end, .object = extent.zero ? 2U : 1U, .offset = offset};
}

const char* fault_of_state(const MemoryState& state) {
  if (state.base == nullptr) return "a state of guest memory needs a base";
  Page reached = 0;
  for (const ChangedPage& changed : state.changed) {
    if (changed.page < reached) return "the changed pages of a state of guest memory must ascend";
    const BaseRegion* const region = state.base->region_of(changed.page);
    if (changed.contents == nullptr || region == nullptr || region->permissions == kNone)
      return "a changed page of a state of guest memory has no contents or lies where nothing is accessible";
    reached = changed.page + 1;
  }
  return nullptr;
}

// Tells which private pages of the host's were never touched (proc_pid_pagemap(5)), since reading one costs a page fault.
class TouchedPages {
 public:
  TouchedPages() : fd_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}
  ~TouchedPages() {
    if (fd_ >= 0) close(fd_);
  }
  TouchedPages(const TouchedPages&) = delete;
  TouchedPages& operator=(const TouchedPages&) = delete;

  // True also where nobody can tell.
  bool maybe_touched(const std::uint8_t* page) {
    constexpr std::uint64_t kPresentOrSwapped = std::uint64_t{3} << 62;
    const std::uint64_t number = reinterpret_cast<std::uintptr_t>(page) / kPageSize;
    if (number - first_ >= count_) {
      const ssize_t bytes =
          fd_ < 0 ? -1 : pread(fd_, entries_.data(), sizeof entries_, static_cast<off_t>(number * sizeof entries_[0]));
      first_ = number;
      count_ = bytes < 0 ? 0 : static_cast<std::size_t>(bytes) / sizeof entries_[0];
      if (count_ == 0) return true;
    }
    return (entries_[number - first_] & kPresentOrSwapped) != 0;
  }

 private:
  const int fd_;
  std::uint64_t first_ = 0;
  std::size_t count_ = 0;
  std::array<std::uint64_t, 512> entries_{};
};

}  // namespace

std::vector<std::uint32_t> AddressSpace::dirty_pages() const {
  std::vector<Page> pages;
  if (!tracks()) return pages;
  pages.reserve(kFewDirtyPages);
  for_each_dirty_page(base_, [&pages](Page page) { pages.push_back(page); });
  return pages;
}

bool AddressSpace::has_layout_of_base() const {
  if (!tracks() || has_hidden_changes_) return false;
  return !mappings_called_ || std::ranges::equal(regions_->all(), memory_base_->layout(), is_layout);
}

// --- load ---

Result<void> AddressSpace::load(const MemoryState& state) {
  if (const char* const fault = fault_of_state(state); fault != nullptr)
    return fail(ErrorCode::kInvalidArgument, fault, "guest memory");
  try {
    std::vector<ChangedPage> changed = state.changed;
    Result<void> loaded = state.base == memory_base_ && has_layout_of_base() ? restore(state) : replace_all(state);
    if (!loaded) return loaded;
    known_changes_ = std::move(changed);
    mappings_called_ = false;
    has_hidden_changes_ = false;
    return {};
  } catch (const std::bad_alloc&) {
    return std::unexpected(out_of_memory("no memory to load a state of guest memory"));
  }
}

bool AddressSpace::put_page(std::uint32_t page, const std::uint8_t* contents) {
  std::uint8_t& byte = page_permissions_[page];
  std::uint8_t* const to = base_ + page * kPageSize;
  const std::uint8_t* const from = contents == nullptr ? kZeros.bytes.data() : contents;
  // A page that became writable along with another, and was not written, takes no memory yet.
  if ((byte & kCleanPage) == 0 && std::memcmp(to, from, kPageSize) == 0) return true;
  if ((byte & kExecute) != 0) tell_observers(page, 1);
  if ((byte & kWrite) != 0) {
    if (!make_pages_writable(base_, page, page + 1)) return false;
    std::memcpy(to, from, kPageSize);
  } else {
    if (mprotect(to, kPageSize, PROT_READ | PROT_WRITE) != 0) return false;
    std::memcpy(to, from, kPageSize);
    byte &= static_cast<std::uint8_t>(~kCleanPage);
    note_dirty_pages(base_, page, page + 1);
    if (mprotect(to, kPageSize, PROT_READ) != 0) return false;
  }
  if (memory_observer_ != nullptr) memory_observer_->bytes_written(page * kPageSize, kPageSize);
  return true;
}

bool AddressSpace::restore_changes(const std::vector<ChangedPage>& changed) {
  for (std::size_t index = 0; index < changed.size();) {
    std::size_t end = index + 1;
    while (end < changed.size() && changed[end].page == changed[end - 1].page + 1) ++end;
    if (!make_pages_writable(base_, changed[index].page, changed[end - 1].page + 1)) return false;
    for (; index < end; ++index) {
      if (!put_page(changed[index].page, changed[index].contents->bytes.data())) return false;
    }
  }
  return true;
}

bool AddressSpace::map_base_again(std::uint32_t first, std::uint32_t end) {
  const std::span<const MemoryBase::Extent> extents = memory_base_->extents();
  const auto begin = std::ranges::upper_bound(extents, first, {}, &MemoryBase::Extent::end);
  const auto limit = std::ranges::lower_bound(extents, end, {}, &MemoryBase::Extent::first);
  const auto additional = static_cast<std::size_t>(limit - begin) + 1;
  if (!charge(host_mappings_needed(regions_->all().size(), shared_regions_->all().size() + additional)) ||
      !shared_regions_->prepare(additional) || !memory_base_->map_into(base_, first, end)) {
    return false;
  }
  shared_regions_->erase(first, end);
  for (auto extent = begin; extent != limit; ++extent)
    shared_regions_->insert(shared_region(*extent, std::max(extent->first, first), std::min(extent->end, end)));
  for (Page page = first; page < end; ++page) page_permissions_[page] |= kCleanPage;
  if (memory_observer_ != nullptr) memory_observer_->pages_replaced(first, end - first, false);
  return true;
}

Result<void> AddressSpace::restore(const MemoryState& state) {
  CAISSON_PERF_SCOPE(reset_counter);
  const std::vector<Page> dirty = dirty_pages();
  const bool drops = dirty.size() > kFewDirtyPages + 2 * state.changed.size();
  auto change = state.changed.begin();
  bool restored = true;
  for (std::size_t index = 0; index < dirty.size() && restored; ++index) {
    const Page page = dirty[index];
    while (change != state.changed.end() && change->page < page) ++change;
    if (change != state.changed.end() && change->page == page) continue;
    const std::uint8_t byte = page_permissions_[page];
    if (!drops || (byte & kWrite) == 0) {
      restored = put_page(page, memory_base_->page(page));
      continue;
    }
    const BaseRegion& region = *memory_base_->region_of(page);
    const Page limit = std::min(region.first_page + region.page_count,
                                change != state.changed.end() ? change->page : region.first_page + region.page_count);
    std::size_t end = index + 1;
    while (end < dirty.size() && dirty[end] == dirty[end - 1] + 1 && dirty[end] < limit) ++end;
    if ((byte & kExecute) != 0) tell_observers(page, static_cast<Page>(end - index));
    restored = map_base_again(page, dirty[end - 1] + 1);
    index = end - 1;
  }
  if (drops && restored) {
    std::atomic<std::uint32_t>& runs = tracking_of(base_).runs;
    runs = std::min(runs.load(), static_cast<std::uint32_t>(state.changed.size()));
  }
  if (restored && restore_changes(state.changed)) return {};
  unmap_all();
  return std::unexpected(out_of_memory("the host refuses what restoring guest memory needs"));
}

bool AddressSpace::unmap_all() {
  const std::span<const Region> regions = regions_->all();
  if (regions.empty()) return true;
  const Page first = regions.front().first;
  const Page end = regions.back().end;
  mappings_called_ = true;
  announce_code_change(first, end, false);
  if (!make_reserve(base_ + first * kPageSize, (end - first) * kPageSize)) return false;
  record_unmapped(first, end);
  tell_replaced(first, end);
  return true;
}

Result<void> AddressSpace::replace_all(const MemoryState& state) {
  const MemoryBase& base = *state.base;
  if (base.committed_bytes() > commit_limit_) {
    return std::unexpected(out_of_memory(
        "the memory of this state exceeds the memory limit of the instance that it is loaded into; raise that limit"));
  }
  auto regions = std::make_unique<RegionMap>();
  auto shared_regions = std::make_unique<RegionMap>();
  if (!regions->prepare(base.layout().size()) || !shared_regions->prepare(base.extents().size()) ||
      !charge(host_mappings_needed(base.layout().size(), base.extents().size()))) {
    return std::unexpected(out_of_memory("too many mappings in all guests together for another state to be loaded"));
  }
  std::uint32_t next_object = 1;
  for (const BaseRegion& layout : base.layout()) {
    Region region = region_of_layout(layout);
    const std::optional<const std::string*> name = regions->intern(layout.name);
    if (!name) return std::unexpected(out_of_memory("no memory for the names of a guest's mappings"));
    region.name = *name;
    regions->insert(region);
    next_object = std::max(next_object, layout.object + 1);
  }
  for (const MemoryBase::Extent& extent : base.extents())
    shared_regions->insert(shared_region(extent, extent.first, extent.end));
  if (!unmap_all()) return std::unexpected(out_of_memory("the host cannot make room for a state of guest memory"));

  // From here on the books say what is there at most, so that unmap_all() cleans up.
  regions_ = std::move(regions);
  shared_regions_ = std::move(shared_regions);
  memory_base_ = state.base;
  next_object_ = next_object;
  account(0, base.committed_bytes());
  start_tracking(base_, *pool_);
  bool loaded = true;
  for (const Region& region : regions_->all()) {
    if (region.is_executable()) tell_observers(region.first, region.pages());
    loaded = loaded && base.map_into(base_, region.first, region.end);
    if (region.permissions == kNone) continue;
    const int byte = region.permissions | (region.is_mixed() ? kMixed : 0) | kCleanPage;
    std::memset(page_permissions_ + region.first, byte, region.pages());
    if (memory_observer_ != nullptr) memory_observer_->pages_replaced(region.first, region.pages(), false);
  }
  if (loaded && restore_changes(state.changed)) return {};
  unmap_all();
  return std::unexpected(out_of_memory("the host refuses to map a state of guest memory"));
}

// --- state ---

Result<MemoryState> AddressSpace::state() {
  for (const Region& region : regions_->all()) {
    if (!region.shared) continue;
    return fail(ErrorCode::kUnsupported, "memory that is shared with others cannot be part of a snapshot",
                fmt::format("mapping {:x}-{:x} {}", region.first * kPageSize, region.end * kPageSize,
                            region.name == nullptr ? "" : *region.name));
  }
  try {
    if (!has_layout_of_base() || shared_regions_->all().size() > memory_base_->extents().size() + kManyHoles)
      return freeze();
    mappings_called_ = false;
    Result<MemoryState> state = changed_pages();
    const bool outgrew =
        state->changed.size() > kManyChangedPages && state->changed.size() > memory_base_->nonzero_pages() / 4;
    return outgrew ? freeze() : std::move(state);
  } catch (const std::bad_alloc&) {
    return std::unexpected(out_of_memory("no memory for a state of guest memory"));
  }
}

Result<MemoryState> AddressSpace::changed_pages() {
  MemoryState state{.base = memory_base_, .changed = {}};
  auto known = known_changes_.begin();
  for_each_dirty_page(base_, [&](Page page) {
    const std::uint8_t* const now = base_ + page * kPageSize;
    while (known != known_changes_.end() && known->page < page) ++known;
    if (known != known_changes_.end() && known->page == page &&
        std::memcmp(now, known->contents->bytes.data(), kPageSize) == 0) {
      state.changed.push_back(*known);
      return;
    }
    const std::uint8_t* const before = memory_base_->page(page);
    if (before == nullptr ? is_zero_page(now) : std::memcmp(now, before, kPageSize) == 0) return;
    auto contents = std::allocate_shared_for_overwrite<PageContents>(base::SlabAllocator<PageContents>());
    std::memcpy(contents->bytes.data(), now, kPageSize);
    state.changed.push_back({.page = page, .contents = std::move(contents)});
  });
  known_changes_ = state.changed;
  return state;
}

Result<MemoryState> AddressSpace::freeze() {
  std::vector<Region> regions;
  for (Region region : regions_->all()) {
    region.backing = backing_in_base(region.backing);
    if (!regions.empty() && continues(regions.back(), region)) {
      regions.back().end = region.end;
    } else {
      regions.push_back(region);
    }
  }

  TouchedPages touched;
  PageContents buffer;
  // What is only reserved, and no file, holds nothing.
  const auto is_hidden = [](const Region& region) {
    return region.permissions == kNone && (region.committed || region.object != 0);
  };
  std::vector<BaseRegionSource> sources;
  for (const Region& region : regions) {
    BaseRegionSource& source = sources.emplace_back();
    source.region = layout_of_region(region);
    if (region.permissions == kNone && !is_hidden(region)) continue;
    source.contents = [this, &touched, &buffer, first = region.first](Page offset) -> const std::uint8_t* {
      const Page page = first + offset;
      const std::uint8_t* const from = base_ + page * kPageSize;
      if ((page_permissions_[page] & kCleanPage) != 0) return memory_base_->page(page);
      const Region& whole = regions_->overlapping(page, page + 1).front();
      const bool anonymous = whole.backing == Backing::kAnonymous || whole.backing == Backing::kFileCopy;
      const bool on_base = tracks() && !shared_regions_->is_free(page, page + 1);
      if (anonymous && !on_base && !touched.maybe_touched(from)) return nullptr;
      // Past the end of a file it fails.
      return guarded_copy(buffer.bytes.data(), from, kPageSize, from) == 0 ? buffer.bytes.data() : nullptr;
    };
  }

  const auto protect_hidden = [&](int protection) {
    bool done = true;
    for (const Region& region : regions) {
      if (is_hidden(region))
        done &= mprotect(base_ + region.first * kPageSize, region.pages() * kPageSize, protection) == 0;
    }
    return done;
  };
  if (!protect_hidden(PROT_READ)) {
    protect_hidden(PROT_NONE);
    return std::unexpected(out_of_memory("the host refuses access to inaccessible guest memory for a snapshot"));
  }
  Result<std::shared_ptr<const MemoryBase>> base = MemoryBase::create(sources);
  protect_hidden(PROT_NONE);
  if (!base) return std::unexpected(base.error());
  share(*base);
  return MemoryState{.base = *base, .changed = {}};
}

void AddressSpace::share(std::shared_ptr<const MemoryBase> base) {
  auto shared_regions = std::make_unique<RegionMap>();
  const std::size_t extents = base->extents().size();
  // Otherwise things stay as they are, and the next state is another base.
  if (!shared_regions->prepare(extents) || !charge(host_mappings_needed(regions_->all().size(), extents))) return;

  regions_->update(kLowestPage, kHighestPage, [](Region& region) { region.backing = backing_in_base(region.backing); });
  memory_base_ = std::move(base);
  shared_regions_ = std::move(shared_regions);
  known_changes_.clear();
  mappings_called_ = false;
  has_hidden_changes_ = false;
  start_tracking(base_, *pool_);
  for (const MemoryBase::Extent& extent : memory_base_->extents()) {
    const bool shared = memory_base_->map_into(base_, extent.first, extent.end);
    if (shared) {
      shared_regions_->insert(shared_region(extent, extent.first, extent.end));
    } else {
      note_dirty_pages(base_, extent.first, extent.end);
    }
    for (Page page = extent.first; page < extent.end; ++page) {
      std::uint8_t& byte = page_permissions_[page];
      if ((byte & ~kMixed & ~kCleanPage) != kNone)
        byte = static_cast<std::uint8_t>(shared ? byte | kCleanPage : byte & ~kCleanPage);
    }
  }
}

}  // namespace caisson::memory
