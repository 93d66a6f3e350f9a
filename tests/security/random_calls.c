// Makes random system calls with hostile arguments. Nothing it does may end the engine otherwise than the guest's own ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "random_numbers.h"

static uint8_t* scratch;  // three pages: writable, read-only, none
static char paths[24][64] = {"/",          ".",         "..",           "a",        "a/b",       "/proc/self/fd/3", "/proc/self/fd/4",  "/dev/zero",
                             "/dev/full",  "/dev/tty",  "/proc/self/maps", "/proc/self", "/proc",  "link",            "/proc/self/cwd/..", "/dev/random",
                             "new",        "/proc/self/exe", "../../..", "/dev/fd/5", "fifo",     "/ro",              "/ro/file",         ""};

static uint64_t argument(void) {
  static const uint64_t kNumbers[] = {0, 1, 2, 3, 4, 7, 8, 16, 24, 63, 64, 65, 128, 255, 256, 1023, 1024, 4095, 4096, 4097, 65535, 65536,
                                      0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
                                      0xffffffffffffffff, 0xfffffffffffff000, 0xffff0000, 0xfffeffff, 0xfffffffffffffff7, 0xffffffffffffff9c};
  switch (below(10)) {
    case 0: return kNumbers[below(sizeof kNumbers / sizeof *kNumbers)];
    case 1: return below(12);
    case 2: return (uint64_t)paths[below(24)];
    case 3: return (uint64_t)scratch + below(12288);
    case 4: return (uint64_t)scratch + 4096 - below(64);
    case 5: return (uint64_t)scratch + 4096 * below(3);
    case 6: return (uint64_t)1 << below(64);
    case 7: return next() >> below(64);
    case 8: return (uint64_t)scratch + 8192 - below(32);
    default: return kNumbers[below(sizeof kNumbers / sizeof *kNumbers)] + below(3) - 1;
  }
}

// Ends the program, waits for what never comes, or takes away the memory that it lives in.
static int is_left_out(long number) {
  switch (number) {
    case SYS_exit: case SYS_exit_group: case SYS_rt_sigreturn: case SYS_rt_sigaction: case SYS_rt_sigprocmask: case SYS_kill: case SYS_tkill:
    case SYS_tgkill: case SYS_rt_sigqueueinfo: case SYS_rt_tgsigqueueinfo: case SYS_brk: case SYS_munmap: case SYS_mremap: case SYS_mprotect:
    case SYS_madvise: case SYS_setitimer: case SYS_sync: case SYS_syncfs:
      return 1;
    default:
      return 0;
  }
}

static sigjmp_buf escape;
static volatile int armed;
static void on_signal(int number) {
  (void)number;
  if (armed) siglongjmp(escape, 1);
}

static void fill_scratch(void) {
  for (int index = 0; index < 4096; index += 8) {
    const uint64_t value = below(3) ? argument() : 0;
    memcpy(scratch + index, &value, 8);
  }
}

int main(int count, char** words) {
  seed_random(count > 1 ? words[1] : NULL);
  const long calls = count > 2 ? atol(words[2]) : 1000;
  const struct { long interval[2], value[2]; } tick = {{0, 3000}, {0, 3000}};
  scratch = mmap((void*)0x50000000, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  mprotect(scratch + 4096, 4096, PROT_READ);
  mprotect(scratch + 8192, 4096, PROT_NONE);
  signal(SIGALRM, on_signal);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  long made = 0;
  for (; made < calls; ++made) {
    long number = (long)below(462);
    if (is_left_out(number)) continue;
    // Anonymous memory at random fixed places would hit the program itself.
    uint64_t a[6];
    for (int index = 0; index < 6; ++index) a[index] = argument();
    if (number == SYS_mmap) a[3] &= ~(uint64_t)(MAP_FIXED);
    if (number == SYS_mmap && a[1] > 1 << 20) a[1] &= 0xfffff;
    if ((number == SYS_fallocate || number == SYS_ftruncate || number == SYS_truncate)) a[1] &= 0xffff, a[2] &= 0xffff, a[3] &= 0xffff;
    if (made % 16 == 0) fill_scratch();
    syscall(SYS_setitimer, 0, &tick, 0);
    armed = 1;
    if (!sigsetjmp(escape, 1)) syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    armed = 0;
    if (made % 64 == 0) {
      for (int descriptor = 32; descriptor < 64; ++descriptor) close(descriptor);
      static const char* const kOpened[] = {"a", "/", "/proc/self/maps", "/dev/zero", "fifo", "/ro/file"};
      open(kOpened[below(6)], below(4) | O_NONBLOCK | (below(2) ? O_CREAT : 0), 0644);
    }
  }
  _exit(7);
}
