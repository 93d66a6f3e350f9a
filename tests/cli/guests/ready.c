/* A program with a C library whose functions are called after its main has set everything up. */
#include <caisson/guest.h>
#include <stdio.h>
#include <stdlib.h>

CAISSON_EXPORT unsigned long digits(unsigned long number) {
  char* text = malloc(64);
  const int length = snprintf(text, 64, "%lu", number);
  free(text);
  return (unsigned long)length;
}

int main(void) {
  puts("getting ready");
  fflush(stdout);
  free(malloc(1));
  caisson_ready();
  return 0;
}
