#include "base/slab_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <new>

namespace caisson::base {
namespace {

// As one huge page, or all small ones at once. A kernel that does not know an advice, or has huge pages turned off, does less.
void make_present(void* slab, bool has_pages) {
  ::madvise(slab, SlabPool::kSlabBytes, MADV_HUGEPAGE);
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1; the headers may be older
  if (has_pages && ::madvise(slab, SlabPool::kSlabBytes, kCollapse) == 0) return;
#ifdef MADV_POPULATE_WRITE
  ::madvise(slab, SlabPool::kSlabBytes, MADV_POPULATE_WRITE);
#endif
}

constexpr std::size_t kPresent = ~std::size_t{0};

constexpr std::size_t round_up(std::size_t value, std::size_t to) { return (value + to - 1) / to * to; }

}  // namespace

// At the begin of its memory, whose address kSlabBytes divides.
struct SlabPool::Slab {
  Slab *before, *behind;  // in the list of open slabs
  FreeBlock* free;
  std::size_t used;  // blocks in use
  std::size_t fresh;  // blocks from this one on were never used
  std::size_t present_at;  // before this block is used, the slab is made present; kPresent: it is
};

SlabPool::SlabPool(std::size_t size, std::size_t alignment)
    : size_(round_up(std::max(size, sizeof(FreeBlock)), alignment)),
      first_(round_up(sizeof(Slab), alignment)),
      blocks_((kSlabBytes - first_) / size_) {
  assert(size <= kSlabBytes / 64 && alignment <= 4096);
}

void* SlabPool::take() {
  const std::scoped_lock lock(mutex_);
  if (open_ == nullptr) link(map_slab());
  Slab* const slab = open_;
  if (slab->used++ == 0) --spare_;
  if (slab->used == blocks_) unlink(slab);
  if (FreeBlock* const block = slab->free; block != nullptr) {
    slab->free = block->next;
    return block;
  }
  if (slab->fresh == slab->present_at) make_present(slab, true);
  return reinterpret_cast<std::uint8_t*>(slab) + first_ + size_ * slab->fresh++;
}

void SlabPool::give(void* block) noexcept {
  auto* const slab = reinterpret_cast<Slab*>(reinterpret_cast<std::uintptr_t>(block) / kSlabBytes * kSlabBytes);
  const std::scoped_lock lock(mutex_);
  if (slab->used == blocks_) link(slab);
  slab->free = new (block) FreeBlock{slab->free};
  if (--slab->used != 0) return;
  if (spare_ < kSpareSlabs) {
    ++spare_;
    return;
  }
  unlink(slab);
  --slabs_;
  ::munmap(slab, kSlabBytes);
}

std::size_t SlabPool::slab_count() {
  const std::scoped_lock lock(mutex_);
  return slabs_;
}

SlabPool::Slab* SlabPool::map_slab() {
  // Twice the size has one such piece at a place that the size divides.
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* const mapped = ::mmap(nullptr, 2 * kSlabBytes, PROT_NONE, kFlags, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::uint8_t*>(mapped);
  auto* const slab = reinterpret_cast<std::uint8_t*>(round_up(reinterpret_cast<std::uintptr_t>(begin), kSlabBytes));
  if (slab != begin) ::munmap(begin, static_cast<std::size_t>(slab - begin));
  if (std::uint8_t* const end = begin + 2 * kSlabBytes; end != slab + kSlabBytes)
    ::munmap(slab + kSlabBytes, static_cast<std::size_t>(end - (slab + kSlabBytes)));
  if (::mprotect(slab, kSlabBytes, PROT_READ | PROT_WRITE) != 0) {
    ::munmap(slab, kSlabBytes);
    throw std::bad_alloc();
  }
  ++spare_;
  // A pool's first one may stay nearly empty, so its pages come one by one for a while.
  if (slabs_++ == 0) return new (slab) Slab{.present_at = std::max(blocks_ / 16, std::size_t{1})};
  make_present(slab, false);
  return new (slab) Slab{.present_at = kPresent};
}

void SlabPool::link(Slab* slab) {
  slab->before = nullptr;
  slab->behind = open_;
  if (open_ != nullptr) open_->before = slab;
  open_ = slab;
}

void SlabPool::unlink(Slab* slab) {
  (slab->before == nullptr ? open_ : slab->before->behind) = slab->behind;
  if (slab->behind != nullptr) slab->behind->before = slab->before;
}

}  // namespace caisson::base
