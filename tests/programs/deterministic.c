// Everything that differs from run to run elsewhere: clocks, randomness, addresses, ids, sleeps, timers.
// oracle: itself
// caisson: --deterministic
// flags: -D_GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile int alarms;
static void on_alarm(int number) {
  (void)number;
  ++alarms;
}

static void show_clock(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  printf("clock %d: %ld.%09ld\n", (int)clock, (long)now.tv_sec, now.tv_nsec);
}

int main(void) {
  for (clockid_t clock = 0; clock < 8; ++clock) show_clock(clock);
  unsigned char bytes[32];
  getrandom(bytes, sizeof bytes, 0);
  for (unsigned i = 0; i < sizeof bytes; ++i) printf("%02x", bytes[i]);
  printf("\nAT_RANDOM %016lx\n", *(unsigned long*)getauxval(AT_RANDOM));
  int local;
  printf("stack %p heap %p map %p main %p\n", &local, malloc(10), mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), main);
  printf("pid %d\n", getpid());
  sleep(3600);
  show_clock(CLOCK_REALTIME);

  signal(SIGALRM, on_alarm);
  struct itimerval timer = {{0, 500}, {0, 500}};
  setitimer(ITIMER_REAL, &timer, NULL);
  unsigned long spins = 0;
  while (alarms < 5) ++spins;
  printf("spins %lu\n", spins);
  pause();
  show_clock(CLOCK_MONOTONIC);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("used %ld.%06ld\n", (long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec);
  return 0;
}
