// What is mapped where in one window: an ordered list of regions, and nothing of the host.
//
// AddressSpace decides and calls the host; RegionMap only keeps the books, so that it can be tested alone. Regions are disjoint
// and neighbours that are alike are merged. They lie in one sorted array: a guest has tens of them, at most kMaximumRegions, and
// one array is quicker to search, walk and change than a tree of that size. prepare() makes room beforehand, so that the changes
// themselves cannot fail: the host has already done its part by then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/address_space.h"

namespace caisson::memory {

// Numbers of pages, as in AddressSpace: page = address >> 12. An end is exclusive.
using Page = std::uint32_t;

inline constexpr Page kPageCount = static_cast<Page>(kWindowSize / kPageSize);
inline constexpr Page kLowestPage = static_cast<Page>(kLowestAddress / kPageSize);
inline constexpr Page kHighestPage = static_cast<Page>(kHighestAddress / kPageSize);

// What the host has behind a region.
enum class Backing : std::uint8_t {
  kAnonymous,
  kFile,  // the file's own pages
  kSealedFile,  // the same of a file that nobody can change any more, so that its pages may hold code
  kFileCopy,  // anonymous memory into which the file's bytes were read, since code must not change behind the decoder
};

struct Region {
  Page first = 0;
  Page end = 0;
  Permissions permissions = kNone;
  Backing backing = Backing::kAnonymous;
  bool shared = false;
  // Counts against the commit limit: pages that are accessible, or were and may still hold what was written then.
  bool committed = false;
  // Tells apart what must not be merged: one number per shared or file mapping; 0 for private anonymous memory.
  std::uint32_t object = 0;
  std::uint64_t offset = 0;  // of `first` in that object, bytes
  const std::string* name = nullptr;

  Page pages() const { return end - first; }
  bool is_executable() const { return (permissions & kExecute) != 0; }
  // May change without a call to CodeObserver.
  bool is_mixed() const { return is_executable() && (shared || (permissions & kWrite) != 0); }
};

// Whether two regions are one when they are neighbours.
bool continues(const Region& lower, const Region& upper);

class RegionMap {
 public:
  static constexpr std::size_t kMaximumRegions = 16'000;
  // A guest chooses the names, by the paths that it maps.
  static constexpr std::size_t kMaximumNameBytes = std::size_t{1} << 20;

  // Makes room for one change that leaves at most `additional` regions more; false where the budget or the host's memory is
  // exhausted.
  bool prepare(std::size_t additional);

  // The regions that touch [first, end), whole.
  std::span<const Region> overlapping(Page first, Page end) const;
  bool covers(Page first, Page end) const;
  bool is_free(Page first, Page end) const { return overlapping(first, end).empty(); }
  std::span<const Region> all() const { return regions_; }

  // The highest free range of `pages` within [low, high).
  std::optional<Page> find_free(Page pages, Page low, Page high) const;

  // Forgets [first, end); a hole in the middle of a region makes one more.
  void erase(Page first, Page end);
  // Adds a region over free pages.
  void insert(const Region& region);
  // Applies `change` to the parts of regions within [first, end); may leave two regions more.
  template <class Change>
  void update(Page first, Page end, Change change) {
    const std::size_t begin = split_at(first);
    const std::size_t limit = split_at(end);
    for (std::size_t i = begin; i < limit; ++i) change(regions_[i]);
    merge(begin, limit);
  }

  // A copy of `name` that lasts while a region bears it, from the next change on. nullptr for no name, also where the guest has named
  // too much; nullopt where the host's memory is exhausted.
  std::optional<const std::string*> intern(std::string_view name);

 private:
  static constexpr std::size_t kNamesBetweenSweeps = 1024;

  std::size_t first_ending_after(Page page) const;
  // Makes `page` a boundary between regions and returns the index of the first region at or above it.
  std::size_t split_at(Page page);
  // Joins alike neighbours among regions [begin - 1, end + 1).
  void merge(std::size_t begin, std::size_t end);
  void drop_unused_names();

  std::vector<Region> regions_;
  std::set<std::string, std::less<>> names_;
  std::size_t name_bytes_ = 0;
  std::size_t names_since_sweep_ = 0;

  // What the last search found out: of the gaps within [0, full_below_), none that ends above full_above_ holds full_pages_.
  // So the usual allocation from the top down does not look at all regions every time.
  mutable Page full_above_ = kPageCount;
  mutable Page full_below_ = 0;
  mutable Page full_pages_ = 0;
};

// The part of `region` that lies within [first, end), its offset included.
Region clipped(const Region& region, Page first, Page end);

}  // namespace caisson::memory
