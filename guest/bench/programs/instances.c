/* Instances that derive and call others, answer at once, or end in one of the ways that a call can: suites `recurse`, `ptcache`, `lifecycle`, `raw`. */
#include <caisson/guest.h>
#include <caisson/capabilities.h>

/* Endpoints, in the order of bench/kernel_bench.h. */
enum { kEcho = 0, kRecurse = 1, kFail = 3, kFailInChild = 4 };

enum { kChild = 1 };

CAISSON_EXPORT unsigned long echo(unsigned long value) { return value; }

/* The depth, counted on the way back, or an error of one of the levels, which is above 1 000 000 then. */
CAISSON_EXPORT unsigned long recurse(unsigned long depth) {
  if (depth == 0) return 0;
  unsigned long error = caisson_derive_spawn(CAISSON_OWN_IMAGE, kChild);
  if (error) return 1000000 * error;
  struct caisson_result child = caisson_host_call(kChild, kRecurse, depth - 1, 0, 0, 0, 0, 0);
  caisson_drop(kChild);
  return child.error ? 1000000 * child.error : child.value + 1;
}

/* Derives one child and calls it `count` times: the sum of what it echoes. */
CAISSON_EXPORT unsigned long call_one_child(unsigned long count) {
  unsigned long sum = 0;
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, kChild)) return ~0ul;
  for (unsigned long i = 0; i < count; ++i) {
    struct caisson_result child = caisson_host_call(kChild, kEcho, i, 0, 0, 0, 0, 0);
    if (child.error) return ~0ul;
    sum += child.value;
  }
  caisson_drop(kChild);
  return sum;
}

static volatile unsigned long counter;

CAISSON_EXPORT unsigned long fail(unsigned long how) {
  switch (how) {
    case 0: return *(volatile unsigned long*)0x20000000;               /* nothing is there */
    case 1: *(volatile unsigned long*)(unsigned long)&fail = 0; break; /* code is not writable */
    case 2: __asm__ volatile(".4byte 0"); break;                       /* not an instruction */
    case 3: __asm__ volatile("ebreak"); break;
    case 4: __asm__ volatile("li a7, 0x77\n ecall" ::: "a7", "a0"); break; /* nobody's call */
    case 5: for (;;) counter = counter + 1;                                /* until the gas is gone */
    case 6: ((void (*)(void))0x20000000)(); break;                         /* no code there */
    case 7: return *(volatile unsigned long*)0;
    case 8: return *(volatile unsigned long*)0x8000000000000000;
    case 9: caisson_reply(55);
    case 10: return caisson_operation(63, 0, 0, 0, 0).error; /* not an operation */
    case 11: return caisson_host_yield(1, 5).error;          /* nobody catches */
  }
  return how;
}

/* What the caller is told of a child that fails: value << 8 | error. */
CAISSON_EXPORT unsigned long fail_in_child(unsigned long how, unsigned long gas) {
  const unsigned long arguments[6] = {how, 0, 0, 0, 0, 0};
  caisson_drop(kChild); /* of a call that was given up */
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, kChild)) return ~0ul;
  struct caisson_result child = caisson_host_call_with(kChild, kFail, gas, CAISSON_NO_SLOT, 0, arguments);
  caisson_drop(kChild);
  return child.value << 8 | child.error;
}
