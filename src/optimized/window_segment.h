// The segment register by which optimised code reaches its window.
//
// On x86-64 Linux nobody uses GS in user mode but what emulates other systems. What it held is put back where it was something; the base
// of a window that was left stays, which spares most entries the setting of it.
//
// Where the processor and the kernel let user code set it (FSGSBASE, Linux 5.9), that takes 24 ns, and reading it 1 ns, where this was
// written. Elsewhere it takes a system call, so there each thread remembers what it set. That is right as long as nobody else sets GS between
// two entries of a thread; where GS held something before the process first entered optimised code, somebody does, and every entry asks.
#pragma once

#include <elf.h>
#include <immintrin.h>
#include <sys/auxv.h>

#include <cstdint>

namespace caisson::optimized {

// By instructions.
class InstructionSegment {
 public:
  // Linux, Documentation/arch/x86/x86_64/fsgs.rst: bit 1 of AT_HWCAP2 says that the instructions may be used.
  static bool is_supported() { return (::getauxval(AT_HWCAP2) & 2) != 0; }

  __attribute__((target("fsgsbase"))) explicit InstructionSegment(const std::uint8_t* window)
      : before_(_readgsbase_u64()) {
    const auto base = reinterpret_cast<std::uint64_t>(window);
    if (before_ == base) {
      before_ = 0;
    } else {
      _writegsbase_u64(base);
    }
  }
  __attribute__((target("fsgsbase"))) ~InstructionSegment() {
    if (before_ != 0) _writegsbase_u64(before_);
  }
  InstructionSegment(const InstructionSegment&) = delete;
  InstructionSegment& operator=(const InstructionSegment&) = delete;

 private:
  std::uint64_t before_;
};

// By arch_prctl(2).
class SystemCallSegment {
 public:
  // False where something forbids the call.
  static bool is_supported();

  explicit SystemCallSegment(const std::uint8_t* window);
  ~SystemCallSegment();
  SystemCallSegment(const SystemCallSegment&) = delete;
  SystemCallSegment& operator=(const SystemCallSegment&) = delete;

 private:
  std::uint64_t before_ = 0;  // to be put back; 0: nothing is
};

inline bool is_window_segment_supported() {
  return InstructionSegment::is_supported() || SystemCallSegment::is_supported();
}

}  // namespace caisson::optimized
