// To be preloaded: executable memory as qemu-user can have it. It knows no mremap() of length 0, by which the engine maps anonymous shared
// pages a second time (memory/executable_memory.cpp); here they are a file of memory, mapped twice.
#define _GNU_SOURCE
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kLeast = 1 << 20 };
static void* mapped;
static int file = -1;

void* mmap(void* at, size_t size, int protection, int flags, int descriptor, off_t offset) {
  if ((flags & MAP_SHARED) == 0 || (flags & MAP_ANONYMOUS) == 0 || size < kLeast)
    return (void*)syscall(SYS_mmap, at, size, protection, flags, descriptor, offset);
  file = (int)syscall(SYS_memfd_create, "code", 0);
  if (file < 0 || ftruncate(file, (off_t)size) != 0) return MAP_FAILED;
  mapped = (void*)syscall(SYS_mmap, at, size, protection, flags & ~(MAP_ANONYMOUS | MAP_NORESERVE), file, 0L);
  return mapped;
}

void* mmap64(void* at, size_t size, int protection, int flags, int descriptor, off_t offset) {
  return mmap(at, size, protection, flags, descriptor, offset);
}

void* mremap(void* from, size_t old_size, size_t size, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  void* const to = (flags & MREMAP_FIXED) != 0 ? va_arg(rest, void*) : NULL;
  va_end(rest);
  if (old_size != 0 || from != mapped) return (void*)syscall(SYS_mremap, from, old_size, size, flags, to);
  return (void*)syscall(SYS_mmap, to, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, file, 0L);
}
