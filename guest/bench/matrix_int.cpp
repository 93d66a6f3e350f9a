// Product of 64 × 64 matrices of 32-bit integers.
#include "kernel.h"

namespace {

constexpr std::size_t kOrder = 64;
std::uint32_t left[kOrder][kOrder], right[kOrder][kOrder], product[kOrder][kOrder];

void multiply() {
  for (std::size_t row = 0; row < kOrder; ++row) {
    for (std::size_t column = 0; column < kOrder; ++column) {
      std::uint32_t sum = 0;
      for (std::size_t index = 0; index < kOrder; ++index) sum += left[row][index] * right[index][column];
      product[row][column] = sum;
    }
  }
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  kernel::Random random(1);
  for (std::size_t row = 0; row < kOrder; ++row) {
    for (std::size_t column = 0; column < kOrder; ++column) {
      left[row][column] = static_cast<std::uint32_t>(random.next());
      right[row][column] = static_cast<std::uint32_t>(random.next()) | 1;
    }
  }
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    multiply();
    for (std::size_t row = 0; row < kOrder; ++row) {
      for (std::size_t column = 0; column < kOrder; ++column)
        left[row][column] = product[row][column] + static_cast<std::uint32_t>(row);
    }
    checksum = kernel::mix(checksum, product[round % kOrder][kOrder - 1]);
  }
  return checksum;
}
