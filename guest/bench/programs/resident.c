/* A program that has started its C library and waits to be called: what the suite `idle` keeps many of. */
#include <caisson/guest.h>

CAISSON_EXPORT unsigned long answer(void) { return 42; }

int main(void) {
  caisson_ready();
  return 0;
}
