// oracle: expected
// caisson: --memory=64M
// run: truncate
// run: append
// run: discard
// run: signals
// Ways to make the host hold more for a guest than its memory limit, without mapping it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { kMebibyte = 1 << 20, kMany = 256 };

// A memory file that is lengthened by its name. The number of MiB that it can get.
static int truncate_by_name(void) {
  const int file = memfd_create("x", 0);
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  return truncate(path, (off_t)kMany * kMebibyte) == 0 ? kMany : 0;
}

// pwrite() on a file with O_APPEND appends whatever the offset.
static int append_at_zero(void) {
  const int file = memfd_create("x", 0);
  fcntl(file, F_SETFL, O_APPEND);
  static char bytes[kMebibyte];
  int written = 0;
  while (written < kMany && pwrite(file, bytes, sizeof bytes, 0) == sizeof bytes) ++written;
  return written;
}

// Shared pages that nobody may touch any more, but that are still there.
static int discard_shared(void) {
  int held = 0;
  for (; held < kMany; held += 16) {
    char* const pages = mmap(0, 16 * kMebibyte, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) break;
    memset(pages, 1, 16 * kMebibyte);
    mprotect(pages, 16 * kMebibyte, PROT_NONE);
    madvise(pages, 16 * kMebibyte, MADV_DONTNEED);
  }
  return held;
}

// Signals that wait for ever.
static int queue_signals(void) {
  const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_SIGPENDING, &unlimited);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, 0);
  int queued = 0;
  while (queued < kMany * 1024 && sigqueue(getpid(), SIGRTMIN + 1, (union sigval){0}) == 0) ++queued;
  return queued / 1024;
}

int main(int count, char** words) {
  int (*const ways[])(void) = {truncate_by_name, append_at_zero, discard_shared, queue_signals};
  const char* const names[] = {"truncate", "append", "discard", "signals"};
  for (int way = 0; way < 4; ++way) {
    if (count < 2 || strcmp(words[1], names[way]) != 0) continue;
    const int held = ways[way]();
    if (held > 64) return printf("%s: %d MiB\n", names[way], held), 1;
    puts("ok");
    return 0;
  }
  return 2;
}
