// An executable stack, and code that a program writes for itself.
// flags: -D_GNU_SOURCE -z execstack
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static int apply(int (*function)(int), int value) { return function(value); }

int main(void) {
  int base = 40;
  int add(int value) { return base + value; }  // needs a trampoline on the stack
  printf("%d\n", apply(add, 2));
  base = 50;
  printf("%d\n", apply(add, 2));

  uint32_t* code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int round = 1; round <= 3; ++round) {
    mprotect(code, 4096, PROT_READ | PROT_WRITE);
    code[0] = 0x00000513 | (uint32_t)round << 20;  // li a0, round
    code[1] = 0x00008067;                          // ret
    mprotect(code, 4096, PROT_READ | PROT_EXEC);
    __builtin___clear_cache((char*)code, (char*)(code + 2));
    printf("%d\n", ((int (*)(void))code)());
  }
  mprotect(code, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
  for (int round = 4; round <= 6; ++round) {
    code[0] = 0x00000513 | (uint32_t)round << 20;
    __builtin___clear_cache((char*)code, (char*)(code + 2));
    printf("%d\n", ((int (*)(void))code)());
  }
  return 0;
}
