// Keccak-256 as submitted (padding 0x01, unlike SHA-3): 64-bit logic and rotations on 25 lanes.
#include "digest_chain.h"

namespace {

constexpr std::size_t kRate = 136;  // bytes taken a permutation at a capacity of 512 bits

// FIPS 202, 3.2.5: constants of step iota.
constexpr std::uint64_t kRoundConstants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000A, 0x000000008000808B, 0x800000000000008B, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

// FIPS 202, 3.2.2: how far step rho rotates lane x + 5y.
constexpr std::uint8_t kRotations[25] = {0,  1,  62, 28, 27, 36, 44, 6,  55, 20, 3,  10, 43,
                                         25, 39, 41, 45, 15, 21, 8,  18, 2,  61, 56, 14};

std::uint64_t rotate_left(std::uint64_t value, int count) {
  return count == 0 ? value : value << count | value >> (64 - count);
}

void permute(std::uint64_t (&lanes)[25]) {
  for (const std::uint64_t round_constant : kRoundConstants) {
    std::uint64_t columns[5], moved[25];
    for (int x = 0; x < 5; ++x) columns[x] = lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20];
    for (int x = 0; x < 5; ++x) {
      const std::uint64_t parity = columns[(x + 4) % 5] ^ rotate_left(columns[(x + 1) % 5], 1);
      for (int y = 0; y < 5; ++y)
        moved[y + 5 * ((2 * x + 3 * y) % 5)] = rotate_left(lanes[x + 5 * y] ^ parity, kRotations[x + 5 * y]);
    }
    for (int y = 0; y < 25; y += 5) {
      for (int x = 0; x < 5; ++x) lanes[y + x] = moved[y + x] ^ (~moved[y + (x + 1) % 5] & moved[y + (x + 2) % 5]);
    }
    lanes[0] ^= round_constant;
  }
}

void absorb(std::uint64_t (&lanes)[25], const std::uint8_t* block) {
  for (std::size_t lane = 0; lane < kRate / 8; ++lane)
    lanes[lane] ^= kernel::load_little_endian<std::uint64_t>(block + 8 * lane);
  permute(lanes);
}

void keccak_256(const std::uint8_t* message, std::size_t size, std::uint8_t* digest) {
  std::uint64_t lanes[25] = {};
  std::size_t offset = 0;
  for (; size - offset >= kRate; offset += kRate) absorb(lanes, message + offset);
  std::uint8_t last[kRate] = {};
  for (std::size_t index = 0; index < size - offset; ++index) last[index] = message[offset + index];
  last[size - offset] = 0x01;
  last[kRate - 1] |= 0x80;
  absorb(lanes, last);
  for (std::size_t index = 0; index < kernel::kDigestSize / 8; ++index)
    kernel::store_little_endian(lanes[index], digest + 8 * index);
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) { return kernel::chain_digests(rounds, keccak_256); }
