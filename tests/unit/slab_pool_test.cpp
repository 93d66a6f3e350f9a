#include "base/slab_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace caisson::base {
namespace {

constexpr std::size_t kBlock = 4160, kAlignment = 64;
constexpr std::size_t kBlocksInSlab = SlabPool::kSlabBytes / kBlock - 1;  // at least

// Pools never end.
SlabPool& new_pool(std::size_t size = kBlock, std::size_t alignment = kAlignment) {
  static auto* const kept = new std::vector<SlabPool*>;
  kept->push_back(new SlabPool(size, alignment));
  return *kept->back();
}

TEST(SlabPool, BlocksAreAlignedAndApart) {
  for (const std::size_t alignment : {8U, 64U, 4096U}) {
    SlabPool& pool = new_pool(kBlock, alignment);
    std::set<std::uintptr_t> places;
    for (std::size_t i = 0; i < 2 * kBlocksInSlab; ++i) {
      void* const block = pool.take();
      std::memset(block, static_cast<int>(i), kBlock);
      places.insert(reinterpret_cast<std::uintptr_t>(block));
    }
    ASSERT_EQ(places.size(), 2 * kBlocksInSlab);
    std::uintptr_t before = 0;
    for (const std::uintptr_t place : places) {
      EXPECT_EQ(place % alignment, 0U);
      EXPECT_TRUE(before == 0 || place - before >= kBlock);
      before = place;
    }
    for (const std::uintptr_t place : places) pool.give(reinterpret_cast<void*>(place));
  }
}

TEST(SlabPool, FreeBlocksAreTakenBeforeNewSlabs) {
  SlabPool& pool = new_pool();
  std::vector<void*> blocks;
  for (std::size_t i = 0; i < 3 * kBlocksInSlab; ++i) blocks.push_back(pool.take());
  const std::size_t slabs = pool.slab_count();
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::ranges::shuffle(blocks, random);
    for (std::size_t i = 0; i < blocks.size() / 2; ++i) pool.give(blocks[i]);
    for (std::size_t i = 0; i < blocks.size() / 2; ++i) blocks[i] = pool.take();
    EXPECT_LE(pool.slab_count(), slabs);
  }
  EXPECT_EQ(std::set<void*>(blocks.begin(), blocks.end()).size(), blocks.size());
  for (void* const block : blocks) pool.give(block);
  EXPECT_LE(pool.slab_count(), SlabPool::kSpareSlabs);
}

TEST(SlabPool, ASlabThatIsFreeAndTakenAgainIsKept) {
  SlabPool& pool = new_pool();
  for (int round = 0; round < 1000; ++round) pool.give(pool.take());
  EXPECT_EQ(pool.slab_count(), 1U);
}

TEST(SlabPool, ThreadsShareIt) {
  SlabPool& pool = new_pool();
  const auto work = [&pool](std::uint8_t mark) {
    std::vector<std::uint8_t*> blocks;
    for (int round = 0; round < 200; ++round) {
      for (int i = 0; i < 10; ++i) {
        auto* const block = static_cast<std::uint8_t*>(pool.take());
        std::memset(block, mark, kBlock);
        blocks.push_back(block);
      }
      for (int i = 0; i < 8; ++i) {
        EXPECT_EQ(blocks.back()[0], mark);
        EXPECT_EQ(blocks.back()[kBlock - 1], mark);
        pool.give(blocks.back());
        blocks.pop_back();
      }
    }
    for (std::uint8_t* const block : blocks) pool.give(block);
  };
  std::thread other(work, std::uint8_t{1});
  work(2);
  other.join();
  EXPECT_LE(pool.slab_count(), SlabPool::kSpareSlabs);
}

TEST(SlabPool, SharedObjectsLiveInIt) {
  struct Page {
    alignas(64) std::array<std::uint8_t, 4096> bytes;
  };
  std::vector<std::shared_ptr<Page>> pages;
  for (int i = 0; i < 1500; ++i) {
    pages.push_back(std::allocate_shared<Page>(SlabAllocator<Page>()));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pages.back().get()) % 64, 0U);
    pages.back()->bytes.fill(static_cast<std::uint8_t>(i));
  }
  for (int i = 0; i < 1500; ++i)
    EXPECT_EQ(pages[static_cast<std::size_t>(i)]->bytes[4095], static_cast<std::uint8_t>(i));
}

}  // namespace
}  // namespace caisson::base
