#include "memory/address_space.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>

#include "memory/fault_recovery.h"
#include "memory/host_memory.h"
#include "memory/memory_counters.h"
#include "memory/memory_state.h"
#include "memory/page_tracking.h"
#include "memory/region_map.h"
#include "memory/window_pool.h"

namespace caisson::memory {
namespace {

struct PageRange {
  Page first;
  Page end;
  Page pages() const { return end - first; }
};

std::optional<PageRange> page_range(std::uint64_t address, std::uint64_t length) {
  if (address % kPageSize != 0 || length % kPageSize != 0 || length == 0) return std::nullopt;
  if (address < kLowestAddress || address > kHighestAddress || length > kHighestAddress - address) return std::nullopt;
  return PageRange{static_cast<Page>(address / kPageSize), static_cast<Page>((address + length) / kPageSize)};
}

// How much of [address, address + length) lies below 2^32.
std::size_t within_window(std::uint64_t address, std::size_t length) {
  return address >= kWindowSize ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(length, kWindowSize - address));
}

// Fills `to` with the file's bytes from `offset` up to its end; the rest stays zero.
bool read_file(int fd, std::uint64_t offset, std::uint8_t* to, std::size_t length) {
  struct stat status{};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::size_t left = offset >= size ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(length, size - offset));
  while (left > 0) {
    const ssize_t count = pread(fd, to, left, static_cast<off_t>(offset));
    if (count == 0) break;  // shortened meanwhile
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    to += count;
    offset += static_cast<std::uint64_t>(count);
    left -= static_cast<std::size_t>(count);
  }
  return true;
}

// Memory that was sealed against every change (memfd_create(2), F_ADD_SEALS).
bool is_sealed(int fd) {
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK;
  const int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & kSeals) == kSeals;
}

// Whether dropping the pages gives what madvise promises. A copy of a file's bytes keeps them: the file is closed, and the copy
// is what it would be read as again, but for what the guest wrote there.
bool can_discard(const Region& region) { return region.backing != Backing::kFileCopy; }

std::vector<Mapping> describe(std::span<const Region> regions) {
  std::vector<Mapping> mappings;
  mappings.reserve(regions.size());
  for (const Region& region : regions) {
    const bool file = region.backing != Backing::kAnonymous;
    mappings.push_back({.start = region.first * kPageSize,
                        .end = region.end * kPageSize,
                        .permissions = region.permissions,
                        .shared = region.shared,
                        .file = file,
                        .file_offset = file ? region.offset : 0,
                        .name = region.name == nullptr ? std::string() : *region.name});
  }
  return mappings;
}

MapStatus status_of_host_error() { return errno == ENOMEM ? MapStatus::kNoMemory : MapStatus::kIo; }

}  // namespace

AddressSpace::AddressSpace() = default;

Result<std::unique_ptr<AddressSpace>> AddressSpace::create(std::shared_ptr<WindowPool> pool,
                                                           std::uint64_t commit_limit) {
  if (pool == nullptr) return fail(ErrorCode::kInvalidArgument, "an address space needs a window pool");
  if (Result<void> installed = install_fault_recovery(); !installed) return std::unexpected(installed.error());
  const Result<Window> window = pool->acquire();
  if (!window) return std::unexpected(window.error());
  std::unique_ptr<AddressSpace> space(new AddressSpace);
  space->base_ = window->base;
  space->page_permissions_ = window->page_bytes;
  space->commit_limit_ = commit_limit / kPageSize * kPageSize;
  space->pool_ = std::move(pool);
  space->regions_ = std::make_unique<RegionMap>();
  return space;
}

AddressSpace::~AddressSpace() {
  const std::span<const Region> regions = regions_->all();
  std::uint64_t used_begin = 0;
  std::uint64_t used_end = 0;
  if (!regions.empty()) {
    used_begin = regions.front().first * kPageSize;
    used_end = regions.back().end * kPageSize;
  }
  for (const Region& region : regions) clear_page_bytes(region);
  stop_tracking(base_);
  pool_->release({.base = base_, .page_bytes = page_permissions_}, used_begin, used_end);
  pool_->credit_mappings(charged_mappings_);
}

// --- the books ---

