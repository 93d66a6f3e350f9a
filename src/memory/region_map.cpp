#include "memory/region_map.h"

#include <algorithm>
#include <new>

namespace caisson::memory {

bool continues(const Region& lower, const Region& upper) {
  if (lower.end != upper.first || lower.permissions != upper.permissions || lower.backing != upper.backing ||
      lower.shared != upper.shared || lower.committed != upper.committed || lower.object != upper.object ||
      lower.name != upper.name) {
    return false;
  }
  return lower.object == 0 || lower.offset + lower.pages() * kPageSize == upper.offset;
}

Region clipped(const Region& region, Page first, Page end) {
  Region part = region;
  part.first = std::max(region.first, first);
  part.end = std::min(region.end, end);
  if (part.object != 0) part.offset += (part.first - region.first) * kPageSize;
  return part;
}

bool RegionMap::prepare(std::size_t additional) {
  if (regions_.size() + additional > kMaximumRegions) return false;
  // Both ends of a range may split a region, even where the change removes more than it adds.
  const std::size_t needed = regions_.size() + additional + 2;
  if (needed <= regions_.capacity()) return true;
  try {
    regions_.reserve(std::max(needed, regions_.capacity() * 2));
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

std::size_t RegionMap::first_ending_after(Page page) const {
  const auto found = std::partition_point(regions_.begin(), regions_.end(),
                                          [page](const Region& region) { return region.end <= page; });
  return static_cast<std::size_t>(found - regions_.begin());
}

std::span<const Region> RegionMap::overlapping(Page first, Page end) const {
  const std::size_t begin = first_ending_after(first);
  std::size_t limit = begin;
  while (limit < regions_.size() && regions_[limit].first < end) ++limit;
  return std::span(regions_).subspan(begin, limit - begin);
}

bool RegionMap::covers(Page first, Page end) const {
  Page reached = first;
  for (const Region& region : overlapping(first, end)) {
    if (region.first > reached) return false;
    reached = region.end;
  }
  return reached >= end;
}

std::optional<Page> RegionMap::find_free(Page pages, Page low, Page high) const {
  low = std::max(low, kLowestPage);
  high = std::min(high, kHighestPage);
  if (pages == 0 || low >= high || high - low < pages) return std::nullopt;

  const bool skips = pages >= full_pages_ && full_above_ < high && high <= full_below_;
  Page gap_end = skips ? full_above_ : high;
  // The first region that does not end below gap_end; gaps lie below it.
  std::size_t index = first_ending_after(gap_end - 1);
  if (index < regions_.size() && regions_[index].first < gap_end) gap_end = regions_[index].first;

  std::optional<Page> found;
  while (true) {
    const Page gap_first = std::max(index == 0 ? low : regions_[index - 1].end, low);
    if (gap_end >= gap_first && gap_end - gap_first >= pages) {
      found = gap_end - pages;
      break;
    }
    if (index == 0 || gap_first == low || regions_[index - 1].first <= low) break;
    --index;
    gap_end = regions_[index].first;
  }
  if (found) {
    full_above_ = *found + pages;
    full_pages_ = pages;
    if (!skips) full_below_ = high;
  }
  return found;
}

std::size_t RegionMap::split_at(Page page) {
  const std::size_t index = first_ending_after(page);
  if (index == regions_.size() || regions_[index].first >= page) return index;
  const Region whole = regions_[index];
  regions_[index] = clipped(whole, whole.first, page);
  regions_.insert(regions_.begin() + static_cast<std::ptrdiff_t>(index) + 1, clipped(whole, page, whole.end));
  return index + 1;
}

void RegionMap::merge(std::size_t begin, std::size_t end) {
  const std::size_t limit = std::min(end + 1, regions_.size());
  std::size_t kept = begin == 0 ? 0 : begin - 1;
  if (kept >= limit) return;
  for (std::size_t i = kept + 1; i < limit; ++i) {
    if (continues(regions_[kept], regions_[i])) {
      regions_[kept].end = regions_[i].end;
    } else {
      regions_[++kept] = regions_[i];
    }
  }
  regions_.erase(regions_.begin() + static_cast<std::ptrdiff_t>(kept) + 1,
                 regions_.begin() + static_cast<std::ptrdiff_t>(limit));
}

void RegionMap::erase(Page first, Page end) {
  const std::size_t begin = split_at(first);
  const std::size_t limit = split_at(end);
  regions_.erase(regions_.begin() + static_cast<std::ptrdiff_t>(begin),
                 regions_.begin() + static_cast<std::ptrdiff_t>(limit));
  // The new gap may reach up to the region above it.
  const Page gap_end = begin < regions_.size() ? regions_[begin].first : kHighestPage;
  if (gap_end > full_above_) full_above_ = kPageCount;
}

void RegionMap::insert(const Region& region) {
  const std::size_t index = first_ending_after(region.first);
  regions_.insert(regions_.begin() + static_cast<std::ptrdiff_t>(index), region);
  merge(index, index + 1);
}

std::optional<const std::string*> RegionMap::intern(std::string_view name) {
  if (name.empty()) return nullptr;
  try {
    if (const auto known = names_.find(name); known != names_.end()) return &*known;
    if (++names_since_sweep_ == kNamesBetweenSweeps) drop_unused_names();
    if (name.size() > kMaximumNameBytes - name_bytes_) return nullptr;
    const std::string* const added = &*names_.emplace(name).first;
    name_bytes_ += name.size();
    return added;
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
}

void RegionMap::drop_unused_names() {
  names_since_sweep_ = 0;
  std::vector<const std::string*> used;
  used.reserve(regions_.size());
  for (const Region& region : regions_) used.push_back(region.name);
  std::ranges::sort(used);
  std::erase_if(names_, [this, &used](const std::string& name) {
    const bool unused = !std::ranges::binary_search(used, &name);
    if (unused) name_bytes_ -= name.size();
    return unused;
  });
}

}  // namespace caisson::memory
