#include "base/hash.h"

#include <openssl/evp.h>

namespace caisson::base {

Result<Sha256> sha256(std::span<const std::uint8_t> bytes) {
  Sha256 digest;
  unsigned int written = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &written, EVP_sha256(), nullptr) != 1 ||
      written != digest.size()) {
    return fail(ErrorCode::kInternal, "libcrypto cannot compute SHA-256; check its provider configuration");
  }
  return digest;
}

}  // namespace caisson::base
