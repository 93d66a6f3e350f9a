// xorshift64*: the same numbers from the same seed, whatever C library the guest has.
#pragma once

#include <stdint.h>
#include <stdlib.h>

static uint64_t random_state;

// `text` is a number, or null for 1.
static inline void seed_random(const char* text) {
  random_state = (text != NULL ? strtoull(text, NULL, 0) : 1) * 0x9e3779b97f4a7c15u + 1;
}

static inline uint64_t next(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state * 0x2545f4914f6cdd1du;
}

static inline uint32_t below(uint32_t limit) { return (uint32_t)(next() >> 32) % limit; }
