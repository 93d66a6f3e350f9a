// A list that is added to from code that has no register to spare: the rare growth preserves them all, so that adding needs no frame.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <vector>

namespace caisson::baseline {

template <class T>
class GrowingList {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // Keeps the memory.
  void clear() { end_ = values_.get(); }
  [[gnu::always_inline]] T& push_back(const T& value) {
    if (end_ == limit_) [[unlikely]]
      grow();
    *end_ = value;
    return *end_++;
  }

  // Adds where that is wanted, without a branch on it.
  [[gnu::always_inline]] void push_back_if(bool wanted, const T& value) {
    if (end_ == limit_) [[unlikely]]
      grow();
    *end_ = value;
    end_ += wanted ? 1 : 0;
  }

  std::size_t size() const { return static_cast<std::size_t>(end_ - values_.get()); }
  T& operator[](std::size_t index) { return values_[index]; }
  const T* begin() const { return values_.get(); }
  const T* end() const { return end_; }
  std::vector<T> to_vector() const { return {begin(), end()}; }

 private:
  [[gnu::noinline, gnu::cold, clang::preserve_most]] void grow() {
    const std::size_t count = size(), capacity = std::max<std::size_t>(64, count * 2);
    auto values = std::make_unique<T[]>(capacity);
    std::copy_n(values_.get(), count, values.get());
    values_ = std::move(values);
    end_ = values_.get() + count;
    limit_ = values_.get() + capacity;
  }

  std::unique_ptr<T[]> values_;
  T* end_ = nullptr;
  T* limit_ = nullptr;
};

}  // namespace caisson::baseline
