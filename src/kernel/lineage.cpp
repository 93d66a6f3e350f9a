#include "kernel/lineage.h"

#include <algorithm>
#include <array>

#include "base/hash.h"

namespace caisson::kernel {

Hash next_lineage(const Hash& before, const Hash& image) {
  std::array<std::uint8_t, 64> both;
  std::ranges::copy(image.bytes, std::ranges::copy(before.bytes, both.begin()).out);
  return Hash{base::sha256(both)};
}

}  // namespace caisson::kernel