bool AddressSpace::prepare(std::size_t additional_regions) {
  mappings_called_ = true;
  const std::size_t regions = regions_->all().size() + additional_regions;
  if (!tracks()) return charge(host_mappings_needed(regions, 0)) && regions_->prepare(additional_regions);
  const std::size_t shared_regions = shared_regions_->all().size() + additional_regions;
  return charge(host_mappings_needed(regions, shared_regions)) && regions_->prepare(additional_regions) &&
         shared_regions_->prepare(additional_regions);
}

std::uint64_t AddressSpace::host_mappings_needed(std::size_t regions, std::size_t shared_regions) {
  // A region may need a kernel mapping for itself and one for the reserve behind it; what is left of a base, as much at both of its
  // ends.
  return 2 * regions + 4 * shared_regions;
}

bool AddressSpace::charge(std::uint64_t host_mappings) {
  // In steps, to spare the others' cache line.
  constexpr std::uint64_t kStep = 16;
  if (host_mappings <= charged_mappings_) return true;
  const std::uint64_t charge = (host_mappings - charged_mappings_ + kStep - 1) / kStep * kStep;
  if (!pool_->charge_mappings(charge)) return false;
  charged_mappings_ += charge;
  return true;
}

std::uint64_t AddressSpace::committed_within(std::uint32_t first, std::uint32_t end) const {
  std::uint64_t pages = 0;
  for (const Region& region : regions_->overlapping(first, end)) {
    if (region.committed) pages += clipped(region, first, end).pages();
  }
  return pages * kPageSize;
}

bool AddressSpace::fits(std::uint64_t credited, std::uint64_t added) const {
  return added <= credited || committed_bytes_ - credited + added <= commit_limit_;
}

void AddressSpace::account(std::uint64_t credited, std::uint64_t added) {
  committed_bytes_ += added - credited;
  peak_committed_bytes_ = std::max(peak_committed_bytes_, committed_bytes_);
}

void AddressSpace::set_page_bytes(const Region& region) {
  std::memset(page_permissions_ + region.first, region.permissions | (region.is_mixed() ? kMixed : 0), region.pages());
  if (tracks()) note_dirty_pages(base_, region.first, region.end);
}

void AddressSpace::change_tracked_page_bytes(const Region& region) {
  // What the host can write to may differ from now on; what becomes inaccessible is not looked at any more.
  const auto permissions = static_cast<std::uint8_t>(region.permissions | (region.is_mixed() ? kMixed : 0));
  const std::uint8_t kept = (permissions & kWrite) != 0 || permissions == kNone ? 0 : kCleanPage;
  for (Page page = region.first; page < region.end; ++page) {
    std::uint8_t& byte = page_permissions_[page];
    if (permissions == kNone && (byte & kCleanPage) == 0) has_hidden_changes_ = true;
    byte = static_cast<std::uint8_t>(permissions | (byte & kept));
  }
  if (permissions != kNone) note_dirty_pages(base_, region.first, region.end);
}

void AddressSpace::clear_page_bytes(const Region& region) {
  // Where nothing was accessible the bytes are zero already; writing them would only cost memory.
  if (region.permissions != kNone) std::memset(page_permissions_ + region.first, 0, region.pages());
}

void AddressSpace::announce_code_change(std::uint32_t first, std::uint32_t end, bool becomes_code) {
  if (observers_.empty()) return;
  if (becomes_code) {
    tell_observers(first, end - first);
    return;
  }
  for (const Region& region : regions_->overlapping(first, end)) {
    if (!region.is_executable()) continue;
    const Region part = clipped(region, first, end);
    tell_observers(part.first, part.pages());
  }
}

void AddressSpace::record_unmapped(std::uint32_t first, std::uint32_t end) {
  for (const Region& region : regions_->overlapping(first, end)) clear_page_bytes(clipped(region, first, end));
  account(committed_within(first, end), 0);
  regions_->erase(first, end);
  if (tracks()) shared_regions_->erase(first, end);
}

void AddressSpace::record_mapped(const Region& region) {
  record_unmapped(region.first, region.end);
  if (region.permissions != kNone) set_page_bytes(region);
  if (region.permissions == kNone && region.committed) has_hidden_changes_ = true;
  account(0, region.committed ? region.pages() * kPageSize : 0);
  regions_->insert(region);
}

