// Product of 64 × 64 matrices of doubles.
#include <bit>

#include "kernel.h"

namespace {

constexpr std::size_t kOrder = 64;
double left[kOrder][kOrder], right[kOrder][kOrder], product[kOrder][kOrder];

double fraction(kernel::Random& random) { return static_cast<double>(random.next() >> 11) * 0x1p-53; }

void multiply() {
  for (std::size_t row = 0; row < kOrder; ++row) {
    for (std::size_t column = 0; column < kOrder; ++column) {
      double sum = 0;
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
      left[row][column] = fraction(random);
      right[row][column] = fraction(random);
    }
  }
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    multiply();
    // A mean factor of 1/2 a term: dividing by half the order keeps the numbers near 1 in every round.
    for (std::size_t row = 0; row < kOrder; ++row) {
      for (std::size_t column = 0; column < kOrder; ++column) left[row][column] = product[row][column] * (2.0 / kOrder);
    }
    checksum = kernel::mix(checksum, std::bit_cast<std::uint64_t>(product[round % kOrder][kOrder - 1]));
  }
  return checksum;
}
