// Prints as it goes, so that a test sees where it was stopped and that nothing is missing or twice.
#include <stdio.h>

int main(int count, char** words) {
  unsigned long hash = 1;
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 100000; ++j) hash = hash * 31 + j;
    printf("%d %lx\n", i, hash);
    fflush(stdout);
  }
  printf("%s\n", words[count - 1]);
  return 7;
}
