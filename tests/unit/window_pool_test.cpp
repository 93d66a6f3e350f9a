// Windows: guards, reuse that reads as zero, and what happens when the host has no more.
#include "memory/window_pool.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "memory/address_space.h"
#include "memory/fault_recovery.h"
#include "support/in_child.h"
#include "support/sanitizers.h"

namespace caisson::memory {
namespace {

using tests::in_child;

bool is_readable(const std::uint8_t* address) {
  std::uint64_t value = 0;
  return guarded_load64(address, &value);
}

class WindowPoolTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(install_fault_recovery()); }
};

TEST_F(WindowPoolTest, AWindowAndItsGuardsAreInaccessible) {
  WindowPool pool;
  const Result<Window> window = pool.acquire();
  ASSERT_TRUE(window);
  for (std::uint64_t offset = 0; offset < kGuardSize; offset += kPageSize) {
    ASSERT_FALSE(is_readable(window->base - kGuardSize + offset));
    ASSERT_FALSE(is_readable(window->base + kWindowSize + offset));
  }
  EXPECT_FALSE(is_readable(window->base - 8));
  EXPECT_FALSE(is_readable(window->base + kWindowSize + kGuardSize - 8));
  for (std::uint64_t address = 0; address < kWindowSize; address += std::uint64_t{64} << 20) {
    ASSERT_FALSE(is_readable(window->base + address));
  }
  EXPECT_TRUE(std::all_of(window->page_bytes, window->page_bytes + kWindowSize / kPageSize,
                          [](int byte) { return byte == 0; }));
  pool.release(*window, 0, 0);
}

TEST_F(WindowPoolTest, AnAccessAtTheLastByteReachesTheGuard) {
  WindowPool pool;
  const Result<Window> window = pool.acquire();
  ASSERT_TRUE(window);
  ASSERT_EQ(mprotect(window->base + kWindowSize - kPageSize, kPageSize, PROT_READ), 0);
  EXPECT_TRUE(is_readable(window->base + kWindowSize - 8));
  EXPECT_FALSE(is_readable(window->base + kWindowSize - 1));
  pool.release(*window, kWindowSize - kPageSize, kWindowSize);
}

TEST_F(WindowPoolTest, AReusedWindowIsEmpty) {
  WindowPool pool;
  Result<Window> window = pool.acquire();
  ASSERT_TRUE(window);
  std::uint8_t* const base = window->base;
  const std::uint64_t begin = 0x10000;
  const std::uint64_t end = kWindowSize - 0x10000;
  ASSERT_EQ(mprotect(base + begin, kPageSize, PROT_READ | PROT_WRITE), 0);
  ASSERT_EQ(mprotect(base + end - kPageSize, kPageSize, PROT_READ | PROT_WRITE), 0);
  base[begin] = base[end - 1] = 1;
  pool.release(*window, begin, end);

  window = pool.acquire();
  ASSERT_TRUE(window);
  ASSERT_EQ(window->base, base) << "the idle window is used again";
  EXPECT_FALSE(is_readable(base + begin));
  EXPECT_FALSE(is_readable(base + end - kPageSize));
  ASSERT_EQ(mprotect(base + begin, end - begin, PROT_READ | PROT_WRITE), 0);
  EXPECT_EQ(base[begin], 0);
  EXPECT_EQ(base[end - 1], 0);
  pool.release(*window, begin, end);
}

TEST_F(WindowPoolTest, KeepsNoMoreIdleWindowsThanItsLimit) {
  WindowPool pool(2);
  std::vector<Window> windows;
  for (int i = 0; i < 5; ++i) {
    const Result<Window> window = pool.acquire();
    ASSERT_TRUE(window);
    windows.push_back(*window);
  }
  EXPECT_EQ(pool.stats().in_use, 5u);
  for (const Window window : windows) pool.release(window, 0, 0);
  const WindowPoolStats stats = pool.stats();
  EXPECT_EQ(stats.reserved, 5u);
  EXPECT_EQ(stats.in_use, 0u);
  EXPECT_EQ(stats.idle, 2u);
  EXPECT_EQ(stats.released, 3u);
  EXPECT_EQ(stats.abandoned, 0u);
  const Result<Window> again = pool.acquire();
  ASSERT_TRUE(again);
  EXPECT_EQ(pool.stats().reused, 1u);
  pool.release(*again, 0, 0);
}

