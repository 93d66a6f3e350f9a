#include "bench/yardstick.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "bench/kernels.h"

namespace caisson::bench {
namespace {

// Enough to see a burst of others' work, and little beside what a case takes.
constexpr std::uint64_t kPartOfASample = 8;
constexpr std::size_t kPages = 128, kPageSize = 4096;

void run_kernel(std::string_view name) {
  const auto kernel = std::ranges::find(kernels(), name, &Kernel::name);
  volatile std::uint64_t checksum = kernel->native(std::max<std::uint64_t>(kernel->rounds / kPartOfASample, 1));
  static_cast<void>(checksum);
}

void touch_fresh_pages() {
  void* const memory = mmap(nullptr, kPages * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  for (std::size_t page = 0; page < kPages; ++page) static_cast<volatile std::uint8_t*>(memory)[page * kPageSize] = 1;
  munmap(memory, kPages * kPageSize);
}

}  // namespace

double time_yardstick() {
  const auto begin = std::chrono::steady_clock::now();
  run_kernel("sha256");
  run_kernel("hash_table");
  run_kernel("pointer_chase");
  touch_fresh_pages();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
}

Yardstick summarize_yardstick(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::ranges::sort(samples);
  const std::size_t tenth = samples.size() / 10;
  return {.median = samples[samples.size() / 2],
          .low = samples[tenth],
          .high = samples[samples.size() - 1 - tenth],
          .samples = samples.size()};
}

}  // namespace caisson::bench
