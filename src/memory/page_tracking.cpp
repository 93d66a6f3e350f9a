#include "memory/page_tracking.h"

#include <sys/mman.h>

#include <algorithm>

#include "memory/memory_counters.h"

namespace caisson::memory {
namespace {

constexpr std::uint32_t kPages = kWindowSize / kPageSize;
constexpr std::uint32_t kLongestRun = 64;

// Threads may write to the same pages at the same time.
std::atomic_ref<std::uint8_t> page_byte(std::uint8_t* window_base, std::uint32_t page) {
  return std::atomic_ref(page_bytes_of(window_base)[page]);
}

std::uint8_t load_page_byte(std::uint8_t* window_base, std::uint32_t page) {
  return page_byte(window_base, page).load(std::memory_order_acquire);
}

bool is_writable_and_clean(std::uint8_t byte) { return (byte & kWrite) != 0 && (byte & kCleanPage) != 0; }
bool is_writable_and_dirty(std::uint8_t byte) { return (byte & kWrite) != 0 && (byte & kCleanPage) == 0; }

// The bit goes after the page is writable: whoever sees a dirty page can write to it.
bool open_pages(std::uint8_t* window_base, std::uint32_t first, std::uint32_t end) {
  CAISSON_PERF_SCOPE(cow_counter);
  if (mprotect(window_base + first * kPageSize, (end - first) * kPageSize, PROT_READ | PROT_WRITE) != 0) return false;
  note_dirty_pages(window_base, first, end);
  for (std::uint32_t page = first; page < end; ++page)
    page_byte(window_base, page).fetch_and(static_cast<std::uint8_t>(~kCleanPage), std::memory_order_release);
  return true;
}

// All pages around `page` of the same permissions. They are one kernel mapping, or become fewer by it.
bool open_everything_around(std::uint8_t* window_base, std::uint32_t page) {
  const auto kind = [window_base](std::uint32_t other) { return load_page_byte(window_base, other) & ~kCleanPage; };
  const int wanted = kind(page);
  std::uint32_t first = page;
  std::uint32_t end = page + 1;
  while (first > 0 && kind(first - 1) == wanted) --first;
  while (end < kPages && kind(end) == wanted) ++end;
  return open_pages(window_base, first, end);
}

bool admit_run(PageTracking& tracking) {
  const std::uint32_t runs = tracking.runs.fetch_add(1, std::memory_order_relaxed);
  const std::uint32_t limit = tracking.run_limit.load(std::memory_order_relaxed);
  if (runs < limit) return true;
  constexpr std::uint64_t kCharge = PageTracking::kRunStep * PageTracking::kMappingsOfRun;
  WindowPool* const pool = tracking.pool.load(std::memory_order_relaxed);
  if (limit < PageTracking::kMaximumRuns && pool->charge_mappings(kCharge)) {
    tracking.run_limit.fetch_add(PageTracking::kRunStep, std::memory_order_relaxed);
    return true;
  }
  tracking.runs.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

// How many pages from `page` on, in steps of `step`, were written before, at most kLongestRun.
std::uint32_t count_dirty(std::uint8_t* window_base, std::uint32_t page, std::uint32_t step) {
  std::uint32_t count = 0;
  while (count < kLongestRun && page < kPages && is_writable_and_dirty(load_page_byte(window_base, page))) {
    ++count;
    page += step;  // below page 0 it wraps to one beyond kPages
  }
  return count;
}

bool open_run(std::uint8_t* window_base, std::uint32_t first, std::uint32_t end, bool extends) {
  if ((extends || admit_run(tracking_of(window_base))) && open_pages(window_base, first, end)) return true;
  return open_everything_around(window_base, first);
}

}  // namespace

void start_tracking(std::uint8_t* window_base, WindowPool& pool) {
  PageTracking& tracking = tracking_of(window_base);
  for (std::uint32_t index = 0; index < tracking.summary.size(); ++index) {
    // What was never noted is zero already.
    if (tracking.summary[index].exchange(0, std::memory_order_relaxed) == 0) continue;
    for (std::uint32_t word = index * 64; word < (index + 1) * 64; ++word)
      tracking.groups[word].store(0, std::memory_order_relaxed);
  }
  tracking.runs.store(0, std::memory_order_relaxed);
  tracking.pool.store(&pool, std::memory_order_release);
}

void stop_tracking(std::uint8_t* window_base) {
  PageTracking& tracking = tracking_of(window_base);
  WindowPool* const pool = tracking.pool.load(std::memory_order_acquire);
  if (pool == nullptr) return;
  start_tracking(window_base, *pool);
  pool->credit_mappings(tracking.run_limit.exchange(0, std::memory_order_relaxed) * PageTracking::kMappingsOfRun);
  tracking.pool.store(nullptr, std::memory_order_release);
}

void note_dirty_pages(std::uint8_t* window_base, std::uint32_t first, std::uint32_t end) {
  if (first >= end) return;
  PageTracking& tracking = tracking_of(window_base);
  const std::uint32_t last_group = (end - 1) / PageTracking::kPagesInGroup;
  for (std::uint32_t group = first / PageTracking::kPagesInGroup; group <= last_group; ++group) {
    const std::uint32_t word = group / 64;
    tracking.groups[word].fetch_or(std::uint64_t{1} << (group % 64), std::memory_order_relaxed);
    tracking.summary[word / 64].fetch_or(std::uint64_t{1} << (word % 64), std::memory_order_relaxed);
  }
}

bool admit_first_write(std::uint8_t* window_base, std::uint32_t page) {
  if (tracking_of(window_base).pool.load(std::memory_order_acquire) == nullptr) return false;
  const std::uint8_t byte = load_page_byte(window_base, page);
  if ((byte & kWrite) == 0) return false;
  // Another thread was faster.
  if ((byte & kCleanPage) == 0) return open_pages(window_base, page, page + 1);

  const std::uint32_t before = page == 0 ? 0 : count_dirty(window_base, page - 1, std::uint32_t{0} - 1);
  const std::uint32_t behind = count_dirty(window_base, page + 1, 1);
  std::uint32_t first = page;
  std::uint32_t end = page + 1;
  if (before >= behind) {
    while (end < kPages && end - page < before && load_page_byte(window_base, end) == byte) ++end;
  } else {
    while (first > 0 && page - first + 1 < behind && load_page_byte(window_base, first - 1) == byte) --first;
  }
  return open_run(window_base, first, end, before + behind > 0);
}

bool make_pages_writable(std::uint8_t* window_base, std::uint32_t first, std::uint32_t end) {
  if (tracking_of(window_base).pool.load(std::memory_order_acquire) == nullptr) return true;
  for (std::uint32_t page = first; page < end; ++page) {
    const std::uint8_t byte = load_page_byte(window_base, page);
    if (!is_writable_and_clean(byte)) continue;
    const std::uint32_t begin = page;
    while (page < end && load_page_byte(window_base, page) == byte) ++page;
    const bool extends = (begin > 0 && is_writable_and_dirty(load_page_byte(window_base, begin - 1))) ||
                         (page < kPages && is_writable_and_dirty(load_page_byte(window_base, page)));
    if (!open_run(window_base, begin, page, extends)) return false;
    --page;
  }
  return true;
}

}  // namespace caisson::memory
