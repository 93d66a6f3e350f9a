// Functions of an image: what one remembers shows in its successor.
#include <caisson/guest.h>

static unsigned long total;
CAISSON_EXPORT unsigned long add(unsigned long a, unsigned long b) { return total += a + b; }
CAISSON_EXPORT unsigned long fail(void) { return *(volatile unsigned long*)0x20000000; }
