// --stats: what a run used, as text or as one JSON object on stderr.
#pragma once

#include <chrono>
#include <cstdint>

#include "caisson/instance.h"
#include "caisson/result.h"
#include "guest_options.h"

namespace caisson::runtime {
class Personality;
}

namespace caisson::cli {

// Host time since its construction.
class RunClock {
 public:
  RunClock();
  std::uint64_t wall_ns() const;
  std::uint64_t cpu_ns() const;

 private:
  std::uint64_t wall_start_;
  std::uint64_t cpu_start_;
};

// Prints to stderr; nothing for StatsFormat::kNone. `personality` may be null.
void print_stats(StatsFormat format, Instance& instance, const runtime::Personality* personality,
                 const InvocationResult& result, const RunClock& clock);

}  // namespace caisson::cli
