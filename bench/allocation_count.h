// How often a thread allocates: bench programs count calls of operator new, which allocation_count.cpp replaces.
#pragma once

#include <cstdint>

namespace caisson::bench {

// Calls of operator new by this thread so far, whatever their kind. Calls of malloc() by C code are not in it.
std::uint64_t allocations_of_thread();

}  // namespace caisson::bench
