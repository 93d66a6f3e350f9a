// What prlimit64 and getrlimit know.
//
// Most limits are kept only to be reported; those that bound something real are NOFILE (FileTable), STACK (the size the
// program was started with), AS and DATA (the commit limit is the hard bound) and SIGPENDING (queued signals).
#pragma once

#include <array>
#include <cstdint>
#include <limits>

namespace caisson::linux_personality {

inline constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();  // RLIM64_INFINITY

// As the kernel lays out struct rlimit64.
struct ResourceLimit {
  std::uint64_t current = kNoLimit;
  std::uint64_t maximum = kNoLimit;
};

// Indexed by RLIMIT_* (asm-generic numbers).
struct ResourceLimits {
  static constexpr unsigned kCount = 16;
  std::array<ResourceLimit, kCount> limits;

  explicit ResourceLimits(std::uint64_t stack_size);
  ResourceLimit& operator[](unsigned resource) { return limits[resource]; }
  const ResourceLimit& operator[](unsigned resource) const { return limits[resource]; }
};

}  // namespace caisson::linux_personality
