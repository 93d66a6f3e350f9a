/* A guest without a main: functions that an embedder calls (examples/embed.cpp), and one of the embedder's that it calls. */
#include <caisson/guest.h>

CAISSON_IMPORT(int, add, int, int);

CAISSON_EXPORT int sum_to(int last) {
  int sum = 0;
  for (int number = 1; number <= last; ++number) sum = add(sum, number);
  return sum;
}
