// Ids, limits, scheduling, names: what a lone process is told and may change.
// oracle: native
// flags: -D_GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"

int main(void) {
  printf("pid is tid %d, positive %d, parent %d\n", getpid() == gettid(), getpid() > 0, getppid() > 0);
  SHOW(getpgid(0) == getpgrp());
  SHOW(getpgid(4000000));
  SHOW(getsid(4000000));
  SHOW(setpgid(4000000, 0));
  SHOW(setpgid(0, -1));

  puts("-- limits");
  struct rlimit limit = {100, 200};
  SHOW(setrlimit(RLIMIT_NOFILE, &limit));
  SHOW(getrlimit(RLIMIT_NOFILE, &limit));
  printf("%lu %lu\n", (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
  limit.rlim_cur = 300;
  SHOW(setrlimit(RLIMIT_NOFILE, &limit));
  SHOW(getrlimit(99, &limit));
  SHOW(prlimit(0, RLIMIT_NOFILE, NULL, &limit));
  SHOW(prlimit(4000000, RLIMIT_NOFILE, NULL, &limit));
  SHOW(syscall(SYS_getrlimit, RLIMIT_NOFILE, 1));
  struct rusage usage;
  SHOW(getrusage(RUSAGE_SELF, &usage));
  SHOW(getrusage(RUSAGE_CHILDREN, &usage));
  printf("children %ld\n", (long)usage.ru_utime.tv_sec);
  SHOW(getrusage(55, &usage));
  struct tms times_used;
  printf("times %d\n", times(&times_used) != (clock_t)-1);

  puts("-- names");
  char name[17] = "";
  SHOW(prctl(PR_SET_NAME, "a-name-that-is-too-long"));
  SHOW(prctl(PR_GET_NAME, name));
  printf("\"%s\"\n", name);
  SHOW(prctl(PR_GET_DUMPABLE));
  SHOW(prctl(PR_SET_DUMPABLE, 5));
  SHOW(prctl(PR_SET_PDEATHSIG, 65));
  SHOW(prctl(PR_SET_PDEATHSIG, 15));
  int signal_number = 0;
  SHOW(prctl(PR_GET_PDEATHSIG, &signal_number));
  printf("%d\n", signal_number);
  SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  SHOW(prctl(0x7fffff, 0, 0, 0, 0));
  struct utsname identity;
  SHOW(uname(&identity));
  printf("%s\n", identity.sysname);

  puts("-- scheduling");
  SHOW(sched_yield());
  SHOW(sched_getscheduler(0));
  SHOW(sched_getscheduler(-1));
  SHOW(sched_getscheduler(4000000));
  SHOW(sched_get_priority_max(SCHED_FIFO));
  SHOW(sched_get_priority_min(SCHED_OTHER));
  SHOW(sched_get_priority_min(77));
  struct sched_param parameter = {0};
  SHOW(sched_getparam(0, &parameter));
  SHOW(sched_setscheduler(0, SCHED_BATCH, &parameter));
  SHOW(sched_setscheduler(0, SCHED_OTHER, &parameter));
  SHOW(getpriority(PRIO_PROCESS, 0));
  SHOW(setpriority(PRIO_PROCESS, 0, 5));
  SHOW(getpriority(PRIO_PROCESS, 0));
  SHOW(getpriority(9, 0));
  cpu_set_t processors;
  CPU_ZERO(&processors);
  SHOW(sched_setaffinity(0, sizeof processors, &processors));
  printf("affinity %d\n", sched_getaffinity(0, sizeof processors, &processors) == 0 && CPU_COUNT(&processors) > 0);
  SHOW(syscall(SYS_sched_getaffinity, 0, 3, &processors));

  return 0;
}
