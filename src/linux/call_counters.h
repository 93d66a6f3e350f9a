// Path counters of system calls, one per family.
#pragma once

#include <cstdint>

#include "perf/scope.h"

namespace caisson::linux_personality {

CAISSON_PERF_MODULE(call_module, "LINUX", 50);
CAISSON_PERF_COUNTER(names_counter, call_module, "linux::names");  // paths, directories and what is known of files
CAISSON_PERF_COUNTER(open_counter, call_module, "linux::open_close");
CAISSON_PERF_COUNTER(descriptors_counter, call_module, "linux::descriptors");  // dup, fcntl, ioctl, flock
CAISSON_PERF_COUNTER(transfer_counter, call_module, "linux::read_write");
CAISSON_PERF_COUNTER(storage_counter, call_module, "linux::storage");  // sizes of files, and what is on the disk
CAISSON_PERF_COUNTER(poll_counter, call_module, "linux::poll");
CAISSON_PERF_COUNTER(memory_counter, call_module, "linux::memory");
CAISSON_PERF_COUNTER(process_counter, call_module, "linux::process");
CAISSON_PERF_COUNTER(identity_counter, call_module, "linux::identity");  // ids, groups and the machine's names
CAISSON_PERF_COUNTER(signals_counter, call_module, "linux::signals");
CAISSON_PERF_COUNTER(time_counter, call_module, "linux::time");
CAISSON_PERF_COUNTER(scheduling_counter, call_module, "linux::scheduling");
CAISSON_PERF_COUNTER(others_counter, call_module, "linux::others");  // those that nobody answers among them

#ifdef CAISSON_PERF
// The counter of a call's family. The numbers of asm-generic stand family by family, more or less.
consteval perf::Counter& call_counter(std::uint64_t number) {
  struct Family {
    std::uint64_t last;  // call of it
    perf::Counter& counter;
  };
  const Family families[] = {
      {17, names_counter},       {32, descriptors_counter}, {44, names_counter},       {47, storage_counter},
      {55, names_counter},       {60, open_counter},        {61, names_counter},       {71, transfer_counter},
      {74, poll_counter},        {77, transfer_counter},    {80, names_counter},       {84, storage_counter},
      {87, time_counter},        {88, names_counter},       {91, identity_counter},    {100, process_counter},
      {115, time_counter},       {117, others_counter},     {127, scheduling_counter}, {139, signals_counter},
      {141, scheduling_counter}, {152, identity_counter},   {153, time_counter},       {162, identity_counter},
      {168, process_counter},    {171, time_counter},       {179, identity_counter},   {212, others_counter},
      {213, storage_counter},    {219, memory_counter},     {221, process_counter},    {222, memory_counter},
      {223, storage_counter},    {239, memory_counter},     {240, signals_counter},    {257, others_counter},
      {258, identity_counter},   {259, memory_counter},     {261, process_counter},    {266, others_counter},
      {267, storage_counter},    {275, others_counter},     {276, names_counter},      {278, others_counter},
      {279, open_counter},       {283, others_counter},     {284, memory_counter},     {287, transfer_counter},
      {290, memory_counter},     {291, names_counter},      {292, others_counter},     {293, process_counter},
      {434, others_counter},     {435, process_counter},    {437, open_counter},       {438, descriptors_counter},
      {439, names_counter},      {440, memory_counter},     {451, others_counter},     {452, names_counter}};
  for (const Family& family : families) {
    if (number <= family.last) return family.counter;
  }
  return others_counter;
}
#endif

}  // namespace caisson::linux_personality
