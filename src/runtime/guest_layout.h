// Where things lie in a guest's 4 GiB window. One place, so that the runtime and the personalities agree.
//
//   0x0000'0000  never mapped (64 KiB)
//   0x0001'0000  position-dependent programs, where they were linked
//   0x0040'0000  position-independent programs (kPieBase); the heap (brk) grows up behind the program's last page
//        …       mmap area: top-down from mmap_top(), the program's interpreter first
//        …       stack guard (kStackGuard, never mapped), then the stack, which ends at kStackTop
//   0xFFFE'0000  kStackTop
//   0xFFFE'F000  kSignalReturnPage, where a personality has signals
//   0xFFFF'0000  never mapped (64 KiB); its first address is the trampoline that endpoint calls return to
#pragma once

#include <cstdint>

#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"

namespace caisson::runtime {

// The bias of position-independent programs. Low, so that heap and mmap area share one large hole above it.
inline constexpr std::uint64_t kPieBase = 0x0040'0000;

// The stack occupies [kStackTop - stack size, kStackTop).
inline constexpr std::uint64_t kStackTop = 0xFFFE'0000;

// Unmapped below the stack: larger than a compiler's largest unprobed frame, so that an overflow faults (Linux's
// stack_guard_gap is 1 MiB as well).
inline constexpr std::uint64_t kStackGuard = std::uint64_t{1} << 20;

// The page with `li a7, 139; ecall`.
inline constexpr std::uint64_t kSignalReturnPage = 0xFFFE'F000;

// Bounds of a stack's size; InstanceOptions::stack_size outside them is an Error.
inline constexpr std::uint64_t kSmallestStack = memory::kPageSize;
inline constexpr std::uint64_t kLargestStack = std::uint64_t{1} << 30;

// mmap without a fixed address, and interpreters (PT_INTERP), get the highest free range in [kMmapLow, mmap_top(stack)):
// AddressSpace::find_free(length, kMmapLow, mmap_top(options.stack_size)).
inline constexpr std::uint64_t kMmapLow = memory::kLowestAddress;
constexpr std::uint64_t mmap_top(std::uint64_t stack_size) { return kStackTop - stack_size - kStackGuard; }

static_assert(kStackTop <= kSignalReturnPage && kSignalReturnPage + memory::kPageSize <= memory::kHighestAddress);
static_assert(riscv::kTrampolineAddress == memory::kHighestAddress);
static_assert(mmap_top(kLargestStack) > kPieBase);

}  // namespace caisson::runtime