MapStatus AddressSpace::place(Staging& staging, const Region& region) {
  announce_code_change(region.first, region.end, region.is_executable());
  switch (staging.place(base_ + region.first * kPageSize)) {
    case Staging::Placed::kYes:
      record_mapped(region);
      tell_replaced(region.first, region.end);
      return MapStatus::kOk;
    case Staging::Placed::kLost:
      record_unmapped(region.first, region.end);
      tell_replaced(region.first, region.end);
      return MapStatus::kNoMemory;
    case Staging::Placed::kRefused:
      break;
  }
  return MapStatus::kNoMemory;
}

// --- mapping ---

MapStatus AddressSpace::admit(Region& region, std::string_view name) {
  region.committed = region.permissions != kNone;
  const std::uint64_t added = region.committed ? region.pages() * kPageSize : 0;
  if (!fits(committed_within(region.first, region.end), added) || !prepare(2)) return MapStatus::kNoMemory;
  const std::optional<const std::string*> interned = regions_->intern(name);
  if (!interned) return MapStatus::kNoMemory;
  region.name = *interned;
  return MapStatus::kOk;
}

MapStatus AddressSpace::map_anonymous(std::uint64_t address, std::uint64_t length, Permissions permissions, bool shared,
                                      std::string_view name) {
  CAISSON_PERF_SCOPE(grow_counter);
  const std::optional<PageRange> range = page_range(address, length);
  if (!range) return MapStatus::kInvalid;
  Region region{.first = range->first, .end = range->end, .permissions = permissions, .shared = shared};
  if (const MapStatus status = admit(region, name); status != MapStatus::kOk) return status;
  if (shared) {
    region.object = next_object_++;
    Staging staging = Staging::shared_pages(length, permissions);
    return staging ? place(staging, region) : MapStatus::kNoMemory;
  }
  announce_code_change(range->first, range->end, region.is_executable());
  std::uint8_t* const begin = base_ + address;
  // What is free reads as zero already and only has to become accessible.
  const bool mapped = !regions_->is_free(range->first, range->end)
                          ? make_zero_pages(begin, length, permissions)
                          : permissions == kNone || mprotect(begin, length, host_protection(permissions)) == 0;
  if (!mapped) return MapStatus::kNoMemory;
  record_mapped(region);
  tell_replaced(range->first, range->end, true);
  return MapStatus::kOk;
}

MapStatus AddressSpace::map_file(std::uint64_t address, std::uint64_t length, Permissions permissions, bool shared,
                                 int fd, std::uint64_t offset, std::string_view name) {
  constexpr std::uint64_t kMaximumOffset = std::numeric_limits<off_t>::max();
  const std::optional<PageRange> range = page_range(address, length);
  if (!range || offset % kPageSize != 0 || offset > kMaximumOffset - length) return MapStatus::kInvalid;
  const bool sealed = !shared && is_sealed(fd);
  const bool copies = !shared && !sealed && (permissions & kExecute) != 0;
  Region region{.first = range->first,
                .end = range->end,
                .permissions = permissions,
                .backing = copies   ? Backing::kFileCopy
                           : sealed ? Backing::kSealedFile
                                    : Backing::kFile,
                .shared = shared,
                .offset = offset};
  if (const MapStatus status = admit(region, name); status != MapStatus::kOk) return status;
  region.object = next_object_++;
  if (!copies) {
    Staging staging = Staging::file(length, permissions, shared, fd, offset);
    return staging ? place(staging, region) : status_of_host_error();
  }
  Staging staging = Staging::zero_pages(length);
  if (!staging) return MapStatus::kNoMemory;
  if (!read_file(fd, offset, staging.begin(), length)) return MapStatus::kIo;
  return staging.protect(permissions) ? place(staging, region) : MapStatus::kNoMemory;
}

