// futex of a single thread.
// flags: -D_GNU_SOURCE
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static uint32_t word = 5, other = 0;
static long futex(uint32_t* address, int operation, uint32_t value, void* timeout, uint32_t* address2, uint32_t value3) {
  return syscall(SYS_futex, address, operation, value, timeout, address2, value3);
}
static void nothing(int number) { (void)number; }

int main(void) {
  struct timespec soon = {0, 2000000}, bad = {0, -1}, past = {1, 0};
  SHOW(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0));
  SHOW(futex(&word, FUTEX_WAIT_PRIVATE, 5, &soon, NULL, 0));
  SHOW(futex(&word, FUTEX_WAIT, 5, &bad, NULL, 0));
  SHOW(futex(NULL, FUTEX_WAIT, 5, &soon, NULL, 0));
  SHOW(futex((uint32_t*)((char*)&word + 1), FUTEX_WAIT, 5, &soon, NULL, 0));
  SHOW(futex(&word, FUTEX_WAIT_BITSET, 5, &past, NULL, FUTEX_BITSET_MATCH_ANY));
  SHOW(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &past, NULL, FUTEX_BITSET_MATCH_ANY));
  SHOW(futex(&word, FUTEX_WAIT_BITSET, 5, &past, NULL, 0));
  SHOW(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
  SHOW(futex((uint32_t*)((char*)&word + 2), FUTEX_WAKE, 1, NULL, NULL, 0));
  SHOW(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
  SHOW(futex(&word, FUTEX_REQUEUE, 1, (void*)1, &other, 0));
  SHOW(futex(&word, FUTEX_CMP_REQUEUE, 1, (void*)1, &other, 5));
  SHOW(futex(&word, FUTEX_CMP_REQUEUE, 1, (void*)1, &other, 6));
  SHOW(futex(&word, FUTEX_WAKE_OP, 1, (void*)1, &other, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 0)));
  printf("other %u\n", other);
  SHOW(futex(&word, FUTEX_WAKE_OP, 1, (void*)1, &other, FUTEX_OP(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_GT, 0)));
  printf("other %u\n", other);
  SHOW(futex(&word, FUTEX_WAKE_OP, 1, (void*)1, &other, FUTEX_OP(FUTEX_OP_SET, -1, FUTEX_OP_CMP_GT, 0)));
  printf("other %u\n", other);
  uint32_t lock = 0;
  SHOW(futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  printf("owned %d\n", lock == (uint32_t)syscall(SYS_gettid));
  SHOW(futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  SHOW(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  SHOW(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  SHOW(futex(&word, 99, 0, NULL, NULL, 0));

  struct sigaction action = {0};
  action.sa_handler = nothing;
  sigaction(SIGALRM, &action, NULL);
  // Again and again: the first may come before the wait that it is meant to interrupt.
  struct itimerval timer = {{0, 10000}, {0, 10000}};
  setitimer(ITIMER_REAL, &timer, NULL);
  SHOW(futex(&word, FUTEX_WAIT, 5, NULL, NULL, 0));
  struct timespec long_time = {100, 0};
  SHOW(futex(&word, FUTEX_WAIT, 5, &long_time, NULL, 0));
  return 0;
}
