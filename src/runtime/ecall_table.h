// The flat table of ecall handlers of one instance.
//
// Two arrays, since Linux numbers end near 460 and the engine's own begin at 0x1000: an instance does not pay for the hole.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/personality.h"

namespace caisson::runtime {

class EcallTable {
 public:
  // The entry of `number`, else the one for unknown numbers (whose handler is null by default).
  EcallEntry find(std::uint64_t number) const {
    // A branch, which the host foresees, rather than an index, which it would wait for.
    return number >= kKernelBase ? find_in(entries_[1], number - kKernelBase) : find_in(entries_[0], number);
  }

  // Grows to hold `number`, which the engine chooses, never a guest: its size is bounded by the largest import number.
  void set(std::uint64_t number, EcallEntry entry) {
    const bool is_engine_number = number >= kKernelBase;
    std::vector<EcallEntry>& entries = entries_[is_engine_number];
    const std::uint64_t index = is_engine_number ? number - kKernelBase : number;
    if (index >= entries.size()) entries.resize(index + 1);
    entries[index] = entry;
  }

  void set_unknown(EcallEntry entry) { unknown_ = entry; }

  // Forgets host functions, which belong to a program's imports.
  void drop_host_functions() {
    if (entries_[1].size() > kFirstHostFunction - kKernelBase) entries_[1].resize(kFirstHostFunction - kKernelBase);
  }

 private:
  EcallEntry find_in(const std::vector<EcallEntry>& entries, std::uint64_t index) const {
    if (index >= entries.size() || entries[index].handler == nullptr) [[unlikely]]
      return unknown_;
    return entries[index];
  }

  std::array<std::vector<EcallEntry>, 2> entries_;
  EcallEntry unknown_;
};

}  // namespace caisson::runtime