MapStatus AddressSpace::unmap(std::uint64_t address, std::uint64_t length) {
  const std::optional<PageRange> range = page_range(address, length);
  if (!range) return MapStatus::kInvalid;
  const std::span<const Region> affected = regions_->overlapping(range->first, range->end);
  if (affected.empty()) return MapStatus::kOk;
  const bool splits = affected.front().first < range->first && affected.front().end > range->end;
  // Invalidates `affected`.
  if (!prepare(splits ? 1 : 0)) return MapStatus::kNoMemory;
  announce_code_change(range->first, range->end, false);
  if (!make_reserve(base_ + address, length)) return MapStatus::kNoMemory;
  record_unmapped(range->first, range->end);
  tell_replaced(range->first, range->end);
  return MapStatus::kOk;
}

bool AddressSpace::detach_from_file(const Region& part) {
  Region copy = part;
  copy.backing = Backing::kFileCopy;
  Staging staging = Staging::copy(base_ + part.first * kPageSize, part.pages() * kPageSize, part.permissions);
  return staging && place(staging, copy) == MapStatus::kOk;
}

MapStatus AddressSpace::protect(std::uint64_t address, std::uint64_t length, Permissions permissions) {
  const std::optional<PageRange> range = page_range(address, length);
  if (!range) return MapStatus::kInvalid;
  const auto [first, end] = *range;
  if (!regions_->covers(first, end)) return MapStatus::kNotMapped;
  const std::uint64_t credited = committed_within(first, end);
  const std::uint64_t committed = permissions == kNone ? credited : length;
  if (!fits(credited, committed) || !prepare(2)) return MapStatus::kNoMemory;

  if ((permissions & kExecute) != 0) {
    // Found anew after each step, since detaching changes the list.
    for (Page page = first; page < end;) {
      const Region part = clipped(regions_->overlapping(page, end).front(), page, end);
      if (part.backing == Backing::kFile && !part.shared && !detach_from_file(part)) return MapStatus::kNoMemory;
      page = part.end;
    }
  }

  const bool becomes_code = (permissions & kExecute) != 0 &&
                            std::ranges::any_of(regions_->overlapping(first, end), [permissions](const Region& region) {
                              return region.permissions != permissions;
                            });
  const bool stays_code = (permissions & kExecute) != 0 && !becomes_code;
  if (!stays_code) announce_code_change(first, end, becomes_code);
  if (mprotect(base_ + address, length, host_protection(permissions)) != 0) {
    const MapStatus status = errno == ENOMEM ? MapStatus::kNoMemory : MapStatus::kIo;
    restore_protection(first, end);
    return status;
  }
  account(credited, committed);
  regions_->update(first, end, [this, permissions](Region& region) {
    const bool had_access = region.permissions != kNone;
    region.permissions = permissions;
    region.committed |= permissions != kNone;
    if (had_access && tracks()) {
      change_tracked_page_bytes(region);
    } else if (had_access || permissions != kNone) {
      set_page_bytes(region);
    }
  });
  if (memory_observer_ != nullptr) memory_observer_->pages_protected(first, end - first);
  return MapStatus::kOk;
}

void AddressSpace::restore_protection(std::uint32_t first, std::uint32_t end) {
  // mprotect stops at the kernel mapping that it cannot change; those before it were changed whole, so this needs no split.
  for (const Region& region : regions_->overlapping(first, end)) {
    const Region part = clipped(region, first, end);
    if (!tracks() || (part.permissions & kWrite) == 0) {
      mprotect(base_ + part.first * kPageSize, part.pages() * kPageSize, host_protection(part.permissions));
    } else {
      restore_tracked_protection(part);
    }
  }
}

void AddressSpace::restore_tracked_protection(const Region& part) {
  for (Page page = part.first; page < part.end;) {
    const Page first = page;
    const bool clean = (page_permissions_[page] & kCleanPage) != 0;
    while (page < part.end && ((page_permissions_[page] & kCleanPage) != 0) == clean) ++page;
    mprotect(base_ + first * kPageSize, (page - first) * kPageSize, clean ? PROT_READ : PROT_READ | PROT_WRITE);
  }
}

