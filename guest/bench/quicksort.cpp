// Quicksort of 16 384 random 32-bit numbers, recursing into the smaller part: unpredictable branches.
#include "kernel.h"

namespace {

constexpr std::size_t kCount = 16'384;
std::uint32_t values[kCount];

void swap(std::uint32_t& left, std::uint32_t& right) {
  const std::uint32_t value = left;
  left = right;
  right = value;
}

// Sorts [begin, end).
void sort(std::uint32_t* begin, std::uint32_t* end) {
  while (end - begin > 1) {
    const std::uint32_t pivot = begin[(end - begin) / 2];
    std::uint32_t* low = begin;
    std::uint32_t* high = end - 1;
    while (low <= high) {
      while (*low < pivot) ++low;
      while (pivot < *high) --high;
      if (low <= high) swap(*low++, *high--);
    }
    if (high + 1 - begin < end - low) {
      sort(begin, high + 1);
      begin = low;
    } else {
      sort(low, end);
      end = high + 1;
    }
  }
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    kernel::Random random(checksum + 1);
    for (std::uint32_t& value : values) value = static_cast<std::uint32_t>(random.next());
    sort(values, values + kCount);
    for (std::size_t index = 0; index < kCount; index += 256) checksum = kernel::mix(checksum, values[index]);
  }
  return checksum;
}
