// mmap, munmap, mprotect, mremap, madvise, msync: results and errors, against the host's own kernel.
// oracle: native
// flags: -D_GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

enum { kPage = 4096, kReadWrite = PROT_READ | PROT_WRITE, kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS };

static void show_map(const char* call, void* result) { printf("%s = %s\n", call, result == MAP_FAILED ? strerrorname_np(errno) : "ok"); }
#define SHOW_MAP(call) show_map(#call, (call))
static long raw(long number, long a, long b, long c, long d, long e, long f) { return syscall(number, a, b, c, d, e, f); }

int main(void) {
  puts("-- arguments of mmap");
  SHOW_MAP(mmap(NULL, 0, kReadWrite, kAnonymous, -1, 0));
  SHOW_MAP(mmap(NULL, kPage, kReadWrite, MAP_ANONYMOUS, -1, 0));
  SHOW_MAP(mmap(NULL, kPage, kReadWrite, MAP_PRIVATE, -1, 0));
  SHOW_MAP(mmap(NULL, kPage, kReadWrite, MAP_PRIVATE, 77, 0));
  SHOW_MAP((void*)raw(SYS_mmap, 0, kPage, kReadWrite, MAP_ANONYMOUS | MAP_PRIVATE, -1, 100));
  SHOW_MAP(mmap(NULL, (size_t)-1, kReadWrite, kAnonymous, -1, 0));
  SHOW_MAP(mmap(NULL, (size_t)1 << 60, kReadWrite, kAnonymous, -1, 0));
  SHOW_MAP(mmap((void*)123, kPage, kReadWrite, kAnonymous | MAP_FIXED, -1, 0));
  SHOW_MAP(mmap((void*)-kPage, kPage, kReadWrite, kAnonymous | MAP_FIXED, -1, 0));
  SHOW_MAP(mmap(NULL, kPage, kReadWrite, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  SHOW_MAP(mmap(NULL, kPage, kReadWrite, kAnonymous | MAP_NORESERVE | MAP_STACK | MAP_GROWSDOWN, -1, 0));

  puts("-- fixed places");
  char* area = mmap(NULL, 16 * kPage, kReadWrite, kAnonymous, -1, 0);
  memset(area, 7, 16 * kPage);
  SHOW_MAP(mmap(area, kPage, kReadWrite, kAnonymous | MAP_FIXED_NOREPLACE, -1, 0));
  SHOW(munmap(area + 4 * kPage, 2 * kPage));
  printf("hint kept %d\n", mmap(area + 4 * kPage, 2 * kPage, kReadWrite, kAnonymous, -1, 0) == area + 4 * kPage);
  printf("hint taken elsewhere %d\n", mmap(area, kPage, kReadWrite, kAnonymous, -1, 0) != area);
  SHOW(munmap(area + 4 * kPage, kPage));
  printf("noreplace in a hole %d\n",
         mmap(area + 4 * kPage, kPage, kReadWrite, kAnonymous | MAP_FIXED_NOREPLACE, -1, 0) == area + 4 * kPage);
  printf("fixed replaces %d, neighbours %d %d\n",
         mmap(area + kPage, kPage, kReadWrite, kAnonymous | MAP_FIXED, -1, 0) == area + kPage && area[kPage] == 0, area[0],
         area[2 * kPage]);

  puts("-- munmap");
  SHOW(munmap(area + 1, kPage));
  SHOW(munmap(area, 0));
  SHOW(munmap(area + 8 * kPage, 1));
  SHOW(munmap(area + 8 * kPage, kPage));
  SHOW(munmap((void*)((uintptr_t)1 << 62), kPage));

  puts("-- mprotect");
  SHOW(mprotect(area + 1, kPage, PROT_READ));
  SHOW(mprotect(area, 0, PROT_READ));
  SHOW(mprotect(area + 7 * kPage, 3 * kPage, PROT_READ));
  SHOW(mprotect(area + 8 * kPage, kPage, PROT_READ));
  SHOW(mprotect(area, kPage, 0x100));
  SHOW(mprotect(area, kPage, PROT_READ | PROT_GROWSDOWN));
  SHOW(mprotect(area, kPage, PROT_READ));
  SHOW(mprotect(area, kPage, kReadWrite));
  SHOW(mprotect(area, 1, PROT_READ));
  int ends[2];
  pipe(ends);
  write(ends[1], "data", 4);
  SHOW(read(ends[0], area, 4));
  SHOW(mprotect(area, kPage, kReadWrite));
  SHOW(read(ends[0], area, 4));

  puts("-- mremap");
  char* moving = mmap(NULL, 8 * kPage, kReadWrite, kAnonymous, -1, 0);
  memset(moving, 9, 8 * kPage);
  SHOW_MAP(mremap(moving + 1, kPage, kPage, 0));
  SHOW_MAP(mremap(moving, kPage, 0, MREMAP_MAYMOVE));
  SHOW_MAP(mremap(moving, kPage, kPage, 0x80));
  SHOW_MAP(mremap(moving, kPage, kPage, MREMAP_FIXED, moving));
  SHOW_MAP(mremap((void*)0x7000000000, kPage, 2 * kPage, MREMAP_MAYMOVE));
  SHOW_MAP(mremap(moving, kPage, 2 * kPage, 0));
  printf("shrinks in place %d\n", mremap(moving, 8 * kPage, 4 * kPage, 0) == moving);
  printf("grows in place %d\n", mremap(moving, 4 * kPage, 6 * kPage, 0) == moving);
  printf("old %d new %d\n", moving[4 * kPage - 1], moving[4 * kPage]);
  char* far = mmap(NULL, 32 * kPage, PROT_NONE, kAnonymous, -1, 0);
  printf("moves where told %d\n", mremap(moving, 4 * kPage, 8 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, far + 2 * kPage) == far + 2 * kPage);
  printf("contents %d %d\n", far[2 * kPage], far[6 * kPage]);
  SHOW(mprotect(moving, kPage, PROT_READ));
  SHOW_MAP(mremap(far + 2 * kPage, 4 * kPage, 4 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, far + 4 * kPage));
  char* wall = mmap(NULL, 2 * kPage, kReadWrite, kAnonymous, -1, 0);
  mprotect(wall + kPage, kPage, PROT_READ);
  wall[0] = 5;
  char* elsewhere = mremap(wall, kPage, 64 * kPage, MREMAP_MAYMOVE);
  printf("had to move %d, contents %d %d\n", elsewhere != wall, elsewhere[0], elsewhere[63 * kPage]);

  puts("-- files");
  int file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
  char text[kPage + 100];
  memset(text, 'a', sizeof text);
  write(file, text, sizeof text);
  int reader = open("file", O_RDONLY);
  int writer = open("file", O_WRONLY);
  SHOW_MAP(mmap(NULL, kPage, kReadWrite, MAP_SHARED, reader, 0));
  SHOW_MAP(mmap(NULL, kPage, PROT_READ, MAP_SHARED, writer, 0));
  SHOW_MAP(mmap(NULL, kPage, PROT_READ, MAP_PRIVATE, writer, 0));
  SHOW_MAP(mmap(NULL, kPage, PROT_READ, 0, reader, 0));
  SHOW_MAP(mmap(NULL, kPage, PROT_READ, MAP_SHARED, ends[0], 0));
  char* private_view = mmap(NULL, 2 * kPage, kReadWrite, MAP_PRIVATE, reader, 0);
  char* shared_view = mmap(NULL, 2 * kPage, kReadWrite, MAP_SHARED, file, 0);
  char* tail_view = mmap(NULL, kPage, PROT_READ, MAP_PRIVATE, reader, kPage);
  printf("%c %c %d %c\n", private_view[0], private_view[kPage + 99], private_view[kPage + 100], tail_view[99]);
  private_view[0] = 'p';
  shared_view[1] = 's';
  char back[2];
  pread(file, back, 2, 0);
  printf("file %c%c private sees %c\n", back[0], back[1], private_view[0]);
  close(file);
  close(reader);
  printf("still mapped %c\n", shared_view[kPage + 1]);
  SHOW(msync(shared_view, 2 * kPage, MS_SYNC));
  SHOW(msync(shared_view, kPage, MS_SYNC | MS_ASYNC));
  SHOW(msync(shared_view + 1, kPage, MS_SYNC));
  SHOW(msync(area + 8 * kPage, kPage, MS_SYNC));
  printf("read-only file stays so %d\n", mprotect(tail_view, kPage, kReadWrite));

  puts("-- madvise, mlock, mincore");
  SHOW(madvise(private_view, kPage, MADV_DONTNEED));
  printf("file's again %c\n", private_view[0]);
  area[0] = 3;
  SHOW(madvise(area, kPage, MADV_DONTNEED));
  printf("zero %d\n", area[0]);
  SHOW(madvise(area + 1, kPage, MADV_DONTNEED));
  SHOW(madvise(area, kPage, 12345));
  SHOW(madvise(area + 7 * kPage, 3 * kPage, MADV_DONTNEED));
  SHOW(madvise(area, 0, MADV_NORMAL));
  SHOW(madvise(area, kPage, MADV_FREE));
  SHOW(madvise(private_view, kPage, MADV_FREE));
  SHOW(mlock(area, kPage));
  SHOW(munlock(area, kPage));
  SHOW(mlock(area + 8 * kPage, kPage));
  unsigned char resident[4];
  SHOW(mincore(area + 1, kPage, resident));
  SHOW(mincore(area + 8 * kPage, kPage, resident));
  area[0] = 1;
  SHOW(mincore(area, kPage, resident));
  printf("resident %d\n", resident[0] & 1);
  SHOW(mincore(area, kPage, (unsigned char*)area + 8 * kPage));
  return 0;
}
