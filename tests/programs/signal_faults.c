// Faults as signals: which, where, why, and how programs go on after them.
// flags: -D_GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "check.h"

static sigjmp_buf back;
static siginfo_t last;
static uintptr_t fault_pc;

static void escape(int number, siginfo_t* info, void* context) {
  (void)number;
  last = *info;
  fault_pc = ((ucontext_t*)context)->uc_mcontext.__gregs[REG_PC];
  siglongjmp(back, 1);
}

static void watch(int number) {
  struct sigaction action = {0};
  action.sa_sigaction = escape;
  action.sa_flags = SA_SIGINFO;
  sigaction(number, &action, NULL);
}

#define TRY(what, base, body)                                                                                  \
  do {                                                                                                         \
    if (sigsetjmp(back, 1) == 0) {                                                                             \
      body;                                                                                                    \
      printf("%s: no signal\n", what);                                                                         \
    } else {                                                                                                   \
      printf("%s: signal %d code %d offset %ld\n", what, last.si_signo, last.si_code,                          \
             (long)((uintptr_t)last.si_addr - (uintptr_t)(base)));                                             \
    }                                                                                                          \
  } while (0)

// Replaces the bad load's result and steps over it: registers and pc written in the frame must come back.
static void repair(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)info;
  ucontext_t* state = (ucontext_t*)context;
  uint16_t low = *(uint16_t*)state->uc_mcontext.__gregs[REG_PC];
  state->uc_mcontext.__gregs[REG_PC] += (low & 3) == 3 ? 4 : 2;
  state->uc_mcontext.__gregs[REG_A0] = 4711;
  ((uint64_t*)&state->uc_mcontext.__fpregs.__d.__f[8])[0] = 0x4045000000000000;  // fs0 = 42.0
}

int main(void) {
  const int watched[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP};
  for (unsigned i = 0; i < 4; ++i) watch(watched[i]);
  char* pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(pages + 4096, 4096, PROT_READ);
  munmap(pages + 8192, 4096);
  volatile char* view = pages;

  TRY("null load", 0, (void)*(volatile int*)0);
  TRY("null store", 0, *(volatile int*)8 = 1);
  TRY("store to read-only", pages, view[4096 + 5] = 1);
  TRY("load beyond", pages, (void)view[8192 + 7]);
  TRY("load of the last byte", pages, (void)view[8191]);
  mprotect(pages, 4096, PROT_NONE);
  TRY("load without permission", pages, (void)view[100]);
  mprotect(pages, 4096, PROT_READ | PROT_WRITE);
  TRY("load again", pages, (void)view[100]);
  TRY("call of data", pages, ((void (*)(void))(pages + 64))());
  TRY("call of nothing", pages, ((void (*)(void))(pages + 8192))());
  TRY("call of null", 0, ((void (*)(void))0)());
  TRY("illegal", fault_pc, __asm__ volatile(".word 0xffffffff"));
  TRY("illegal compressed", fault_pc, __asm__ volatile(".hword 0"));
  TRY("ebreak", fault_pc, __asm__ volatile("ebreak"));
  TRY("sent by raise", last.si_addr, raise(SIGSEGV));

  struct sigaction action = {0};
  action.sa_sigaction = repair;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, NULL);
  register long result __asm__("a0");
  register double number __asm__("fs0");
  __asm__ volatile("fmv.d.x %1, zero\n ld %0, 0(zero)" : "=r"(result), "=f"(number) : : "memory");
  long repaired = result;
  double float_repaired = number;
  printf("repaired %ld %g\n", repaired, float_repaired);
  return 0;
}
