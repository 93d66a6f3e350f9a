// Runs random code on pages whose bytes, permissions and places change all the time: W+X pages, aliases of one memory file, code that
// straddles pages, entries in the middle of instructions. What it prints must not depend on how decoded code is kept.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "random_numbers.h"

enum { kPages = 3, kBytes = kPages * 4096 };

static uint8_t* code;   // where it runs
static uint8_t* alias;  // the same pages, writable
static uint64_t digest = 1469598103934665603u;
static void mix(uint64_t value) { digest = (digest ^ value) * 1099511628211u; }

static sigjmp_buf escape;
static uint64_t thread_pointer;
static void on_fault(int number, siginfo_t* info, void* opaque) {
  __asm__ volatile("mv tp, %0" : : "r"(thread_pointer));  // the code may have changed it
  const ucontext_t* context = opaque;
  mix((uint64_t)number << 32 | (uint32_t)info->si_code);
  for (int index = 0; index < 32; ++index) mix(context->uc_mcontext.__gregs[index]);
  siglongjmp(escape, 1);
}

// One instruction that leaves sp, gp and tp alone: most of them on t0…t2 and a0…a7, some transfers within the pages, some stores into them.
static uint32_t instruction(uint32_t at) {
  const uint32_t rd = 10 + below(8), rs1 = 10 + below(8), rs2 = 10 + below(8);
  switch (below(16)) {
    case 0: case 1: case 2: return 0x13 | rd << 7 | below(8) << 12 | rs1 << 15 | below(32) << 20;                 // immediate forms
    case 3: case 4: return 0x33 | rd << 7 | below(8) << 12 | rs1 << 15 | rs2 << 20 | (below(4) ? 0 : 1u << 25);   // register forms
    case 5: case 6: {                                                                                             // branch
      const int32_t distance = ((int32_t)below(256) - 128) * 2;
      const uint32_t imm = (uint32_t)distance;
      const uint32_t kinds[] = {0, 1, 4, 5, 6, 7};
      return 0x63 | (imm >> 11 & 1) << 7 | (imm >> 1 & 15) << 8 | kinds[below(6)] << 12 | rs1 << 15 | rs2 << 20 | (imm >> 5 & 63) << 25 |
             (imm >> 12 & 1) << 31;
    }
    case 7: {                                                                                                     // jal
      const uint32_t imm = (uint32_t)(((int32_t)below(4096) - 2048) * 2);
      return 0x6f | (below(2) ? 0 : rd) << 7 | (imm >> 12 & 255) << 12 | (imm >> 11 & 1) << 20 | (imm >> 1 & 1023) << 21 | (imm >> 20 & 1) << 31;
    }
    case 8: return 0x23 | (below(4)) << 12 | 5 << 15 | rs2 << 20 | (below(32)) << 7 | below(64) << 25;            // store at t0 + 0…2047
    case 9: return 0x03 | rd << 7 | below(7) << 12 | 5 << 15 | below(2048) << 20;                                 // load from t0 + 0…2047
    case 10: return 0x17 | rd << 7 | below(16) << 12;                                                             // auipc
    case 11: return 0x0000100f;                                                                                   // fence.i
    case 12: return 0x00008067;                                                                                   // ret
    case 13: return 0x00010001u | below(32) << 7 | (below(2) ? 0x4501u : 0x0505u) << 16 | at % 2;                 // compressed pairs
    case 14: return (uint32_t)next() | 0x00ff007f;                                                                // no instruction
    default: return 0x67 | rd << 7 | 5 << 15 | (below(1024) * 2) << 20;                                           // jalr t0 + 0…2046
  }
}

static void run(uint32_t entry) {
  // Virtual time is driven by gas under --deterministic.
  static const struct itimerval limit = {{0, 0}, {0, 100}}, none;
  if (sigsetjmp(escape, 1)) {
    setitimer(ITIMER_VIRTUAL, &none, 0);
    return;
  }
  setitimer(ITIMER_VIRTUAL, &limit, 0);
  register uint64_t t0 __asm__("t0") = (uint64_t)code + below(2) * 4096;
  register uint64_t target __asm__("t6") = (uint64_t)code + entry;
  register uint64_t a0 __asm__("a0") = 0;
  __asm__ volatile("li a1, 1\nli a2, -1\nli a3, 64\nli a4, 7\nmv a5, t6\nli a6, 0\nli a7, 0x7fff\nli t1, 0\nli t2, 0\nli t3, 0\nli t4, 0\nli t5, 0\njalr ra, t6\n"
                   : "+r"(a0), "+r"(t0), "+r"(target)
                   :
                   : "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t1", "t2", "t3", "t4", "t5", "ra", "memory", "s0", "s1", "s2", "s3", "s4", "s5",
                     "s6", "s7", "s8", "s9", "s10", "s11");
  setitimer(ITIMER_VIRTUAL, &none, 0);
  mix(a0);
}

int main(int count, char** words) {
  seed_random(count > 1 ? words[1] : NULL);
  const int rounds = count > 2 ? atoi(words[2]) : 300;
  const int file = memfd_create("code", 0);
  if (ftruncate(file, kBytes) != 0) return 1;
  alias = mmap(0, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  code = mmap((void*)0x40000000, kBytes, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, file, 0);

  __asm__ volatile("mv %0, tp" : "=r"(thread_pointer));
  static uint8_t stack[1 << 16];
  const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, 0);
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  action.sa_sigaction = on_fault;
  const int signals[] = {SIGILL, SIGSEGV, SIGBUS, SIGTRAP, SIGVTALRM, SIGALRM};
  for (unsigned index = 0; index < sizeof signals / sizeof *signals; ++index) sigaction(signals[index], &action, 0);

  for (int round = 0; round < rounds; ++round) {
    for (int words_written = 0; words_written < 200; ++words_written) {
      const uint32_t at = below(kBytes / 2 - 1) * 2;
      const uint32_t word = instruction(at);
      memcpy(alias + at, &word, 4);
    }
    static const int kPermissions[] = {PROT_READ | PROT_EXEC, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC, PROT_READ, PROT_NONE};
    for (int page = 0; page < kPages; ++page) {
      uint8_t* const place = code + page * 4096;
      switch (below(6)) {
        case 0: {  // a private copy, which the decoder may keep
          uint8_t copy[4096];
          memcpy(copy, alias + page * 4096, 4096);
          mmap(place, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
          memcpy(place, copy, 4096);
          break;
        }
        case 1: mmap(place, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, file, below(kPages) * 4096); break;
        case 2: mmap(place, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, page * 4096); break;
        default: break;
      }
      mprotect(place, 4096, kPermissions[below(5)]);
    }
    for (int entry = 0; entry < 12; ++entry) run(below(kBytes / 2) * 2);
    if (below(8) == 0) pwrite(file, "\x67\x80\x00\x00", 4, below(kBytes - 4));
  }
  printf("%016llx\n", (unsigned long long)digest);
  return 0;
}
