// Memory of objects of one size that come and go by thousands, such as the pages of sealed instances: blocks out of slabs.
//
// malloc would search its bins for each page, since they are aligned, and new memory costs a page fault a page; there are virtual machines
// where that takes ten microseconds. A slab is one huge page where the kernel has one, and present before it is used. On such a machine
// a seal of ten changed pages takes a sixth of the time (`caisson bench call --filter=seal`).
//
// What a pool holds is bounded by the most that was ever in use at once: free blocks are taken before new slabs. Slabs that are free as a
// whole are given back, but for kSpareSlabs.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

namespace caisson::base {

class SlabPool {
 public:
  static constexpr std::size_t kSlabBytes = std::size_t{2} << 20;
  static constexpr std::size_t kSpareSlabs = 1;

  // Blocks of `size` bytes, at most kSlabBytes / 64, at addresses that `alignment` divides, at most 4096.
  SlabPool(std::size_t size, std::size_t alignment);
  // Never ends: its objects may live as long as the process.
  ~SlabPool() = delete;
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  // Throws std::bad_alloc where there is no memory.
  void* take();
  void give(void* block) noexcept;

  // Slabs that are mapped.
  std::size_t slab_count();

 private:
  struct Slab;
  struct FreeBlock {
    FreeBlock* next;
  };

  Slab* map_slab();
  void link(Slab* slab);
  void unlink(Slab* slab);

  const std::size_t size_, first_, blocks_;  // bytes between blocks, to the first one in a slab; how many are in one
  std::mutex mutex_;
  Slab* open_ = nullptr;  // with free blocks, the one that was given to last first
  std::size_t spare_ = 0;  // of these, free as a whole
  std::size_t slabs_ = 0;
};

// For std::allocate_shared. Sanitizers see every use of what was dropped: there it is std::allocator.
template <class T>
struct SlabAllocator {
  using value_type = T;

  SlabAllocator() = default;
  template <class Other>
  // NOLINTNEXTLINE(google-explicit-constructor): an allocator's requirement
  SlabAllocator(const SlabAllocator<Other>&) {}

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
  T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* items, std::size_t count) noexcept { std::allocator<T>().deallocate(items, count); }
#else
  T* allocate(std::size_t count) {
    return count == 1 ? static_cast<T*>(pool().take()) : std::allocator<T>().allocate(count);
  }
  void deallocate(T* items, std::size_t count) noexcept {
    if (count == 1) {
      pool().give(items);
    } else {
      std::allocator<T>().deallocate(items, count);
    }
  }
#endif
  friend bool operator==(const SlabAllocator&, const SlabAllocator&) { return true; }

 private:
  static SlabPool& pool() {
    static auto* const pool = new SlabPool(sizeof(T), alignof(T));
    return *pool;
  }
};

}  // namespace caisson::base
