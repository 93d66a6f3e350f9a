// A hundred thousand chained products modulo 2^64 - 2^32 + 1 a round: wide multiplication.
#include "goldilocks_field.h"
#include "kernel.h"

std::uint64_t run(std::uint64_t rounds) {
  std::uint64_t value = 7;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::uint64_t factor = value;
    for (unsigned step = 0; step < 100'000; ++step) value = kernel::multiply(value, factor);
  }
  return value;
}
