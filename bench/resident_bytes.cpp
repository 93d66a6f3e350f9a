#include "bench/resident_bytes.h"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

namespace caisson::bench {

Result<double> resident_bytes() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string line; std::getline(rollup, line);) {
    std::uint64_t kibibytes = 0;
    if (std::sscanf(line.c_str(), "Pss: %lu kB", &kibibytes) == 1) return static_cast<double>(kibibytes) * 1024;
  }
  return fail(ErrorCode::kIo, "tells no Pss", "/proc/self/smaps_rollup");
}

}  // namespace caisson::bench