MapStatus AddressSpace::move(std::uint64_t from, std::uint64_t length, std::uint64_t to) {
  const std::optional<PageRange> source = page_range(from, length);
  const std::optional<PageRange> target = page_range(to, length);
  if (!source || !target || (source->first < target->end && target->first < source->end)) return MapStatus::kInvalid;
  // Erasing the source and replacing the target may each split a region.
  if (!prepare(3)) return MapStatus::kNoMemory;
  const std::span<const Region> covering = regions_->overlapping(source->first, source->end);
  if (covering.size() != 1 || !regions_->covers(source->first, source->end)) return MapStatus::kNotMapped;

  Region moved = clipped(covering.front(), source->first, source->end);
  announce_code_change(source->first, source->end, false);
  // What is the base's for the host is copied: elsewhere it would be a kernel mapping that the books do not show.
  const bool takes = !tracks() || shared_regions_->is_free(source->first, source->end);
  Staging staging = moved.shared ? Staging::duplicate(base_ + from, length)
                    : takes      ? Staging::take(base_ + from, length)
                                 : Staging();
  if (!staging && !moved.shared) {
    // The region is made of several kernel mappings, or of a file's pages, which not every kernel moves without unmapping.
    staging = Staging::copy(base_ + from, length, moved.permissions);
    if (moved.backing != Backing::kAnonymous) moved.backing = Backing::kFileCopy;
  }
  if (!staging) return MapStatus::kNoMemory;
  moved.first = target->first;
  moved.end = target->end;
  if (const MapStatus status = place(staging, moved); status != MapStatus::kOk) {
    if (!staging.put_back(moved.permissions)) record_unmapped(source->first, source->end);
    tell_replaced(source->first, source->end);
    return status;
  }
  // Where the host refuses this, the source stays mapped, without its contents, and is accounted for.
  if (make_reserve(base_ + from, length)) record_unmapped(source->first, source->end);
  tell_replaced(source->first, source->end);
  return MapStatus::kOk;
}

bool AddressSpace::discard_shared(const Region& part) {
  // Without its pages, memory that the base is behind would read as the base again. Few pages become zero where they are, since each
  // hole in what is the base's is another kernel mapping.
  constexpr Page kFewPages = 64;
  if (part.permissions != kNone && part.pages() <= kFewPages) {
    for (Page page = part.first; page < part.end; ++page) {
      const bool is_zero = (page_permissions_[page] & kCleanPage) != 0 && memory_base_->page(page) == nullptr;
      if (!is_zero && !put_page(page, nullptr)) return false;
    }
    return true;
  }
  if (!make_zero_pages(base_ + part.first * kPageSize, part.pages() * kPageSize, part.permissions)) return false;
  shared_regions_->erase(part.first, part.end);
  if (part.permissions != kNone) set_page_bytes(part);
  return true;
}

MapStatus AddressSpace::discard(std::uint64_t address, std::uint64_t length) {
  const std::optional<PageRange> range = page_range(address, length);
  if (!range) return MapStatus::kInvalid;
  const auto [first, end] = *range;
  if (!regions_->covers(first, end)) return MapStatus::kNotMapped;
  // Where pages are tracked each part may split what is left of the base.
  if (!prepare(tracks() ? regions_->overlapping(first, end).size() + 2 : 2)) return MapStatus::kNoMemory;
  announce_code_change(first, end, false);
  tell_replaced(first, end);
  for (const Region& region : regions_->overlapping(first, end)) {
    const Region part = clipped(region, first, end);
    if (!can_discard(part)) continue;
    if (tracks() && !shared_regions_->is_free(part.first, part.end)) {
      if (!discard_shared(part)) return MapStatus::kNoMemory;
      continue;
    }
    if (madvise(base_ + part.first * kPageSize, part.pages() * kPageSize, MADV_DONTNEED) != 0)
      return MapStatus::kNoMemory;
  }
  const std::uint64_t credited = committed_within(first, end);
  regions_->update(first, end, [](Region& region) {
    // The pages of shared memory stay with whatever else may map it.
    if (region.permissions == kNone && can_discard(region) && !region.shared) region.committed = false;
  });
  account(credited, committed_within(first, end));
  return MapStatus::kOk;
}

MapStatus AddressSpace::sync(std::uint64_t address, std::uint64_t length) {
  const std::optional<PageRange> range = page_range(address, length);
  if (!range) return MapStatus::kInvalid;
  const auto [first, end] = *range;
  if (!regions_->covers(first, end)) return MapStatus::kNotMapped;
  for (const Region& region : regions_->overlapping(first, end)) {
    if (!region.shared || region.backing != Backing::kFile) continue;
    const Region part = clipped(region, first, end);
    if (msync(base_ + part.first * kPageSize, part.pages() * kPageSize, MS_SYNC) != 0) return MapStatus::kIo;
  }
  return MapStatus::kOk;
}

