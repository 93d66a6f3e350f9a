// Which pages of a window differ from the base that its guest was loaded from.
//
// A page byte with kCleanPage set says: this mapped page holds exactly what the base has, and the host cannot write to it even where
// the guest may. The first write to such a page faults; the signal handler (fault_recovery.cpp) takes the bit away, makes the page
// writable and lets the instruction run again. The page bytes and the PageTracking lie at fixed distances before the window, so the
// handler finds them by the window alone. Everything here that changes a page is async-signal-safe and takes no lock.
//
// A fault costs microseconds, so pages next to others that were written become writable along with them. Each separate run of
// writable pages also costs the process kernel mappings: they are charged to the pool's budget, and where that or kMaximumRuns is
// reached, all pages around that the guest may write to become writable at once.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>

#include "memory/address_space.h"
#include "memory/window_pool.h"

namespace caisson::memory {

inline constexpr std::uint8_t kCleanPage = 16;

// One for each window, all zero while nothing is tracked. A page is dirty where it is accessible and not clean.
struct PageTracking {
  static constexpr std::uint32_t kPagesInGroup = 64;
  static constexpr std::uint32_t kWords = kWindowSize / kPageSize / kPagesInGroup / 64;
  static constexpr std::uint32_t kRunStep = 16;  // runs that are charged for at once
  static constexpr std::uint32_t kMaximumRuns = 256;
  static constexpr std::uint64_t kMappingsOfRun = 2;

  // Bit g % 64 of groups[g / 64]: group g may have dirty pages. Bit w % 64 of summary[w / 64]: groups[w] is not zero.
  std::array<std::atomic<std::uint64_t>, kWords / 64> summary;
  std::array<std::atomic<std::uint64_t>, kWords> groups;
  std::atomic<WindowPool*> pool;  // null while nothing is tracked
  std::atomic<std::uint32_t> runs;
  std::atomic<std::uint32_t> run_limit;  // what has been charged to the pool
};
static_assert(sizeof(PageTracking) <= kPageTrackingSize);

inline std::uint8_t* page_bytes_of(std::uint8_t* window_base) {
  return window_base - kGuardSize - kWindowSize / kPageSize;
}

inline PageTracking& tracking_of(std::uint8_t* window_base) {
  return *reinterpret_cast<PageTracking*>(page_bytes_of(window_base) - kPageTrackingSize);
}

// Begins anew with no page dirty, or ends it and credits the pool. Not while the guest runs.
void start_tracking(std::uint8_t* window_base, WindowPool& pool);
void stop_tracking(std::uint8_t* window_base);

// Notes that pages in [first, end) may be dirty. Their page bytes are the caller's.
void note_dirty_pages(std::uint8_t* window_base, std::uint32_t first, std::uint32_t end);

// After a write to `page` faulted: true where the guest may write there and now can.
bool admit_first_write(std::uint8_t* window_base, std::uint32_t page);

// The same for all pages of [first, end) that the guest may write to; false where the host refuses.
bool make_pages_writable(std::uint8_t* window_base, std::uint32_t first, std::uint32_t end);

// Calls visit(page) for every dirty page, ascending. `visit` may make pages clean or dirty.
template <class Visit>
void for_each_dirty_page(std::uint8_t* window_base, Visit visit) {
  constexpr std::uint64_t kTopBits = 0x8080808080808080;
  const PageTracking& tracking = tracking_of(window_base);
  const std::uint8_t* const page_bytes = page_bytes_of(window_base);
  const auto for_each_bit = [](std::uint64_t bits, std::uint32_t first, auto with) {
    for (; bits != 0; bits &= bits - 1) with(first + static_cast<std::uint32_t>(std::countr_zero(bits)));
  };
  for (std::uint32_t index = 0; index < tracking.summary.size(); ++index) {
    for_each_bit(tracking.summary[index].load(std::memory_order_relaxed), index * 64, [&](std::uint32_t word) {
      for_each_bit(tracking.groups[word].load(std::memory_order_relaxed), word * 64, [&](std::uint32_t group) {
        const std::uint32_t begin = group * PageTracking::kPagesInGroup;
        for (std::uint32_t page = begin; page < begin + PageTracking::kPagesInGroup; page += sizeof(std::uint64_t)) {
          std::uint64_t bytes = 0;
          std::memcpy(&bytes, page_bytes + page, sizeof bytes);
          // The top bit of each byte: whether it has a permission; whether it is clean.
          const std::uint64_t accessible = (bytes & 0x0707070707070707) + 0x7F7F7F7F7F7F7F7F;
          const std::uint64_t clean = bytes << 3;
          for_each_bit(accessible & ~clean & kTopBits, 0, [&](std::uint32_t bit) { visit(page + bit / 8); });
        }
      });
    });
  }
}

}  // namespace caisson::memory
