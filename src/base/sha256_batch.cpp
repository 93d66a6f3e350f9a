#include "base/sha256_batch.h"

#include <cpuid.h>
#include <immintrin.h>

// As in hash.cpp: the interface without providers.
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace caisson::base {
namespace {

// FIPS 180-4, 4.2.2.
alignas(16) constexpr std::array<std::uint32_t, 64> kRoundConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// FIPS 180-4, 5.3.3.
constexpr std::array<std::uint32_t, 8> kInitialState = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

using Block = std::array<std::uint8_t, kSha256BlockSize>;

// What is appended to a message of whole blocks (FIPS 180-4, 5.1.1): a one, zeros, the length in bits.
Block padding_for(std::size_t size) {
  Block block{};
  block[0] = 0x80;
  const std::uint64_t bits = std::byteswap(std::uint64_t{size} * 8);
  std::memcpy(block.data() + block.size() - sizeof bits, &bits, sizeof bits);
  return block;
}

void put_digest(const std::array<std::uint32_t, 8>& state, Sha256& digest) {
  for (unsigned word = 0; word < state.size(); ++word) {
    const std::uint32_t big_endian = std::byteswap(state[word]);
    std::memcpy(digest.data() + 4 * word, &big_endian, sizeof big_endian);
  }
}

#define CAISSON_SHA_EXTENSIONS __attribute__((target("sha,sse4.1,ssse3")))

// The state's words as the instructions take them, the highest first.
struct Lane {
  __m128i abef, cdgh;
};

// Blocks one behind the other, of each lane. The lanes do not wait for each other.
template <std::size_t kLanes>
CAISSON_SHA_EXTENSIONS inline void add_blocks(std::array<Lane, kLanes>& lanes,
                                              const std::array<const std::uint8_t*, kLanes>& blocks,
                                              std::size_t count) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  for (std::size_t block = 0; block < count; ++block) {
    std::array<Lane, kLanes> next = lanes;
    __m128i words[kLanes][4];  // of the message's schedule: the last sixteen
#pragma clang loop unroll(full)
    for (unsigned step = 0; step < 16; ++step) {
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kRoundConstants.data() + 4 * step));
#pragma clang loop unroll(full)
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        __m128i& now = words[lane][step % 4];
        const __m128i before = words[lane][(step + 3) % 4];
        if (step < 4) {
          const std::uint8_t* const from = blocks[lane] + block * kSha256BlockSize + 16 * step;
          now = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)), big_endian);
        } else {
          const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(now, words[lane][(step + 1) % 4]),
                                            _mm_alignr_epi8(before, words[lane][(step + 2) % 4], 4));
          now = _mm_sha256msg2_epu32(sum, before);
        }
        const __m128i input = _mm_add_epi32(now, constants);
        next[lane].cdgh = _mm_sha256rnds2_epu32(next[lane].cdgh, next[lane].abef, input);
        next[lane].abef =
            _mm_sha256rnds2_epu32(next[lane].abef, next[lane].cdgh, _mm_shuffle_epi32(input, 0b00'00'11'10));
      }
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane].abef = _mm_add_epi32(lanes[lane].abef, next[lane].abef);
      lanes[lane].cdgh = _mm_add_epi32(lanes[lane].cdgh, next[lane].cdgh);
    }
  }
}

template <std::size_t kLanes>
CAISSON_SHA_EXTENSIONS void hash_lanes(const Sha256Job* jobs, std::size_t size, const Block& padding) {
  const auto& start = kInitialState;
  const auto words = [](std::uint32_t highest, std::uint32_t high, std::uint32_t low, std::uint32_t lowest) {
    return _mm_set_epi32(static_cast<int>(highest), static_cast<int>(high), static_cast<int>(low),
                         static_cast<int>(lowest));
  };
  std::array<Lane, kLanes> lanes;
  lanes.fill(
      {.abef = words(start[0], start[1], start[4], start[5]), .cdgh = words(start[2], start[3], start[6], start[7])});
  std::array<const std::uint8_t*, kLanes> blocks;
  for (std::size_t lane = 0; lane < kLanes; ++lane) blocks[lane] = jobs[lane].message;
  add_blocks(lanes, blocks, size / kSha256BlockSize);
  blocks.fill(padding.data());
  add_blocks(lanes, blocks, 1);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    std::array<std::uint32_t, 4> abef, cdgh;  // the lowest first
    std::memcpy(abef.data(), &lanes[lane].abef, sizeof abef);
    std::memcpy(cdgh.data(), &lanes[lane].cdgh, sizeof cdgh);
    put_digest({abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]}, *jobs[lane].digest);
  }
}

bool has_sha_extensions() {
  static const bool kHas = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSSE3) == 0 || (c & bit_SSE4_1) == 0) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
  }();
  return kHas;
}

}  // namespace

void sha256_batch_without_extensions(std::span<const Sha256Job> jobs, std::size_t size) {
  const Block padding = padding_for(size);
  for (const Sha256Job& job : jobs) {
    // Block by block: SHA256_Update() and SHA256_Final() copy and count for longer than a block takes.
    SHA256_CTX context;
    SHA256_Init(&context);
    for (std::size_t offset = 0; offset < size; offset += kSha256BlockSize)
      SHA256_Transform(&context, job.message + offset);
    SHA256_Transform(&context, padding.data());
    std::array<std::uint32_t, 8> state;
    std::copy_n(context.h, state.size(), state.begin());
    put_digest(state, *job.digest);
  }
}

void sha256_batch(std::span<const Sha256Job> jobs, std::size_t size) {
  if (!has_sha_extensions()) return sha256_batch_without_extensions(jobs, size);
  const Block padding = padding_for(size);
  for (; jobs.size() >= 2; jobs = jobs.subspan(2)) hash_lanes<2>(jobs.data(), size, padding);
  if (!jobs.empty()) hash_lanes<1>(jobs.data(), size, padding);
}

}  // namespace caisson::base
