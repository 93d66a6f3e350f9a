// Runs a kernel under an emulator of Linux, so that the emulator's start is not part of what is measured.
//
// For each 64-bit number of rounds on standard input it runs the kernel and writes two 64-bit numbers to standard output: the
// nanoseconds that took by its own monotonic clock, and the checksum. It ends with its input. Linked without a library.
#include "kernel.h"

namespace {

constexpr long kRead = 63, kWrite = 64, kExitGroup = 94, kClockGettime = 113;
constexpr long kThreadTime = 3;  // CLOCK_THREAD_CPUTIME_ID

long system_call(long number, long first, long second, long third) {
  register long a7 __asm__("a7") = number;
  register long a0 __asm__("a0") = first;
  register long a1 __asm__("a1") = second;
  register long a2 __asm__("a2") = third;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
  return a0;
}

std::uint64_t monotonic_ns() {
  struct {
    std::int64_t seconds, nanoseconds;
  } time = {};
  system_call(kClockGettime, kThreadTime, reinterpret_cast<long>(&time), 0);
  return static_cast<std::uint64_t>(time.seconds) * 1'000'000'000 + static_cast<std::uint64_t>(time.nanoseconds);
}

}  // namespace

extern "C" [[noreturn]] void _start() {
  std::uint64_t rounds = 0;
  while (system_call(kRead, 0, reinterpret_cast<long>(&rounds), sizeof(rounds)) == sizeof(rounds)) {
    const std::uint64_t begin = monotonic_ns();
    const std::uint64_t checksum = run(rounds);
    const std::uint64_t reply[2] = {monotonic_ns() - begin, checksum};
    system_call(kWrite, 1, reinterpret_cast<long>(reply), sizeof(reply));
  }
  for (;;) system_call(kExitGroup, 0, 0, 0);
}
