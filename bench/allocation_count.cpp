// operator new and delete as the library has them, with a count: a plain increment of the thread's own, so that programs that link
// this are no slower for it. The array and nothrow forms of the library call these.
#include "bench/allocation_count.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

constinit thread_local std::uint64_t count = 0;

void* check(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) {
  ++count;
  return check(std::malloc(std::max<std::size_t>(size, 1)));
}

void* operator new(std::size_t size, std::align_val_t alignment) {
  ++count;
  void* memory = nullptr;
  const std::size_t bytes = std::max(std::size_t(alignment), sizeof(void*));
  if (::posix_memalign(&memory, bytes, std::max<std::size_t>(size, 1)) != 0) memory = nullptr;
  return check(memory);
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace caisson::bench {

std::uint64_t allocations_of_thread() { return count; }

}  // namespace caisson::bench
