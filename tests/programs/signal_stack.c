// The alternate signal stack: flags, overflow of the normal stack, nested use.
// flags: -D_GNU_SOURCE -O1
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "check.h"

static char space[65536] __attribute__((aligned(16)));
static sigjmp_buf back;

static int on_space(const void* address) { return (const char*)address >= space && (const char*)address < space + sizeof space; }

static void show_stack(const char* where) {
  stack_t stack;
  sigaltstack(NULL, &stack);
  printf("%s: flags %d size %zu base %d\n", where, stack.ss_flags, stack.ss_size, stack.ss_sp == space);
}

static void on_signal(int number, siginfo_t* info, void* context) {
  int local;
  printf("handler %d on the alternate stack %d, frame %d, context says %d\n", number, on_space(&local), on_space(info),
         ((ucontext_t*)context)->uc_stack.ss_sp == space);
  show_stack("inside");
  stack_t other = {.ss_sp = space, .ss_size = sizeof space};
  SHOW(sigaltstack(&other, NULL));
  if (number == SIGUSR1) raise(SIGUSR2);
  if (number == SIGSEGV) siglongjmp(back, 1);
}

static int overflow(int depth) {
  volatile char frame[4096];
  frame[0] = (char)depth;
  return overflow(depth + 1) + frame[0];
}

static void install(int number, int flags) {
  struct sigaction action = {0};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | flags;
  sigaction(number, &action, NULL);
}

int main(void) {
  stack_t none;
  SHOW(sigaltstack(NULL, &none));
  printf("flags %d size %zu\n", none.ss_flags, none.ss_size);
  stack_t stack = {.ss_sp = space, .ss_size = sizeof space};
  SHOW(sigaltstack(&stack, NULL));
  show_stack("set");
  install(SIGUSR1, SA_ONSTACK);
  install(SIGUSR2, SA_ONSTACK);
  install(SIGHUP, 0);
  install(SIGSEGV, SA_ONSTACK);
  raise(SIGUSR1);
  raise(SIGHUP);
  if (sigsetjmp(back, 1) == 0) overflow(0);
  puts("back from overflow");
  if (sigsetjmp(back, 1) == 0) overflow(0);
  puts("back from overflow again");

  stack_t tiny = {.ss_sp = space, .ss_size = 100};
  SHOW(sigaltstack(&tiny, NULL));
  stack_t odd = {.ss_sp = space, .ss_size = sizeof space, .ss_flags = 8};
  SHOW(sigaltstack(&odd, NULL));
  stack_t disabled = {.ss_flags = SS_DISABLE};
  SHOW(sigaltstack(&disabled, NULL));
  sigaltstack(NULL, &none);
  printf("flags %d\n", none.ss_flags);
  raise(SIGHUP);
  return 0;
}
