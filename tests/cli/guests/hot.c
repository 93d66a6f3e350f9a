// Computes for as many rounds as it is told, in a loop and in a function that the loop calls, and prints a sum.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t table[1024];

__attribute__((noipa)) uint64_t mix(uint64_t value, unsigned rounds) {
  for (unsigned i = 0; i < rounds; ++i) {
    value ^= value >> 12;
    value ^= value << 25;
    value ^= value >> 27;
    value = (uint64_t)(((unsigned __int128)value * UINT64_C(0x2545F4914F6CDD1D)) >> 32) + i;
  }
  table[value % 1024] += (uint32_t)value;
  return value;
}

int main(int count, char** words) {
  const unsigned rounds = count > 1 ? (unsigned)atoi(words[1]) : 1;
  uint64_t sum = 1;
  for (unsigned round = 0; round < rounds; ++round) {
    sum += mix(sum | 1, 40000);
    for (unsigned i = 0; i < 1024; ++i) sum += table[i];
  }
  printf("%llu\n", (unsigned long long)sum);
  return 0;
}
