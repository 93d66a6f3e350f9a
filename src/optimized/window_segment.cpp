#include "optimized/window_segment.h"

#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace caisson::optimized {
namespace {

bool read_base(std::uint64_t& base) { return ::syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0; }

// Guest code must not run on another window's base.
void write_base(std::uint64_t base) {
  if (::syscall(SYS_arch_prctl, ARCH_SET_GS, base) == 0) return;
  std::perror("caisson: arch_prctl(ARCH_SET_GS)");
  std::abort();
}

// What the process found when it asked first, before this ever set it. A new thread begins with its creator's.
struct First {
  bool can_ask = false;
  bool is_used = false;
};
const First& first() {
  static const First kFirst = [] {
    std::uint64_t base = 0;
    const bool can_ask = read_base(base);
    return First{can_ask, base != 0};
  }();
  return kFirst;
}

// Of the thread.
thread_local std::uint64_t current = 0;  // what was set last; 0: nothing yet
thread_local unsigned depth = 0;  // of windows that are in use, one from within the run of the other

}  // namespace

bool SystemCallSegment::is_supported() { return first().can_ask; }

SystemCallSegment::SystemCallSegment(const std::uint8_t* window) {
  const auto base = reinterpret_cast<std::uint64_t>(window);
  if (first().is_used) read_base(current);
  // Otherwise only who is in the middle of a run wants its window back.
  if (current != base) {
    if (first().is_used || depth != 0) before_ = current;
    write_base(base);
    current = base;
  }
  ++depth;
}

SystemCallSegment::~SystemCallSegment() {
  --depth;
  if (before_ == 0) return;
  write_base(before_);
  current = before_;
}

}  // namespace caisson::optimized
