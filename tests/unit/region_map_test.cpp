// The books of a window against a list of single pages.
#include "memory/region_map.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <string>

namespace caisson::memory {
namespace {

constexpr Page kStart = 0x400;
constexpr Page kSpan = 96;

Region region(Page first, Page end, Permissions permissions = kRead) {
  return {.first = first, .end = end, .permissions = permissions};
}

TEST(RegionMap, AlikeNeighboursBecomeOneRegion) {
  RegionMap map;
  ASSERT_TRUE(map.prepare(3));
  map.insert(region(20, 30));
  map.insert(region(40, 50));
  map.insert(region(30, 40));
  ASSERT_EQ(map.all().size(), 1u);
  EXPECT_EQ(map.all()[0].first, 20u);
  EXPECT_EQ(map.all()[0].end, 50u);
}

TEST(RegionMap, PartsOfOneFileMergeOnlyInOrder) {
  RegionMap map;
  ASSERT_TRUE(map.prepare(4));
  Region lower = region(20, 22);
  lower.backing = Backing::kFile;
  lower.object = 1;
  lower.offset = 0;
  Region upper = lower;
  upper.first = 22;
  upper.end = 24;
  upper.offset = kPageSize;
  map.insert(lower);
  map.insert(upper);
  EXPECT_EQ(map.all().size(), 2u) << "offsets do not continue";
  map.erase(22, 24);
  upper.offset = 2 * kPageSize;
  map.insert(upper);
  EXPECT_EQ(map.all().size(), 1u);
  map.erase(21, 22);
  ASSERT_EQ(map.all().size(), 2u);
  EXPECT_EQ(map.all()[1].offset, 2 * kPageSize) << "a part keeps its place in the file";
}

TEST(RegionMap, TheBudgetIsBoundedAndRemovingIsAlwaysPossible) {
  RegionMap map;
  Page next = kLowestPage;
  while (map.prepare(1)) {
    map.insert(region(next, next + 2));
    next += 3;
  }
  EXPECT_EQ(map.all().size(), RegionMap::kMaximumRegions);
  ASSERT_TRUE(map.prepare(0));
  map.erase(kLowestPage, kLowestPage + 2);
  EXPECT_EQ(map.all().size(), RegionMap::kMaximumRegions - 1);
}

TEST(RegionMap, NamesLastWhileTheyAreUsed) {
  RegionMap map;
  ASSERT_TRUE(map.prepare(1));
  Region named = region(20, 30);
  named.name = map.intern("[stack]").value();
  map.insert(named);
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(map.intern("file" + std::to_string(i)));
  EXPECT_EQ(*map.all()[0].name, "[stack]");
  EXPECT_EQ(map.intern("[stack]").value(), named.name);
  EXPECT_EQ(map.intern("").value(), nullptr);
}

TEST(RegionMap, NamesAreBounded) {
  RegionMap map;
  std::size_t bytes = 0;
  Page page = kLowestPage;
  for (int i = 0; i < 2000; ++i, page += 2) {
    const std::optional<const std::string*> name = map.intern(std::string(1000, 'x') + std::to_string(i));
    ASSERT_TRUE(name);
    if (*name == nullptr) break;
    bytes += (*name)->size();
    ASSERT_TRUE(map.prepare(1));
    Region named = region(page, page + 1);
    named.name = *name;
    map.insert(named);
  }
  EXPECT_GT(bytes, RegionMap::kMaximumNameBytes / 2);
  EXPECT_LE(bytes, RegionMap::kMaximumNameBytes);
  EXPECT_EQ(map.intern(std::string(2000, 'y')).value(), nullptr) << "a region without its name, not a failure";
  // Names that no region bears any more make room again.
  map.erase(kLowestPage, kHighestPage);
  for (int i = 0; i < 1100; ++i) ASSERT_TRUE(map.intern("z" + std::to_string(i)));
  EXPECT_NE(map.intern(std::string(2000, 'y')).value(), nullptr);
}

// What a RegionMap stands for: one entry a page.
class Model {
 public:
  struct Entry {
    bool mapped = false;
    Permissions permissions = kNone;
    std::uint32_t object = 0;
    std::uint64_t offset = 0;
  };

  Entry& operator[](Page page) { return entries_[page - kStart]; }

  bool is_free(Page first, Page end) const {
    for (Page page = first; page < end; ++page) {
      if (entries_[page - kStart].mapped) return false;
    }
    return true;
  }

  std::optional<Page> find_free(Page pages, Page low, Page high) const {
    for (Page first = high; first-- > low;) {
      if (first + pages <= high && is_free(first, first + pages)) return first;
    }
    return std::nullopt;
  }

 private:
  std::array<Entry, kSpan> entries_{};
};

void expect_same(const RegionMap& map, Model& model) {
  std::map<Page, Region> by_page;
  for (std::size_t i = 0; i < map.all().size(); ++i) {
    const Region& part = map.all()[i];
    ASSERT_LT(part.first, part.end);
    if (i > 0) ASSERT_LE(map.all()[i - 1].end, part.first);
    for (Page page = part.first; page < part.end; ++page) by_page[page] = clipped(part, page, page + 1);
  }
  for (Page page = kStart; page < kStart + kSpan; ++page) {
    const auto found = by_page.find(page);
    ASSERT_EQ(found != by_page.end(), model[page].mapped) << page;
    if (!model[page].mapped) continue;
    ASSERT_EQ(found->second.permissions, model[page].permissions);
    ASSERT_EQ(found->second.object, model[page].object);
    ASSERT_EQ(found->second.offset, model[page].offset);
  }
}

TEST(RegionMap, RandomChangesAgainstSinglePages) {
  std::mt19937 random(20240611);
  const auto below = [&random](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
  RegionMap map;
  Model model;
  std::uint32_t next_object = 1;
  for (int step = 0; step < 20'000; ++step) {
    const Page first = kStart + below(kSpan);
    const Page end = first + 1 + below(std::min<std::uint32_t>(kStart + kSpan - first, 1 + below(24)));
    ASSERT_TRUE(map.prepare(2));
    switch (below(4)) {
      case 0: {
        Region added = region(first, end, static_cast<Permissions>(below(3)));
        if (below(2) == 0) added.object = next_object++;
        map.erase(first, end);
        map.insert(added);
        for (Page page = first; page < end; ++page) {
          model[page] = {.mapped = true,
                         .permissions = added.permissions,
                         .object = added.object,
                         .offset = added.object == 0 ? 0 : (page - first) * kPageSize};
        }
        break;
      }
      case 1:
        map.erase(first, end);
        for (Page page = first; page < end; ++page) model[page] = {};
        break;
      case 2: {
        const auto permissions = static_cast<Permissions>(below(3));
        map.update(first, end, [permissions](Region& part) { part.permissions = permissions; });
        for (Page page = first; page < end; ++page) {
          if (model[page].mapped) model[page].permissions = permissions;
        }
        break;
      }
      default: {
        // Mostly the same bounds, as a guest's mmap has them.
        const bool usual = below(4) != 0;
        const Page low = usual ? kStart : kStart + below(kSpan);
        const Page high = usual ? kStart + kSpan : low + below(kStart + kSpan - low) + 1;
        const Page pages = 1 + below(12);
        ASSERT_EQ(map.find_free(pages, low, high), model.find_free(pages, low, high)) << step;
        break;
      }
    }
    ASSERT_EQ(map.is_free(first, end), model.is_free(first, end));
    if (step % 16 == 0) expect_same(map, model);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace caisson::memory
