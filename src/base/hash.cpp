#include "base/hash.h"

// The interface without providers. SHA-256 by EVP_Digest() first reads libcrypto's configuration and loads its providers,
// which costs a process 0.9 ms once; the same assembly code is behind this one, and it cannot fail.
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

namespace caisson::base {
namespace {

// SHA-256 of a block of the key, each byte changed by `pad`, and then `bytes`.
Sha256 padded_sha256(std::array<std::uint8_t, SHA256_CBLOCK> key_block, std::uint8_t pad,
                     std::span<const std::uint8_t> bytes) {
  for (std::uint8_t& byte : key_block) byte ^= pad;
  Sha256 digest;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, key_block.data(), key_block.size());
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(digest.data(), &context);
  return digest;
}

}  // namespace

Sha256 sha256(std::span<const std::uint8_t> bytes) {
  Sha256 digest;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(digest.data(), &context);
  return digest;
}

Sha256 hmac_sha256(std::span<const std::uint8_t> key, std::span<const std::uint8_t> bytes) {
  constexpr std::uint8_t kInnerPad = 0x36;
  constexpr std::uint8_t kOuterPad = 0x5C;
  std::array<std::uint8_t, SHA256_CBLOCK> key_block{};
  if (key.size() > key_block.size()) {
    std::ranges::copy(sha256(key), key_block.begin());
  } else {
    std::ranges::copy(key, key_block.begin());
  }
  return padded_sha256(key_block, kOuterPad, padded_sha256(key_block, kInnerPad, bytes));
}

bool equal_in_constant_time(const Sha256& one, const Sha256& other) {
  return CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

}  // namespace caisson::base
