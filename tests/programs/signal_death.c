// How a process ends: exit codes and deaths by signals, as a shell sees them.
// flags: -D_GNU_SOURCE
// run: exit 0
// run: exit 255
// run: exit 256
// run: exit -1
// run: raise 15
// run: raise 9
// run: raise 10
// run: raise 17
// run: abort
// run: null
// run: illegal
// run: ignored-fault
// run: blocked-fault
// run: bad-stack
// run: bad-return
// run: blocked-term
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void nothing(int number) { (void)number; }

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  const char* how = argv[1];
  sigset_t all;
  sigfillset(&all);
  if (strcmp(how, "exit") == 0) _exit(atoi(argv[2]));
  if (strcmp(how, "raise") == 0) raise(atoi(argv[2]));
  if (strcmp(how, "abort") == 0) abort();
  if (strcmp(how, "null") == 0) *(volatile int*)0 = 1;
  if (strcmp(how, "illegal") == 0) __builtin_trap();
  if (strcmp(how, "ignored-fault") == 0) {
    signal(SIGSEGV, SIG_IGN);
    *(volatile int*)0 = 1;
  }
  if (strcmp(how, "blocked-fault") == 0) {
    signal(SIGSEGV, nothing);
    sigprocmask(SIG_BLOCK, &all, NULL);
    *(volatile int*)0 = 1;
  }
  if (strcmp(how, "bad-stack") == 0) {
    signal(SIGUSR1, nothing);
    __asm__ volatile("li a0, 0\n li a7, 172\n ecall\n mv s1, a0\n li sp, 64\n mv a0, s1\n li a1, 10\n li a7, 129\n ecall" ::: "a0", "a1", "a7", "s1", "memory");
  }
  if (strcmp(how, "bad-return") == 0) __asm__ volatile("li sp, 64\n li a7, 139\n ecall");
  if (strcmp(how, "blocked-term") == 0) {
    sigprocmask(SIG_BLOCK, &all, NULL);
    raise(SIGTERM);
    puts("still here");
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    puts("not reached");
  }
  puts("survived");
  return 7;
}
