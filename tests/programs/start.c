// What a program finds when it starts: arguments, environment, auxiliary vector, stack.
// flags: -D_GNU_SOURCE
// dynamic
// run:
// run: one "two words" "" four
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "check.h"

extern char** environ;

int main(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) printf("argv[%d] = \"%s\"\n", i, argv[i]);
  printf("argv[argc] %s\n", argv[argc] == NULL ? "null" : "set");
  printf("envp behind argv %d, EMPTY \"%s\", TZ \"%s\"\n", environ == argv + argc + 1, getenv("EMPTY"), getenv("TZ"));
  for (int i = 0; i + 1 < argc; ++i) printf("strings adjacent %d\n", argv[i] + strlen(argv[i]) + 1 == argv[i + 1]);
  printf("argc below argv %d\n", (int)((long*)argv)[-1] == argc);

  printf("page %lu, ticks %lu, phent %lu, secure %lu, flags %lu\n", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK),
         getauxval(AT_PHENT), getauxval(AT_SECURE), getauxval(AT_FLAGS));
  const char* path = (const char*)getauxval(AT_EXECFN);
  printf("path ends in \"%s\"\n", strrchr(path, '/'));
  printf("aligned %d\n", (int)(((uintptr_t)argv - 8) % 16));
  printf("random %s, platform %s\n", getauxval(AT_RANDOM) ? "there" : "missing", getauxval(AT_PLATFORM) ? "set" : "null");
  const ElfW(Phdr)* headers = (const ElfW(Phdr)*)getauxval(AT_PHDR);
  int loads = 0;
  for (unsigned long i = 0; i < getauxval(AT_PHNUM); ++i) loads += headers[i].p_type == PT_LOAD;
  printf("loads %d, interpreter %s\n", loads, getauxval(AT_BASE) ? "there" : "none");
  const char letters[] = "IMAFDC";
  for (const char* letter = letters; *letter; ++letter) printf("%c %d ", *letter, (int)(getauxval(AT_HWCAP) >> (*letter - 'A') & 1));
  printf("\n");
  return argc;
}
