// oracle: expected
// caisson: --timeout=0.5 --memory=300M
// run: random
// run: zeroes
// run: write
// System calls that take long and cost little gas do not put off the end of the run.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

int main(int count, char** words) {
  const size_t size = 128 << 20;
  char* const bytes = malloc(size);
  const int zeroes = open("/dev/zero", O_RDONLY), file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
  for (const char way = count > 1 ? words[1][0] : 0;;) {
    if (way == 'r') getrandom(bytes, 32 << 20, 0);
    if (way == 'z') read(zeroes, bytes, size);
    if (way == 'w') pwrite(file, bytes, size, 0);
  }
}
