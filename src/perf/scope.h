// perf/: path counters. CAISSON_PERF_SCOPE(counter) times the rest of its scope; other code sees nothing else of this folder.
//
//   CAISSON_PERF_MODULE(store_module, "STORE", 80);                       // a section of the report, and its place on the path
//   CAISSON_PERF_COUNTER(put_counter, store_module, "store::put");        // rows stand in the order of their lines
//   void put() { CAISSON_PERF_SCOPE(put_counter); … }                     // early returns included
//   CAISSON_PERF_SNIPPET(part, put_counter); …; CAISSON_PERF_STOP(part);  // ends by hand, or with its scope
//   CAISSON_PERF_DROP(part);                                              // instead of STOP: it is not counted
//
// Without -DCAISSON_PERF=ON all of them are nothing: this file is where that is decided.
//
// A scope whose counter is not enabled is one load and one branch. Enabled, it adds to a shard of its thread's own (thread_shards.h).
// It must end on the thread where it began and be left by return or exception, never by longjmp. Start reading at enabled/measure.cpp.
#pragma once

#ifdef CAISSON_PERF

#include "perf/counter.h"

#define CAISSON_PERF_MODULE(module, section, position) \
  inline constinit ::caisson::perf::Module module(section, position)
#define CAISSON_PERF_COUNTER(counter, module, name) inline ::caisson::perf::Counter counter(module, name)
#define CAISSON_PERF_JOIN_AGAIN(left, right) left##right
#define CAISSON_PERF_JOIN(left, right) CAISSON_PERF_JOIN_AGAIN(left, right)
#define CAISSON_PERF_SCOPE(counter) const ::caisson::perf::Scope CAISSON_PERF_JOIN(perf_scope_, __LINE__)(counter)
#define CAISSON_PERF_SNIPPET(scope, counter) ::caisson::perf::Scope scope(counter)
#define CAISSON_PERF_STOP(scope) scope.stop()
#define CAISSON_PERF_DROP(scope) scope.drop()

#else

#define CAISSON_PERF_MODULE(module, section, position) static_assert(true)
#define CAISSON_PERF_COUNTER(counter, module, name) static_assert(true)
#define CAISSON_PERF_SCOPE(counter) static_cast<void>(0)
#define CAISSON_PERF_SNIPPET(scope, counter) static_cast<void>(0)
#define CAISSON_PERF_STOP(scope) static_cast<void>(0)
#define CAISSON_PERF_DROP(scope) static_cast<void>(0)

#endif
