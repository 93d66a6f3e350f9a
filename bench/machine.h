// What a report says of where it was measured.
#pragma once

#include <cstdint>
#include <string>

namespace caisson::bench {

struct Machine {
  std::string processor;
  std::uint64_t processors = 0;
  std::uint64_t memory_bytes = 0;
  std::string system, compiler, build_type, kernel_flags, guest_flags;
};

// Where this runs, and how it was built.
Machine this_machine();

// The version of this program.
std::string this_version();

}  // namespace caisson::bench
