// Users and groups of a process that begins as root. What is expected was printed by the same program under Linux 6.x as root,
// where it can only run on a machine that one owns.
// oracle: expected
// flags: -D_GNU_SOURCE
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include "check.h"

static void show_users(void) {
  uid_t real, effective, saved;
  getresuid(&real, &effective, &saved);
  printf("users %u %u %u\n", real, effective, saved);
}

int main(void) {
  show_users();
  SHOW(setgroups(0, NULL));
  SHOW(getgroups(0, NULL));
  gid_t groups[2] = {4, 24};
  SHOW(setgroups(2, groups));
  SHOW(getgroups(1, groups));
  SHOW(getgroups(2, groups));
  printf("%u %u\n", groups[0], groups[1]);
  SHOW(setegid(50));
  SHOW(getegid());
  SHOW(setresuid(1000, 1001, 1002));
  show_users();
  SHOW(setuid(1002));
  show_users();
  SHOW(setreuid(-1, 1000));
  show_users();
  SHOW(setuid(0));
  SHOW(setresuid(0, -1, -1));
  SHOW(setgroups(0, NULL));
  SHOW(setfsuid(1002));
  SHOW(setfsuid(-1));
  SHOW(setfsuid(0));
  SHOW(setfsuid(-1));
  SHOW(setpriority(PRIO_PROCESS, 0, 0));
  return 0;
}
