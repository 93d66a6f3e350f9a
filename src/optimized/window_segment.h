// The segment register by which optimised code reaches its window.
//
// On x86-64 Linux nobody uses GS in user mode but what emulates other systems. What it held is put back where it was something; the base
// of a window that was left stays, which spares most entries the instruction that sets it (24 ns where this was written, reading it 1 ns).
#pragma once

#include <elf.h>
#include <immintrin.h>
#include <sys/auxv.h>

#include <cstdint>

namespace caisson::optimized {

class WindowSegment {
 public:
  // Linux, Documentation/arch/x86/x86_64/fsgs.rst: bit 1 of AT_HWCAP2 says that the instructions may be used.
  static bool is_supported() { return (::getauxval(AT_HWCAP2) & 2) != 0; }

  __attribute__((target("fsgsbase"))) explicit WindowSegment(const std::uint8_t* window) : before_(_readgsbase_u64()) {
    const auto base = reinterpret_cast<std::uint64_t>(window);
    if (before_ == base) {
      before_ = 0;
    } else {
      _writegsbase_u64(base);
    }
  }
  __attribute__((target("fsgsbase"))) ~WindowSegment() {
    if (before_ != 0) _writegsbase_u64(before_);
  }
  WindowSegment(const WindowSegment&) = delete;
  WindowSegment& operator=(const WindowSegment&) = delete;

 private:
  std::uint64_t before_;
};

}  // namespace caisson::optimized
