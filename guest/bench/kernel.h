// guest/bench/: the programs that `caisson bench compute` measures, one kernel a file, compiled unchanged for the host and for guests.
//
// A kernel defines run(rounds): it does its work `rounds` times and returns a checksum that every engine must agree on. It
// starts from the same state each time, keeps its data in static arrays, calls no library (compilers may emit memcpy and
// memset), and feeds the result of a round into the next, so that no compiler can drop or merge rounds. Floating point must
// not depend on contraction (both builds switch it off). The list of kernels, with their rounds, is bench/kernels.inc.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" std::uint64_t run(std::uint64_t rounds);

namespace kernel {

// Reproducible numbers (Marsaglia's 64-bit xorshift, shifts 13, 7, 17).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}

  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  std::uint64_t below(std::uint64_t limit) { return (next() >> 16) % limit; }

 private:
  std::uint64_t state_;
};

// Joins `value` to a checksum so that order matters.
inline std::uint64_t mix(std::uint64_t checksum, std::uint64_t value) { return (checksum ^ value) * 0x100000001B3u; }

}  // namespace kernel
