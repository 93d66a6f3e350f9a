// Recursive Fibonacci numbers: calls and returns.
#include "kernel.h"

namespace {

[[gnu::noinline]] std::uint64_t fibonacci(std::uint64_t n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) checksum = kernel::mix(checksum, fibonacci(20 + checksum % 2));
  return checksum;
}
