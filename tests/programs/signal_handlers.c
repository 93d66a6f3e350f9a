// Handlers: arguments, masks, order, queues, flags.
// oracle: native
// flags: -D_GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile int depth;
static volatile int nested;  // how often the handler of SIGUSR1 may still raise signals itself

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)context;
  sigset_t mask;
  sigprocmask(SIG_BLOCK, NULL, &mask);
  printf("%*shandler %d code %d value %d self-blocked %d usr2-blocked %d\n", 2 * depth, "", number, info->si_code,
         info->si_code == SI_QUEUE ? info->si_value.sival_int : 0, sigismember(&mask, number), sigismember(&mask, SIGUSR2));
  if (info->si_code == SI_USER || info->si_code == SI_TKILL) printf("%*sfrom self %d\n", 2 * depth, "", info->si_pid == getpid());
  if (number == SIGUSR1 && nested > 0) {
    --nested;
    ++depth;
    raise(SIGUSR2);
    raise(SIGUSR1);
    --depth;
    printf("handler leaves\n");
  }
}

static void install(int number, int flags, int also_blocked) {
  struct sigaction action = {0};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | flags;
  if (also_blocked) sigaddset(&action.sa_mask, also_blocked);
  SHOW(sigaction(number, &action, NULL));
}

int main(void) {
  install(SIGUSR1, 0, 0);
  install(SIGUSR2, 0, 0);
  nested = 1;
  SHOW(raise(SIGUSR1));
  puts("-- SIGUSR2 blocked by the action");
  install(SIGUSR1, 0, SIGUSR2);
  nested = 1;
  SHOW(raise(SIGUSR1));
  puts("-- SA_NODEFER");
  install(SIGUSR1, SA_NODEFER, 0);
  nested = 1;
  SHOW(raise(SIGUSR1));
  puts("-- SA_RESETHAND");
  install(SIGUSR2, SA_RESETHAND, 0);
  SHOW(kill(getpid(), SIGUSR2));
  struct sigaction old;
  sigaction(SIGUSR2, NULL, &old);
  printf("default again %d, flags %x\n", old.sa_handler == SIG_DFL, (unsigned)old.sa_flags & ~0x04000000u);

  puts("-- pending in order");
  sigset_t all, set, pending;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &set);
  for (int number = SIGRTMIN + 3; number >= SIGRTMIN; --number) install(number, 0, 0);
  install(SIGUSR2, 0, 0);
  install(SIGHUP, 0, 0);
  for (int i = 0; i < 3; ++i) {
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i});
    kill(getpid(), SIGUSR2);
  }
  sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 20});
  kill(getpid(), SIGHUP);
  sigpending(&pending);
  for (int number = 1; number <= 64; ++number) {
    if (sigismember(&pending, number) == 1) printf("pending %d\n", number);
  }
  sigprocmask(SIG_SETMASK, &set, NULL);

  puts("-- ignored signals vanish");
  sigprocmask(SIG_BLOCK, &all, NULL);
  kill(getpid(), SIGHUP);
  signal(SIGHUP, SIG_IGN);
  sigpending(&pending);
  printf("pending %d\n", sigismember(&pending, SIGHUP));
  sigprocmask(SIG_SETMASK, &set, NULL);
  kill(getpid(), SIGHUP);
  kill(getpid(), SIGCHLD);
  kill(getpid(), SIGURG);
  kill(getpid(), SIGCONT);

  puts("-- sigsuspend");
  sigprocmask(SIG_BLOCK, &all, NULL);
  install(SIGUSR1, SA_NODEFER, 0);
  kill(getpid(), SIGUSR1);
  sigset_t none;
  sigemptyset(&none);
  SHOW(sigsuspend(&none));
  sigprocmask(SIG_BLOCK, NULL, &set);
  printf("blocked again %d\n", sigismember(&set, SIGUSR1));

  puts("-- sigtimedwait");
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGRTMIN + 2);
  sigaddset(&wanted, SIGCHLD);
  siginfo_t info;
  struct timespec soon = {0, 1000000};
  SHOW(sigtimedwait(&wanted, &info, &soon));
  sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 77});
  SHOW(sigtimedwait(&wanted, &info, &soon) - SIGRTMIN);
  printf("value %d code %d\n", info.si_value.sival_int, info.si_code);
  kill(getpid(), SIGCHLD);
  SHOW(sigwaitinfo(&wanted, &info));

  puts("-- errors");
  SHOW(kill(getpid(), 65));
  SHOW(kill(getpid(), 0));
  SHOW(kill(999999, 0));
  SHOW(raise(0));
  struct sigaction action = {0};
  SHOW(sigaction(SIGKILL, &action, NULL));
  SHOW(sigaction(SIGSTOP, &action, NULL));
  SHOW(sigaction(0, &action, NULL));
  SHOW(sigaction(65, &action, NULL));
  SHOW(sigprocmask(99, &none, NULL));
  sigaddset(&none, SIGKILL);
  SHOW(sigprocmask(SIG_SETMASK, &none, NULL));
  sigprocmask(SIG_BLOCK, NULL, &set);
  printf("SIGKILL blocked %d\n", sigismember(&set, SIGKILL));
  return 0;
}
