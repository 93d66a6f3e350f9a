// The two timers. Their ticks are nanoseconds (clock) or cycles of the time stamp counter.
#pragma once

#include <time.h>

#include <cstdint>

namespace caisson::perf {

inline std::uint64_t clock_ticks() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

// Intel SDM volume 2B, RDTSC: the fence waits for what came before. What follows may begin before the counter is read, which is no part of
// what ends there. Not rdtscp, which is as dear and which some virtual machines hide.
inline std::uint64_t tsc_ticks() {
  std::uint64_t low, high;
  asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
  return high << 32 | low;
}

}  // namespace caisson::perf
