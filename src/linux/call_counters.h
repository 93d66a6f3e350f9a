// Path counters of system calls, one per family; the numbers of asm-generic stand family by family.
#pragma once

#include <cstdint>

#include "perf/scope.h"

namespace caisson::linux_personality {

CAISSON_PERF_MODULE(call_module, "LINUX", 50);
CAISSON_PERF_COUNTER(names_counter, call_module, "linux::names");
CAISSON_PERF_COUNTER(descriptors_counter, call_module, "linux::descriptors");
CAISSON_PERF_COUNTER(open_counter, call_module, "linux::open_close");
CAISSON_PERF_COUNTER(transfer_counter, call_module, "linux::read_write");
CAISSON_PERF_COUNTER(poll_counter, call_module, "linux::poll");
CAISSON_PERF_COUNTER(storage_counter, call_module, "linux::storage");
CAISSON_PERF_COUNTER(process_counter, call_module, "linux::process");
CAISSON_PERF_COUNTER(time_counter, call_module, "linux::time");
CAISSON_PERF_COUNTER(scheduling_counter, call_module, "linux::scheduling");
CAISSON_PERF_COUNTER(signals_counter, call_module, "linux::signals");
CAISSON_PERF_COUNTER(identity_counter, call_module, "linux::identity");
CAISSON_PERF_COUNTER(memory_counter, call_module, "linux::memory");
CAISSON_PERF_COUNTER(others_counter, call_module, "linux::others");

#ifdef CAISSON_PERF
// The counter of a call's family.
constexpr perf::Counter& call_counter(std::uint64_t number) {
  struct Family {
    std::uint64_t last;  // call of it
    perf::Counter& counter;
  };
  const Family families[] = {{17, names_counter},     {32, descriptors_counter}, {55, names_counter},
                             {60, open_counter},      {61, names_counter},       {71, transfer_counter},
                             {77, poll_counter},      {80, names_counter},       {88, storage_counter},
                             {100, process_counter},  {115, time_counter},       {128, scheduling_counter},
                             {139, signals_counter},  {168, identity_counter},   {171, time_counter},
                             {178, identity_counter}, {212, others_counter},     {239, memory_counter},
                             {240, signals_counter},  {435, others_counter},     {437, open_counter}};
  for (const Family& family : families) {
    if (number <= family.last) return family.counter;
  }
  return others_counter;
}
#endif

}  // namespace caisson::linux_personality
