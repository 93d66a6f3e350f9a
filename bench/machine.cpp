#include "bench/machine.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <string_view>
#include <thread>

namespace caisson::bench {
namespace {

std::string processor_name() {
  std::ifstream information("/proc/cpuinfo");
  constexpr std::string_view kField = "model name";
  for (std::string line; std::getline(information, line);) {
    if (!line.starts_with(kField)) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

Machine this_machine() {
  utsname system = {};
  uname(&system);
  return {.processor = processor_name(),
          .processors = std::thread::hardware_concurrency(),
          .memory_bytes =
              static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)),
          .system = fmt::format("{} {}", system.sysname, system.release),
          .compiler = "clang " __clang_version__,
          .build_type = CAISSON_BUILD_TYPE,
          .kernel_flags = CAISSON_KERNEL_FLAGS,
          .guest_flags = CAISSON_GUEST_FLAGS};
}

std::string this_version() { return CAISSON_VERSION; }

}  // namespace caisson::bench
