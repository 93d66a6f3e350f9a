// Insertion sort of 1024 random 32-bit numbers: loads, compares and moves of neighbours.
#include "kernel.h"

namespace {

constexpr std::size_t kCount = 1024;
std::uint32_t values[kCount];

void sort() {
  for (std::size_t sorted = 1; sorted < kCount; ++sorted) {
    const std::uint32_t value = values[sorted];
    std::size_t place = sorted;
    for (; place > 0 && values[place - 1] > value; --place) values[place] = values[place - 1];
    values[place] = value;
  }
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    kernel::Random random(checksum + 1);
    for (std::uint32_t& value : values) value = static_cast<std::uint32_t>(random.next());
    sort();
    for (std::size_t index = 0; index < kCount; index += 64) checksum = kernel::mix(checksum, values[index]);
  }
  return checksum;
}
