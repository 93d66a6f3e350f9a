// brk: growth, shrinking, refusal.
// oracle: native
// flags: -D_GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static char* move_to(char* end) { return (char*)syscall(SYS_brk, end); }

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  char* start = move_to(NULL);
  printf("grows %d\n", move_to(start + 100000) == start + 100000);
  memset(start, 1, 100000);
  printf("grows by a byte %d\n", move_to(start + 100001) == start + 100001);
  printf("shrinks %d\n", move_to(start + 10) == start + 10);
  printf("grows again %d\n", move_to(start + 100000) == start + 100000);
  printf("new pages are zero %d, old bytes stay %d\n", start[50000] == 0, start[9]);
  printf("too low %d\n", move_to((char*)4096) == start + 100000);
  printf("too high %d\n", move_to((char*)(uintptr_t)-4096) == start + 100000);
  char* wall = (char*)(((uintptr_t)start + 1000000) & ~4095ul);
  printf("wall %d\n", mmap(wall, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == wall);
  printf("stops at it %d\n", move_to(wall + 8192) == start + 100000);
  return 0;
}