TEST_F(WindowPoolTest, MappingsAreChargedUpToTheBudget) {
  WindowPool pool;
  const std::uint64_t budget = pool.mapping_budget();
  ASSERT_GT(budget, 1000u);
  EXPECT_TRUE(pool.charge_mappings(budget - 1));
  EXPECT_FALSE(pool.charge_mappings(2));
  EXPECT_TRUE(pool.charge_mappings(1));
  EXPECT_FALSE(pool.charge_mappings(1));
  EXPECT_FALSE(pool.charge_mappings(UINT64_MAX));
  EXPECT_EQ(pool.stats().host_mappings, budget);
  pool.credit_mappings(budget);
  EXPECT_TRUE(pool.charge_mappings(1));
  pool.credit_mappings(1);
  EXPECT_EQ(pool.stats().host_mappings, 0u);
}

TEST_F(WindowPoolTest, ManyThreadsNeverShareAWindow) {
  WindowPool pool(3);
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&pool, &failures, number] {
      for (int round = 0; round < 200; ++round) {
        const Result<Window> window = pool.acquire();
        if (!window) {
          ++failures;
          continue;
        }
        const std::uint64_t address = 0x10000 + kPageSize * static_cast<std::uint64_t>(round % 7);
        const bool allowed = mprotect(window->base + address, kPageSize, PROT_READ | PROT_WRITE) == 0;
        volatile std::uint8_t& byte = window->base[address];
        if (!allowed || byte != 0) ++failures;
        byte = static_cast<std::uint8_t>(number + 1);
        std::this_thread::yield();
        if (byte != number + 1) ++failures;
        pool.release(*window, address, address + kPageSize);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  const WindowPoolStats stats = pool.stats();
  EXPECT_EQ(stats.in_use, 0u);
  EXPECT_EQ(stats.reserved + stats.reused, kThreads * 200u);
  EXPECT_LE(stats.idle, 3u);
}

TEST_F(WindowPoolTest, AnAddressSpaceLimitIsAnErrorThatNamesIt) {
  // Sanitizers need terabytes of address space themselves, so the limit is set relative to what is used.
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const std::uint64_t limit = pages * kPageSize + 5 * kWindowSize;
  EXPECT_EQ(in_child([limit] {
              const rlimit address_space{.rlim_cur = limit, .rlim_max = limit};
              if (setrlimit(RLIMIT_AS, &address_space) != 0) return 10;
              WindowPool pool;
              std::vector<Window> windows;
              for (int i = 0; i < 8; ++i) {
                const Result<Window> window = pool.acquire();
                if (window) {
                  windows.push_back(*window);
                  continue;
                }
                if (window.error().code != ErrorCode::kOutOfMemory) return 11;
                if (window.error().to_string().find("ulimit -v") == std::string::npos) return 12;
              }
              if (windows.empty() || windows.size() > 5) return 13;
              pool.release(windows.back(), 0, 0);
              if (!pool.acquire()) return 14;
              return AddressSpace::create(std::make_shared<WindowPool>(), kPageSize).has_value() ? 15 : 0;
            }),
            0);
}

TEST_F(WindowPoolTest, MoreWindowsThanAddressSpaceIsAnError) {
  if (test::kHasSanitizer)
    GTEST_SKIP() << "a sanitizer ends the process when the host has no memory mappings left for itself";
  EXPECT_EQ(in_child([] {
              WindowPool pool;
              std::set<std::uint8_t*> bases;
              for (int i = 0; i < 40'000; ++i) {
                const Result<Window> window = pool.acquire();
                if (!window) {
                  if (window.error().code != ErrorCode::kOutOfMemory || window.error().message.empty()) return 10;
                  break;
                }
                if (!bases.insert(window->base).second) return 11;
              }
              // 128 TiB hold fewer than 32 768 windows with their guards.
              if (bases.size() >= 32'768) return 12;
              // A window can be given back, emptied and taken again when the host is at its limit.
              const Window last{.base = *bases.begin(),
                                .page_bytes = *bases.begin() - kGuardSize - kWindowSize / kPageSize};
              pool.release(last, 0x10000, 0x20000);
              return pool.acquire() ? 0 : 13;
            }),
            0);
}

}  // namespace
}  // namespace caisson::memory
