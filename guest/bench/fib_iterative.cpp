// Fibonacci numbers modulo 2^64, a million iterations a round: the tightest loop of dependent additions.
#include "kernel.h"

std::uint64_t run(std::uint64_t rounds) {
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::uint64_t current = checksum, next = 1;
    for (unsigned iteration = 0; iteration < 1'000'000; ++iteration) {
      const std::uint64_t sum = current + next;
      current = next;
      next = sum;
    }
    checksum = current;
  }
  return checksum;
}
