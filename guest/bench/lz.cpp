// Compresses 32 KiB of text to literals and matches (the Lempel-Ziv way, matches found by a hash of four bytes), and expands it again.
#include "kernel.h"

namespace {

constexpr std::size_t kTextSize = 32'768, kHashBits = 12, kShortestMatch = 4, kLongestRun = 127;

std::uint8_t text[kTextSize], expanded[kTextSize];
std::uint8_t packed[kTextSize + kTextSize / kLongestRun + 1];
std::uint32_t last_seen[std::size_t{1} << kHashBits];  // position + 1 of the last four bytes with a hash; 0: none

// Words of a small vocabulary, so that there is something to find.
void write_text(std::uint64_t seed) {
  static constexpr char kWords[16][9] = {"caisson ", "water ", "chamber ", "gas ",    "river ",  "stone ",
                                         "iron ",    "depth ", "press ",   "worker ", "bridge ", "valve ",
                                         "lock ",    "sand ",  "light ",   "air "};
  kernel::Random random(seed);
  for (std::size_t size = 0; size < kTextSize;) {
    const char* word = kWords[random.below(16)];
    while (*word != '\0' && size < kTextSize) text[size++] = static_cast<std::uint8_t>(*word++);
    if (random.below(5) == 0 && size < kTextSize) text[size++] = static_cast<std::uint8_t>('0' + random.below(10));
  }
}

std::uint32_t four_bytes(const std::uint8_t* at) {
  return at[0] | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24;
}

// A run is a byte n < 128 and n literals; a match is a byte 128 + length - kShortestMatch and a distance of two bytes.
std::size_t compress() {
  for (std::uint32_t& position : last_seen) position = 0;
  std::size_t size = 0, position = 0, literals_from = 0;
  const auto flush_literals = [&size, &literals_from](std::size_t end) {
    while (literals_from < end) {
      const std::size_t count = end - literals_from < kLongestRun ? end - literals_from : kLongestRun;
      packed[size++] = static_cast<std::uint8_t>(count);
      for (std::size_t index = 0; index < count; ++index) packed[size++] = text[literals_from++];
    }
  };
  while (position + kShortestMatch <= kTextSize) {
    const std::uint32_t word = four_bytes(text + position);
    std::uint32_t& seen = last_seen[word * 2654435761u >> (32 - kHashBits)];
    const std::size_t candidate = seen;
    seen = static_cast<std::uint32_t>(position + 1);
    if (candidate == 0 || four_bytes(text + candidate - 1) != word) {
      ++position;
      continue;
    }
    const std::size_t from = candidate - 1;
    std::size_t length = kShortestMatch;
    while (length < kShortestMatch + 127 && position + length < kTextSize &&
           text[from + length] == text[position + length])
      ++length;
    flush_literals(position);
    packed[size++] = static_cast<std::uint8_t>(128 + length - kShortestMatch);
    packed[size++] = static_cast<std::uint8_t>(position - from);
    packed[size++] = static_cast<std::uint8_t>((position - from) >> 8);
    position += length;
    literals_from = position;
  }
  flush_literals(kTextSize);
  return size;
}

void expand(std::size_t packed_size) {
  std::size_t size = 0;
  for (std::size_t at = 0; at < packed_size;) {
    const std::uint8_t control = packed[at++];
    if (control < 128) {
      for (std::uint8_t index = 0; index < control; ++index) expanded[size++] = packed[at++];
    } else {
      const std::size_t distance = packed[at] | std::size_t{packed[at + 1]} << 8;
      at += 2;
      for (std::size_t left = control - 128 + kShortestMatch; left > 0; --left, ++size)
        expanded[size] = expanded[size - distance];
    }
  }
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    write_text(checksum + 1);
    const std::size_t packed_size = compress();
    expand(packed_size);
    checksum = kernel::mix(checksum, packed_size);
    for (std::size_t index = 0; index < kTextSize; ++index) {
      if (expanded[index] != text[index]) return 0;
    }
  }
  return checksum;
}
