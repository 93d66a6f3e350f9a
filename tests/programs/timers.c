// Timers and what they interrupt: spinning, sleeping, reading, polling.
// flags: -D_GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile int alarms;

static void on_alarm(int number) {
  (void)number;
  ++alarms;
}

static void install(int flags) {
  struct sigaction action = {0};
  action.sa_handler = on_alarm;
  action.sa_flags = flags;
  sigaction(SIGALRM, &action, NULL);
  sigaction(SIGVTALRM, &action, NULL);
}

// Again and again: the first may come before the call that it is meant to interrupt.
static void every_ms(long milliseconds) {
  struct itimerval value = {{0, milliseconds * 1000}, {0, milliseconds * 1000}};
  setitimer(ITIMER_REAL, &value, NULL);
}

static void stop_timer(void) {
  struct itimerval off = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &off, NULL);
}

static int64_t now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

int main(void) {
  install(0);
  puts("-- spinning");
  struct itimerval repeated = {{0, 2000}, {0, 2000}}, left;
  setitimer(ITIMER_REAL, &repeated, NULL);
  while (alarms < 3) {
  }
  getitimer(ITIMER_REAL, &left);
  printf("interval %ld armed %d\n", (long)left.it_interval.tv_usec, left.it_value.tv_usec > 0);
  struct itimerval off = {{0, 0}, {0, 0}};
  SHOW(setitimer(ITIMER_REAL, &off, &left));
  getitimer(ITIMER_REAL, &left);
  printf("off %ld %ld\n", (long)left.it_value.tv_usec, (long)left.it_interval.tv_usec);

  puts("-- virtual time");
  alarms = 0;
  struct itimerval once = {{0, 0}, {0, 2000}};
  setitimer(ITIMER_VIRTUAL, &once, NULL);
  while (alarms == 0) {
  }

  puts("-- nanosleep");
  every_ms(10);
  struct timespec request = {2, 0}, rest = {0, 0};
  SHOW(nanosleep(&request, &rest));
  stop_timer();
  printf("rest about 2 s %d\n", rest.tv_sec == 1 && rest.tv_nsec > 500000000);
  struct timespec brief = {0, 3000000};
  int64_t before = now(CLOCK_MONOTONIC);
  SHOW(nanosleep(&brief, NULL));
  int64_t slept = now(CLOCK_MONOTONIC) - before;
  printf("slept at least %d, not for ever %d\n", slept >= 3000000, slept < 2000000000);
  struct timespec invalid = {0, 1000000000};
  SHOW(nanosleep(&invalid, NULL));

  puts("-- absolute sleeps");
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 3000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    ++until.tv_sec;
  }
  SHOW(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL));
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  printf("reached %d\n", end.tv_sec > until.tv_sec || (end.tv_sec == until.tv_sec && end.tv_nsec >= until.tv_nsec));

  puts("-- read");
  int ends[2];
  pipe(ends);
  char byte;
  every_ms(10);
  SHOW(read(ends[0], &byte, 1));
  stop_timer();
  puts("-- poll");
  struct pollfd watched = {ends[0], POLLIN, 0};
  every_ms(10);
  SHOW(poll(&watched, 1, 2000));
  stop_timer();
  install(SA_RESTART);
  every_ms(10);
  SHOW(poll(&watched, 1, 2000));
  stop_timer();
  SHOW(poll(&watched, 1, 3));
  write(ends[1], "x", 1);
  SHOW(poll(&watched, 1, -1));

  puts("-- pause and alarm");
  alarms = 0;
  every_ms(10);
  SHOW(pause());
  stop_timer();
  printf("alarms %d\n", alarms > 0);
  SHOW(alarm(100));
  SHOW(alarm(0));
  SHOW(setitimer(9, &once, NULL));
  struct itimerval bad = {{0, 0}, {0, 1000000}};
  SHOW(setitimer(ITIMER_REAL, &bad, NULL));

  puts("-- clocks");
  int64_t first = now(CLOCK_MONOTONIC), second = now(CLOCK_MONOTONIC);
  printf("monotonic %d\n", second >= first);
  printf("coarse behind %d\n", now(CLOCK_MONOTONIC) - now(CLOCK_MONOTONIC_COARSE) < 100000000);
  struct timespec resolution;
  SHOW(clock_getres(CLOCK_MONOTONIC, &resolution));
  printf("resolution %ld %ld\n", (long)resolution.tv_sec, resolution.tv_nsec);
  SHOW(clock_gettime(99, &resolution));
  struct timeval day;
  SHOW(gettimeofday(&day, NULL));
  struct timespec real;
  clock_gettime(CLOCK_REALTIME, &real);
  printf("same day %d\n", real.tv_sec - day.tv_sec <= 1);
  return 0;
}