// --- questions ---

std::optional<std::uint64_t> AddressSpace::find_free(std::uint64_t length, std::uint64_t low,
                                                     std::uint64_t high) const {
  if (length == 0 || length > kWindowSize || low > kHighestAddress) return std::nullopt;
  const auto pages = static_cast<Page>((length + kPageSize - 1) / kPageSize);
  const auto low_page = static_cast<Page>((low + kPageSize - 1) / kPageSize);
  const auto high_page = static_cast<Page>(std::min(high, kHighestAddress) / kPageSize);
  const std::optional<Page> found = regions_->find_free(pages, low_page, high_page);
  if (!found) return std::nullopt;
  return *found * kPageSize;
}

bool AddressSpace::is_free(std::uint64_t address, std::uint64_t length) const {
  const std::optional<PageRange> range = page_range(address, length);
  return range && regions_->is_free(range->first, range->end);
}

bool AddressSpace::is_mapped(std::uint64_t address, std::uint64_t length) const {
  const std::optional<PageRange> range = page_range(address, length);
  return range && regions_->covers(range->first, range->end);
}

std::vector<Mapping> AddressSpace::mappings() const { return describe(regions_->all()); }

std::vector<Mapping> AddressSpace::mappings(std::uint64_t address, std::uint64_t length) const {
  const std::optional<PageRange> range = page_range(address, length);
  if (!range) return {};
  return describe(regions_->overlapping(range->first, range->end));
}

// --- access on a guest's behalf ---

std::size_t AddressSpace::read(std::uint64_t address, void* to, std::size_t length) const {
  const std::size_t reachable = within_window(address, length);
  if (reachable == 0) return 0;
  const std::uint8_t* const from = base_ + address;
  return reachable - guarded_copy(to, from, reachable, from);
}

std::size_t AddressSpace::write(std::uint64_t address, const void* from, std::size_t length) {
  const std::size_t reachable = within_window(address, length);
  if (reachable == 0) return 0;
  prepare_host_write(address, reachable);
  note_host_write(address, reachable);
  std::uint8_t* const to = base_ + address;
  return reachable - guarded_copy(to, from, reachable, to);
}

void AddressSpace::prepare_host_write(std::uint64_t address, std::size_t length) {
  const std::size_t reachable = tracks() ? within_window(address, length) : 0;
  if (reachable == 0) return;
  // Where the host refuses, the write fails as on a page that is not writable.
  make_pages_writable(base_, static_cast<Page>(address / kPageSize),
                      static_cast<Page>((address + reachable - 1) / kPageSize + 1));
}

void AddressSpace::note_host_write(std::uint64_t address, std::size_t length) {
  const std::size_t reachable = within_window(address, length);
  if (reachable == 0) return;
  if (memory_observer_ != nullptr) memory_observer_->bytes_written(address, reachable);
  if (observers_.empty()) return;
  const auto end = static_cast<Page>((address + reachable - 1) / kPageSize + 1);
  for (auto page = static_cast<Page>(address / kPageSize); page < end; ++page) {
    if ((page_permissions_[page] & kExecute) == 0) continue;
    const Page first = page;
    while (page < end && (page_permissions_[page] & kExecute) != 0) ++page;
    tell_observers(first, page - first);
  }
}

std::optional<std::string> AddressSpace::read_string(std::uint64_t address, std::size_t limit) const {
  std::string text;
  while (text.size() <= limit) {
    // Page by page, since what follows the NUL may be inaccessible.
    char chunk[kPageSize];
    const std::size_t to_page_end = kPageSize - address % kPageSize;
    const std::size_t wanted = std::min(to_page_end, limit + 1 - text.size());
    const std::size_t count = read(address, chunk, wanted);
    const std::string_view bytes(chunk, count);
    const std::size_t terminator = bytes.find('\0');
    text.append(bytes.substr(0, terminator));
    if (terminator != std::string_view::npos) return text;
    if (count < wanted) return std::nullopt;
    address += count;
  }
  return text;
}

}  // namespace caisson::memory
