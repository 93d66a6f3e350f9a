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

// Intel's "How to Benchmark Code Execution Times": what came before has ended when the counter is read first, …
inline std::uint64_t tsc_ticks_at_begin() {
  std::uint64_t low, high;
  asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
  return high << 32 | low;
}

// … and rdtscp waits for what it times, while the fence keeps what follows out.
inline std::uint64_t tsc_ticks_at_end() {
  std::uint64_t low, high;
  asm volatile("rdtscp; lfence" : "=a"(low), "=d"(high)::"rcx", "memory");
  return high << 32 | low;
}

}  // namespace caisson::perf
