// Where scopes count: a shard per thread and counter that only its thread writes, so that counting is never contended.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "perf/counter.h"

namespace caisson::perf {

// What one counter counted, in ticks.
struct Totals {
  std::uint64_t calls = 0;
  std::uint64_t timed = 0;  // calls that a timer ran for: those not within another of the same counter
  std::uint64_t ticks = 0;
  std::uint64_t shortest = ~std::uint64_t{0}, longest = 0;
  std::array<std::uint64_t, 64> histogram{};  // [i]: those of bit width i, the longest ones in the last

  void add(const Totals& other);
};

// What `counter` counted on all threads, those that have ended included, since it was given `state`.
Totals collect(const Counter& counter, std::uint64_t state);

// What a scope of nested mode takes from the one around it besides what it records, in ticks.
void set_nested_overhead(std::uint64_t ticks);

}  // namespace caisson::perf
