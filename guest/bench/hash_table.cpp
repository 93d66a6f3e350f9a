// A hash table of 64-bit keys with open addressing: inserts, look-ups that hit and miss, and removals.
#include "kernel.h"

namespace {

constexpr std::size_t kCapacity = 8192, kKeys = 5000;

struct Slot {
  std::uint64_t key;  // 0: free
  std::uint64_t value;
};
Slot slots[kCapacity];

std::size_t home_of(std::uint64_t key) { return (key * 0x9E3779B97F4A7C15u) >> 51; }
static_assert(kCapacity == std::size_t{1} << (64 - 51));

// The slot of `key`, or the free one where it belongs.
Slot& find(std::uint64_t key) {
  std::size_t place = home_of(key);
  while (slots[place].key != 0 && slots[place].key != key) place = (place + 1) % kCapacity;
  return slots[place];
}

// Frees the slot and closes the gap, so that every key stays reachable from its home.
void remove(Slot& slot) {
  std::size_t gap = static_cast<std::size_t>(&slot - slots);
  for (std::size_t place = (gap + 1) % kCapacity; slots[place].key != 0; place = (place + 1) % kCapacity) {
    const std::size_t from_home = (place - home_of(slots[place].key)) % kCapacity;
    if (from_home >= (place - gap) % kCapacity) {
      slots[gap] = slots[place];
      gap = place;
    }
  }
  slots[gap] = {};
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (Slot& slot : slots) slot = {};
    const std::uint64_t seed = checksum + 1;
    kernel::Random keys(seed);
    for (std::size_t index = 0; index < kKeys; ++index) {
      const std::uint64_t key = keys.next() | 1;
      find(key) = {key, index};
    }
    kernel::Random again(seed);
    for (std::size_t index = 0; index < kKeys; ++index) {
      const std::uint64_t key = again.next() | 1;
      Slot& hit = find(key);
      checksum += hit.value + find(key + 1).key;
      if (index % 4 == 0) remove(hit);
    }
    kernel::Random third(seed);
    for (std::size_t index = 0; index < kKeys; ++index) checksum = kernel::mix(checksum, find(third.next() | 1).value);
  }
  return checksum;
}
