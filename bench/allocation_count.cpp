// operator new and delete as the library has them, with a count: a plain increment of the thread's own, so that programs that link
// this are no slower for it. Every form is here, since a sanitizer has its own of those that are left out, and what one form allocates
// another must be able to free.
#include "bench/allocation_count.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

constinit thread_local std::uint64_t count = 0;

void* allocate(std::size_t size) noexcept {
  ++count;
  return std::malloc(std::max<std::size_t>(size, 1));
}

void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
  ++count;
  void* memory = nullptr;
  const std::size_t bytes = std::max(std::size_t(alignment), sizeof(void*));
  return ::posix_memalign(&memory, bytes, std::max<std::size_t>(size, 1)) == 0 ? memory : nullptr;
}

void* check(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

using std::align_val_t;
using std::nothrow_t;
using std::size_t;

void* operator new(size_t size) { return check(allocate(size)); }
void* operator new[](size_t size) { return check(allocate(size)); }
void* operator new(size_t size, align_val_t alignment) { return check(allocate(size, alignment)); }
void* operator new[](size_t size, align_val_t alignment) { return check(allocate(size, alignment)); }
void* operator new(size_t size, const nothrow_t&) noexcept { return allocate(size); }
void* operator new[](size_t size, const nothrow_t&) noexcept { return allocate(size); }
void* operator new(size_t size, align_val_t alignment, const nothrow_t&) noexcept { return allocate(size, alignment); }
void* operator new[](size_t size, align_val_t alignment, const nothrow_t&) noexcept {
  return allocate(size, alignment);
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, align_val_t, const nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, align_val_t, const nothrow_t&) noexcept { std::free(memory); }

namespace caisson::bench {

std::uint64_t allocations_of_thread() { return count; }

}  // namespace caisson::bench
