// What tests of the JitBackend share: waiting for a condition, and the equations of its counters (caisson/jit_backend.h).
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "caisson/jit_backend.h"

namespace caisson::test {

// Whether `condition` came true in a time that only a defect exceeds.
template <class Condition>
bool eventually(Condition condition, std::chrono::seconds time = std::chrono::seconds(30)) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// The equations that hold in every snapshot.
inline void expect_jobs_balanced(const RuntimeStatsSnapshot& stats) {
  EXPECT_EQ(stats.compilations_dispatched, stats.compilations_succeeded + stats.compilations_failed +
                                               stats.compilations_cancelled + stats.pending_jobs);
  EXPECT_EQ(stats.compilations_succeeded + stats.artifacts_preloaded, stats.resident_entries + stats.evicted_budget +
                                                                          stats.evicted_idle + stats.evicted_cleared +
                                                                          stats.evicted_replaced);
  EXPECT_EQ(stats.events_handled + stats.commands_handled + stats.retried_as_jit,
            stats.compilations_dispatched + stats.requests_joined + stats.requests_resident +
                stats.requests_ineligible + stats.requests_backing_off + stats.requests_refused +
                stats.requests_disabled);
  EXPECT_EQ(stats.commands_offered, stats.commands_queued + stats.commands_dropped);
  EXPECT_EQ(stats.commands_queued, stats.commands_handled + stats.commands_waiting);
}

// All equations: no call is under way.
inline void expect_balanced(const RuntimeStatsSnapshot& stats) {
  expect_jobs_balanced(stats);
  EXPECT_EQ(stats.events_offered, stats.events_queued + stats.events_dropped);
  EXPECT_EQ(stats.events_queued, stats.events_handled + stats.events_waiting);
}

inline bool is_settled(const JitBackend& backend) {
  const RuntimeStatsSnapshot stats = backend.stats();
  return stats.pending_jobs == 0 && stats.commands_waiting == 0 && stats.events_waiting == 0;
}

}  // namespace caisson::test
