// BLAKE2b with a digest of 256 bits (RFC 7693): 64-bit rotations and additions on a state of sixteen words.
#include "digest_chain.h"

namespace {

constexpr std::size_t kBlockSize = 128;
constexpr int kRounds = 12;

// RFC 7693, 2.6: the first 64 bits of the fractional parts of the square roots of the first eight primes.
constexpr std::uint64_t kInitial[8] = {
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
};

// RFC 7693, 2.7: the order of message words in each round; rounds 10 and 11 repeat 0 and 1.
constexpr std::uint8_t kSchedule[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

std::uint64_t rotate_right(std::uint64_t value, int count) { return value >> count | value << (64 - count); }

void blend(std::uint64_t& a, std::uint64_t& b, std::uint64_t& c, std::uint64_t& d, std::uint64_t x, std::uint64_t y) {
  a += b + x;
  d = rotate_right(d ^ a, 32);
  c += d;
  b = rotate_right(b ^ c, 24);
  a += b + y;
  d = rotate_right(d ^ a, 16);
  c += d;
  b = rotate_right(b ^ c, 63);
}

void compress(std::uint64_t (&state)[8], const std::uint8_t* block, std::uint64_t bytes_so_far, bool last) {
  std::uint64_t message[16], v[16];
  for (int index = 0; index < 16; ++index)
    message[index] = kernel::load_little_endian<std::uint64_t>(block + 8 * index);
  for (int index = 0; index < 8; ++index) {
    v[index] = state[index];
    v[index + 8] = kInitial[index];
  }
  v[12] ^= bytes_so_far;
  if (last) v[14] = ~v[14];
  for (int round = 0; round < kRounds; ++round) {
    const std::uint8_t* order = kSchedule[round % 10];
    blend(v[0], v[4], v[8], v[12], message[order[0]], message[order[1]]);
    blend(v[1], v[5], v[9], v[13], message[order[2]], message[order[3]]);
    blend(v[2], v[6], v[10], v[14], message[order[4]], message[order[5]]);
    blend(v[3], v[7], v[11], v[15], message[order[6]], message[order[7]]);
    blend(v[0], v[5], v[10], v[15], message[order[8]], message[order[9]]);
    blend(v[1], v[6], v[11], v[12], message[order[10]], message[order[11]]);
    blend(v[2], v[7], v[8], v[13], message[order[12]], message[order[13]]);
    blend(v[3], v[4], v[9], v[14], message[order[14]], message[order[15]]);
  }
  for (int index = 0; index < 8; ++index) state[index] ^= v[index] ^ v[index + 8];
}

// Of a message that is not empty.
void blake2b_256(const std::uint8_t* message, std::size_t size, std::uint8_t* digest) {
  std::uint64_t state[8];
  for (int index = 0; index < 8; ++index) state[index] = kInitial[index];
  state[0] ^= 0x01010000 ^ kernel::kDigestSize;  // no key, fan-out and depth 1
  std::size_t offset = 0;
  for (; size - offset > kBlockSize; offset += kBlockSize)
    compress(state, message + offset, offset + kBlockSize, false);
  std::uint8_t last[kBlockSize] = {};
  for (std::size_t index = 0; index < size - offset; ++index) last[index] = message[offset + index];
  compress(state, last, size, true);
  for (std::size_t index = 0; index < kernel::kDigestSize / 8; ++index) {
    kernel::store_little_endian(state[index], digest + 8 * index);
  }
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) { return kernel::chain_digests(rounds, blake2b_256); }
