// How often each of many objects is referred to, by address.
//
// A table of its own since sealing an instance counts hundreds of pages and nodes: std::unordered_map takes 44 % of that time, most of it
// for its nodes (caisson bench call --filter seal). Open addressing with linear probing; entries are moved up when one is erased, so
// there are no tombstones (Knuth, The Art of Computer Programming 3, 6.4, algorithm R). At most 3/4 full, at least 1/8 where it is large.
//
// Thread safety: as for the containers of the library.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace caisson::store {

class PointerCounts {
 public:
  // One more of `item`, which is not null. Whether it is the first.
  bool up(const void* item) {
    if (4 * (size_ + 1) > 3 * entries_.size()) resize(entries_.empty() ? kFewest : 2 * entries_.size());
    Entry& entry = entries_[place_of(item)];
    if (entry.item == nullptr) {
      entry.item = item;
      ++size_;
    }
    return ++entry.count == 1;
  }

  // One less of `item`, which was counted. Whether it was the last.
  bool down(const void* item) {
    const std::size_t place = place_of(item);
    if (--entries_[place].count != 0) return false;
    erase(place);
    if (entries_.size() > kFewest && 8 * size_ < entries_.size()) resize(entries_.size() / 2);
    return true;
  }

  // Says that `item` will be counted soon: its entry is most likely in no cache.
  void prefetch(const void* item) const {
    if (!entries_.empty()) __builtin_prefetch(&entries_[home_of(item)], 1);
  }

  std::size_t size() const { return size_; }

 private:
  struct Entry {
    const void* item = nullptr;
    std::uint64_t count = 0;
  };
  static constexpr std::size_t kFewest = 64;

  // Objects lie at multiples of 16 or more; the multiplication spreads what is above over the highest bits.
  std::size_t home_of(const void* item) const {
    const std::uint64_t spread = (reinterpret_cast<std::uintptr_t>(item) >> 4) * 0x9E3779B97F4A7C15;
    return static_cast<std::size_t>(spread >> (64 - std::countr_zero(entries_.size())));
  }
  std::size_t next(std::size_t place) const { return (place + 1) & (entries_.size() - 1); }

  // Where it is, or the empty entry where it would be.
  std::size_t place_of(const void* item) const {
    std::size_t place = home_of(item);
    while (entries_[place].item != nullptr && entries_[place].item != item) place = next(place);
    return place;
  }

  void erase(std::size_t place) {
    --size_;
    for (std::size_t from = next(place); entries_[from].item != nullptr; from = next(from)) {
      // What would be looked for from behind the gap stays.
      const std::size_t home = home_of(entries_[from].item);
      const bool stays = place < from ? place < home && home <= from : place < home || home <= from;
      if (stays) continue;
      entries_[place] = entries_[from];
      place = from;
    }
    entries_[place] = Entry();
  }

  void resize(std::size_t capacity) {
    std::vector<Entry> before(capacity);
    before.swap(entries_);
    for (const Entry& entry : before) {
      if (entry.item != nullptr) entries_[place_of(entry.item)] = entry;
    }
  }

  std::vector<Entry> entries_;  // a power of two
  std::size_t size_ = 0;
};

}  // namespace caisson::store
