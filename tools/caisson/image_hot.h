// caisson image inspect --hot: where a run of a program uses its gas.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "caisson/linux.h"
#include "caisson/result.h"

namespace caisson::cli {

struct HotFunction {
  std::uint32_t address = 0;
  std::string name;  // the symbol; without one FILE+0xOFFSET, or empty
  std::uint64_t samples = 0;
  // Optimised units that begin within it, and the host code of them.
  std::uint64_t units = 0, code_bytes = 0;
};

struct HotReport {
  std::vector<HotFunction> functions;  // hottest first
  std::uint64_t samples = 0;
  std::uint64_t gas_used = 0;
  InvocationResult result;
};

// Runs `program` and samples its pc about every kGasOfHotSample gas.
inline constexpr std::uint64_t kGasOfHotSample = 500'009;
Result<HotReport> find_hot_functions(const std::string& program, LinuxOptions options,
                                     const std::string& artifact_directory);

}  // namespace caisson::cli
