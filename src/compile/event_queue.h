// EventQueue: a bounded queue of many producers and consumers without locks, by which lookups tell the backend thread what got hot.
//
// Each cell has a sequence number that says whose turn it is (D. Vyukov's bounded MPMC queue): producers and consumers meet only in the cell
// they use. A full queue refuses; who pushes never waits.
//
// Thread safety: every function may be called from any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace caisson::compile {

template <class T>
class EventQueue {
 public:
  // Room for `capacity` values, rounded up to a power of two, at least 2.
  explicit EventQueue(std::size_t capacity) : cells_(std::bit_ceil(std::max<std::size_t>(capacity, 2))) {
    for (std::size_t index = 0; index < cells_.size(); ++index) cells_[index].sequence.store(index);
  }

  // False where it is full.
  bool push(T value) {
    std::size_t position = tail_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[position & (cells_.size() - 1)];
      const std::size_t sequence = cell.sequence.load(std::memory_order_acquire);
      if (sequence == position) {
        if (!tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) continue;
        cell.value = std::move(value);
        cell.sequence.store(position + 1, std::memory_order_release);
        return true;
      }
      if (sequence < position) return false;
      position = tail_.load(std::memory_order_relaxed);
    }
  }

  // Nothing where it is empty, or where the oldest value is only being written.
  std::optional<T> pop() {
    std::size_t position = head_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[position & (cells_.size() - 1)];
      const std::size_t sequence = cell.sequence.load(std::memory_order_acquire);
      if (sequence == position + 1) {
        if (!head_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) continue;
        std::optional<T> value(std::exchange(cell.value, T{}));
        cell.sequence.store(position + cells_.size(), std::memory_order_release);
        return value;
      }
      if (sequence < position + 1) return std::nullopt;
      position = head_.load(std::memory_order_relaxed);
    }
  }

 private:
  struct Cell {
    std::atomic<std::size_t> sequence{0};
    T value{};
  };

  std::vector<Cell> cells_;
  alignas(64) std::atomic<std::size_t> tail_{0};
  alignas(64) std::atomic<std::size_t> head_{0};
};

}  // namespace caisson::compile
