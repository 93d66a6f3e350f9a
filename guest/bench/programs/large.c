/* 64 MiB of memory that are all written: what forks and seals are measured with, in suite `call`. */
#include <caisson/guest.h>

enum { kPages = 16384, kPageBytes = 4096 };

static volatile unsigned char memory[(unsigned long)kPages * kPageBytes] __attribute__((aligned(4096)));

/* Writes each page; no two are equal. */
CAISSON_EXPORT unsigned long fill(void) {
  for (unsigned long i = 0; i < kPages; ++i) *(volatile unsigned long*)(memory + i * kPageBytes) = i + 1;
  return kPages;
}

/* Writes `pages` pages that lie apart. */
CAISSON_EXPORT unsigned long dirty(unsigned long pages, unsigned long value) {
  for (unsigned long i = 0; i < pages; ++i)
    *(volatile unsigned long*)(memory + i * (kPages / 64) % kPages * kPageBytes + 8) = value;
  return *(volatile unsigned long*)(memory + 8);
}

CAISSON_EXPORT unsigned long read_page(unsigned long page) { return *(volatile unsigned long*)(memory + page * kPageBytes); }
