/* Functions that do next to nothing: what the suite `call` measures the way to. */
#include <caisson/guest.h>

CAISSON_IMPORT(int, add, int, int);

CAISSON_EXPORT int empty(int value) { return value; }

/* Calls the host `count` times. */
CAISSON_EXPORT int call_host(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum = add(sum, i);
  return sum;
}
