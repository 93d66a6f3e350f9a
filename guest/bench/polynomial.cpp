// A polynomial of degree 4096 modulo 2^64 - 2^32 + 1 at 64 points, by Horner's rule.
#include "goldilocks_field.h"
#include "kernel.h"

namespace {

constexpr std::size_t kDegree = 4096, kPoints = 64;
std::uint64_t coefficients[kDegree + 1];

std::uint64_t evaluate(std::uint64_t point) {
  std::uint64_t value = 0;
  for (std::size_t power = kDegree + 1; power-- > 0;)
    value = kernel::add(kernel::multiply(value, point), coefficients[power]);
  return value;
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  kernel::Random random(3);
  for (std::uint64_t& coefficient : coefficients) coefficient = random.next() % kernel::kGoldilocks;
  std::uint64_t point = 1;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::size_t index = 0; index < kPoints; ++index) point = kernel::add(evaluate(point), index);
  }
  return point;
}
