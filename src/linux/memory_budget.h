// Memory that a guest makes the engine or the host kernel hold outside its window: memory files, listings of open
// directories, texts of open /proc files. All of it together is bounded by as much again as the guest's own memory may be.
//
// Thread safety: a MemoryBudget may be charged from any thread (processes of one guest share it); a MemoryCharge belongs to
// one file.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace caisson::linux_personality {

class MemoryBudget {
 public:
  // False, and nothing charged, where the sum would pass `limit`.
  bool charge(std::uint64_t bytes, std::uint64_t limit) {
    std::uint64_t used = used_.load(std::memory_order_relaxed);
    do {
      if (used > limit || bytes > limit - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  void release(std::uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> used_{0};
};

// What one owner has charged; given back with it.
class MemoryCharge {
 public:
  explicit MemoryCharge(std::shared_ptr<MemoryBudget> budget) : budget_(std::move(budget)) {}
  MemoryCharge(MemoryCharge&& other) noexcept
      : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryCharge(const MemoryCharge&) = delete;
  ~MemoryCharge() {
    if (bytes_ > 0) budget_->release(bytes_);
  }

  // Charges `bytes` in all from now on; false, and nothing changed, where that is too much.
  bool resize(std::uint64_t bytes, std::uint64_t limit) {
    if (bytes > bytes_ && !budget_->charge(bytes - bytes_, limit)) return false;
    if (bytes < bytes_) budget_->release(bytes_ - bytes);
    bytes_ = bytes;
    return true;
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<MemoryBudget> budget_;
  std::uint64_t bytes_ = 0;
};

}  // namespace caisson::linux_personality
