/* Suite `recurse-data`: every level of a recursion reads 64 KiB that all levels share and writes a page of its own. */
#include <caisson/guest.h>
#include <caisson/capabilities.h>

enum { kRecurseData = 0, kChild = 1, kPatternBytes = 65536, kStep = 64 };

/* Byte i is i & 0xFF. */
__asm__(
    ".section .rodata.pattern, \"a\", @progbits\n"
    ".balign 4096\n"
    "pattern:\n"
    ".rept 256\n"
    ".set value, 0\n"
    ".rept 256\n"
    ".byte value\n"
    ".set value, value + 1\n"
    ".endr\n"
    ".endr\n"
    ".text\n");
extern const volatile unsigned char pattern[kPatternBytes];

/* Not zeros, so that the image holds it. */
static volatile unsigned char page[4096] __attribute__((aligned(4096))) = {0xA5};

/* The sum of every 64th byte of the pattern, and depth & 0xFF as the own page has it: 98304 + (depth & 0xFF). Anything else is an error of this level or
 * of one below. */
CAISSON_EXPORT unsigned long recurse_data(unsigned long depth) {
  unsigned long sum = 0;
  for (unsigned long i = 0; i < kPatternBytes; i += kStep) sum += pattern[i];
  if (page[0] != 0xA5 || page[1] != 0) return 1; /* another level's writes would show */
  page[0] = 0;
  page[1] = (unsigned char)depth;
  if (depth != 0) {
    if (caisson_derive_spawn(CAISSON_OWN_IMAGE, kChild)) return 2;
    struct caisson_result child = caisson_host_call(kChild, kRecurseData, depth - 1, 0, 0, 0, 0, 0);
    caisson_drop(kChild);
    if (child.error || child.value != sum + ((depth - 1) & 0xFF)) return 3;
  }
  unsigned long result = sum + page[1];
  page[0] = 0xA5; /* the root is called again */
  page[1] = 0;
  return result;
}
