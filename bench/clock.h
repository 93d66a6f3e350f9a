// The clock of suites that measure computation.
#pragma once

#include <time.h>

namespace caisson::bench {

// Processor time of this thread in nanoseconds: a kernel computes on one thread, and what others do on a shared machine is not its
// time. (Wall time would favour the engine that is done within one turn of the scheduler.)
inline double thread_nanoseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

}  // namespace caisson::bench
