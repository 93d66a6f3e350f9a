// A Linux program for `caisson run`: the first argument says what it does.
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static int show(int argc, char **argv) {
  char directory[256];
  for (int i = 2; i < argc; ++i) printf("argument %s\n", argv[i]);
  for (char **variable = environ; *variable != NULL; ++variable) printf("variable %s\n", *variable);
  printf("directory %s\n", getcwd(directory, sizeof directory));
  return 0;
}

static int copy(const char *path) {
  char line[256];
  FILE *file = fopen(path, "r");
  if (file == NULL) return 1;
  while (fgets(line, sizeof line, file) != NULL) fputs(line, stdout);
  return fclose(file);
}

static int create(const char *path) {
  FILE *file = fopen(path, "w");
  if (file == NULL) return 1;
  fputs("written by the guest\n", file);
  return fclose(file);
}

// Touches `megabytes` of fresh memory; 3 where there is not enough.
static int use_memory(int megabytes) {
  for (int i = 0; i < megabytes; ++i) {
    char *block = malloc(1 << 20);
    if (block == NULL) return 3;
    memset(block, i, 1 << 20);
  }
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "exit";
  const char *operand = argc > 2 ? argv[2] : "0";
  if (strcmp(what, "exit") == 0) return atoi(operand);
  if (strcmp(what, "show") == 0) return show(argc, argv);
  if (strcmp(what, "copy") == 0) return copy(operand);
  if (strcmp(what, "create") == 0) return create(operand);
  if (strcmp(what, "memory") == 0) return use_memory(atoi(operand));
  if (strcmp(what, "signal") == 0) return raise(atoi(operand));
  if (strcmp(what, "fault") == 0) return *(volatile int *)8;
  if (strcmp(what, "unknown-call") == 0) return syscall(1999) == -1 ? 0 : 1;
  for (;;) {  // "loop"
  }
}
