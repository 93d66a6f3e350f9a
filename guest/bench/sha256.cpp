// SHA-256 (FIPS 180-4): 32-bit rotations and additions.
#include "digest_chain.h"

namespace {

constexpr std::size_t kBlockSize = 64;

// FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
constexpr std::uint32_t kRoundConstants[64] = {
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
};

std::uint32_t rotate_right(std::uint32_t value, int count) { return value >> count | value << (32 - count); }

std::uint32_t load_big_endian(const std::uint8_t* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

void compress(std::uint32_t (&state)[8], const std::uint8_t* block) {
  std::uint32_t schedule[64];
  for (int index = 0; index < 16; ++index) schedule[index] = load_big_endian(block + 4 * index);
  for (int index = 16; index < 64; ++index) {
    const std::uint32_t before = schedule[index - 15], recent = schedule[index - 2];
    const std::uint32_t sigma0 = rotate_right(before, 7) ^ rotate_right(before, 18) ^ before >> 3;
    const std::uint32_t sigma1 = rotate_right(recent, 17) ^ rotate_right(recent, 19) ^ recent >> 10;
    schedule[index] = schedule[index - 16] + sigma0 + schedule[index - 7] + sigma1;
  }
  std::uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6],
                h = state[7];
  for (int index = 0; index < 64; ++index) {
    const std::uint32_t sum1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
    const std::uint32_t choice = (e & f) ^ (~e & g);
    const std::uint32_t sum0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
    const std::uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
    const std::uint32_t first = h + sum1 + choice + kRoundConstants[index] + schedule[index];
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + sum0 + majority;
  }
  const std::uint32_t worked[8] = {a, b, c, d, e, f, g, h};
  for (int index = 0; index < 8; ++index) state[index] += worked[index];
}

void sha256(const std::uint8_t* message, std::size_t size, std::uint8_t* digest) {
  std::uint32_t state[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                            0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
  std::size_t offset = 0;
  for (; size - offset >= kBlockSize; offset += kBlockSize) compress(state, message + offset);

  std::uint8_t last[2 * kBlockSize] = {};
  const std::size_t rest = size - offset;
  for (std::size_t index = 0; index < rest; ++index) last[index] = message[offset + index];
  last[rest] = 0x80;
  const std::size_t padded = rest + 9 <= kBlockSize ? kBlockSize : 2 * kBlockSize;
  for (std::size_t index = 0; index < 8; ++index) {
    last[padded - 1 - index] = static_cast<std::uint8_t>(std::uint64_t{size} * 8 >> (8 * index));
  }
  for (std::size_t block = 0; block < padded; block += kBlockSize) compress(state, last + block);

  for (std::size_t index = 0; index < kernel::kDigestSize; ++index) {
    digest[index] = static_cast<std::uint8_t>(state[index / 4] >> (24 - 8 * (index % 4)));
  }
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) { return kernel::chain_digests(rounds, sha256); }
