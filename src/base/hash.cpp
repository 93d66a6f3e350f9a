#include "base/hash.h"

// The interface without providers. SHA-256 by EVP_Digest() first reads libcrypto's configuration and loads its providers,
// which costs a process 0.9 ms once; the same assembly code is behind this one, and it cannot fail.
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>

namespace caisson::base {

Sha256 sha256(std::span<const std::uint8_t> bytes) {
  Sha256 digest;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(digest.data(), &context);
  return digest;
}

}  // namespace caisson::base
