// What the guests of a tree make their host keep beside instances: pages of data, images, CNodes.
//
// Whatever is kept has a HeldShare, which is given back when it ends: a page may outlive the tree, in a store or in what others hold.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace caisson::kernel {

class HeldBytes {
 public:
  explicit HeldBytes(std::uint64_t most) : most_(most) {}

  bool take(std::uint64_t bytes) {
    if (bytes > most_) return false;
    if (bytes_.fetch_add(bytes, std::memory_order_relaxed) <= most_ - bytes) return true;
    give_back(bytes);
    return false;
  }
  void give_back(std::uint64_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  const std::uint64_t most_;
  std::atomic<std::uint64_t> bytes_{0};
};

class HeldShare {
 public:
  // Nothing where there is no room.
  static std::optional<HeldShare> take(const std::shared_ptr<HeldBytes>& of, std::uint64_t bytes) {
    if (!of->take(bytes)) return std::nullopt;
    return HeldShare(of, bytes);
  }
  HeldShare(HeldShare&& other) noexcept : of_(std::move(other.of_)), bytes_(other.bytes_) {}
  HeldShare& operator=(HeldShare&& other) noexcept {
    std::swap(of_, other.of_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~HeldShare() {
    if (of_ != nullptr) of_->give_back(bytes_);
  }

 private:
  HeldShare(std::shared_ptr<HeldBytes> of, std::uint64_t bytes) : of_(std::move(of)), bytes_(bytes) {}

  std::shared_ptr<HeldBytes> of_;
  std::uint64_t bytes_;
};

}  // namespace caisson::kernel
