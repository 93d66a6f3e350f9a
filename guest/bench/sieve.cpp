// Prime numbers below 100 000 by the sieve of Eratosthenes; there are 9592.
#include "kernel.h"

namespace {

constexpr std::size_t kLimit = 100'000;
bool composite[kLimit];

std::uint64_t count_primes() {
  for (bool& flag : composite) flag = false;
  std::uint64_t count = 0;
  for (std::size_t candidate = 2; candidate < kLimit; ++candidate) {
    if (composite[candidate]) continue;
    ++count;
    for (std::size_t multiple = candidate * candidate; multiple < kLimit; multiple += candidate)
      composite[multiple] = true;
  }
  return count;
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  std::uint64_t total = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) total += count_primes();
  return total;
}
