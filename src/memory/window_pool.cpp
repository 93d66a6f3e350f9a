#include "memory/window_pool.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "memory/address_space.h"

namespace caisson::memory {
namespace {

constexpr std::size_t kPageBytesSize = kWindowSize / kPageSize;
constexpr std::size_t kBaseOffset = kPageTrackingSize + kPageBytesSize + kGuardSize;
constexpr std::size_t kReservationSize = kBaseOffset + kWindowSize + kGuardSize;

// Three quarters of what the process may have; the rest is for the embedder, its allocator and its libraries.
std::uint64_t mapping_budget_of_host() {
  std::uint64_t maximum = 65530;  // the kernel's default, where /proc is not mounted
  std::ifstream("/proc/sys/vm/max_map_count") >> maximum;
  return maximum / 4 * 3;
}

Error reservation_error(int error_number) {
  rlimit address_space{};
  if (error_number == ENOMEM && getrlimit(RLIMIT_AS, &address_space) == 0 && address_space.rlim_cur != RLIM_INFINITY) {
    return {ErrorCode::kOutOfMemory,
            fmt::format(
                "cannot reserve a 4 GiB window of address space: this process is limited to {} MiB; raise the limit "
                "(ulimit -v unlimited) or run fewer guests at a time",
                address_space.rlim_cur >> 20),
            "window pool"};
  }
  return {
      ErrorCode::kOutOfMemory,
      fmt::format(
          "cannot reserve a 4 GiB window of address space ({}): run fewer guests at a time, raise vm.max_map_count, "
          "and check that vm.overcommit_memory is not 2",
          std::strerror(error_number)),
      "window pool"};
}

Result<Window> reserve_window() {
  void* const reservation =
      mmap(nullptr, kReservationSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reservation == MAP_FAILED) return std::unexpected(reservation_error(errno));
  auto* const start = static_cast<std::uint8_t*>(reservation);
  if (mprotect(start, kPageTrackingSize + kPageBytesSize, PROT_READ | PROT_WRITE) != 0) {
    const Error error = reservation_error(errno);
    munmap(reservation, kReservationSize);
    return std::unexpected(error);
  }
  return Window{.base = start + kBaseOffset, .page_bytes = start + kPageTrackingSize};
}

bool return_to_host(Window window) { return munmap(window.page_bytes - kPageTrackingSize, kReservationSize) == 0; }

bool empty(Window window, std::uint64_t used_begin, std::uint64_t used_end) {
  if (used_begin >= used_end) return true;
  return mmap(window.base + used_begin, used_end - used_begin, PROT_NONE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

}  // namespace

WindowPool::WindowPool(std::size_t idle_limit) : idle_limit_(idle_limit), mapping_budget_(mapping_budget_of_host()) {
  idle_.reserve(std::min(idle_limit, kDefaultIdleLimit));
}

WindowPool::~WindowPool() {
  for (const Window window : idle_) return_to_host(window);
}

Result<Window> WindowPool::acquire() {
  {
    const std::scoped_lock lock(mutex_);
    if (!idle_.empty()) {
      const Window window = idle_.back();
      idle_.pop_back();
      ++stats_.reused;
      ++stats_.in_use;
      return window;
    }
  }
  Result<Window> window = reserve_window();
  if (window) {
    const std::scoped_lock lock(mutex_);
    ++stats_.reserved;
    ++stats_.in_use;
  }
  return window;
}

void WindowPool::release(Window window, std::uint64_t used_begin, std::uint64_t used_end) {
  const bool emptied = empty(window, used_begin, used_end);
  std::unique_lock lock(mutex_);
  --stats_.in_use;
  if (emptied && idle_.size() < idle_limit_) {
    idle_.push_back(window);
    return;
  }
  lock.unlock();
  const bool returned = return_to_host(window);
  lock.lock();
  if (returned) {
    ++stats_.released;
  } else if (emptied) {
    // The kernel may lack a mapping for the split; an empty window costs nothing, so it is kept beyond the limit.
    idle_.push_back(window);
  } else {
    ++stats_.abandoned;
  }
}

bool WindowPool::charge_mappings(std::uint64_t count) {
  std::uint64_t current = host_mappings_.load(std::memory_order_relaxed);
  do {
    if (count > mapping_budget_ - std::min(current, mapping_budget_)) return false;
  } while (!host_mappings_.compare_exchange_weak(current, current + count, std::memory_order_relaxed));
  return true;
}

void WindowPool::credit_mappings(std::uint64_t count) { host_mappings_.fetch_sub(count, std::memory_order_relaxed); }

WindowPoolStats WindowPool::stats() const {
  const std::scoped_lock lock(mutex_);
  WindowPoolStats stats = stats_;
  stats.idle = idle_.size();
  stats.host_mappings = host_mappings_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace caisson::memory
