#include "linux/random_source.h"

#include <openssl/evp.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/hash.h"

namespace caisson::linux_personality {

struct RandomSource::KeyStream {
  EVP_CIPHER_CTX* cipher = nullptr;  // null where libcrypto gave none: fill() fails then

  explicit KeyStream(std::uint64_t seed) {
    std::array<std::uint8_t, sizeof seed> bytes;
    for (std::size_t index = 0; index < bytes.size(); ++index) bytes[index] = static_cast<std::uint8_t>(seed >> (8 * index));
    const Result<base::Sha256> key = base::sha256(bytes);
    if (!key) return;
    constexpr std::array<std::uint8_t, 16> kCounterAndNonce{};
    cipher = EVP_CIPHER_CTX_new();
    if (cipher != nullptr && EVP_EncryptInit_ex(cipher, EVP_chacha20(), nullptr, key->data(), kCounterAndNonce.data()) != 1) {
      EVP_CIPHER_CTX_free(cipher);
      cipher = nullptr;
    }
  }
  ~KeyStream() { EVP_CIPHER_CTX_free(cipher); }
  KeyStream(const KeyStream&) = delete;
  KeyStream& operator=(const KeyStream&) = delete;

  // The key stream is what zeroes encrypt to.
  bool fill(std::span<std::uint8_t> bytes) {
    constexpr std::size_t kChunk = std::size_t{1} << 20;
    if (cipher == nullptr) return false;
    while (!bytes.empty()) {
      const std::span<std::uint8_t> chunk = bytes.first(std::min(bytes.size(), kChunk));
      std::ranges::fill(chunk, std::uint8_t{0});
      int written = 0;
      if (EVP_EncryptUpdate(cipher, chunk.data(), &written, chunk.data(), static_cast<int>(chunk.size())) != 1) return false;
      bytes = bytes.subspan(chunk.size());
    }
    return true;
  }
};

RandomSource::RandomSource(std::optional<std::uint64_t> seed) {
  if (seed) key_stream_ = std::make_unique<KeyStream>(*seed);
}
RandomSource::~RandomSource() = default;
RandomSource::RandomSource(RandomSource&&) noexcept = default;
RandomSource& RandomSource::operator=(RandomSource&&) noexcept = default;

bool RandomSource::fill(std::span<std::uint8_t> bytes) {
  if (key_stream_ != nullptr) return key_stream_->fill(bytes);
  while (!bytes.empty()) {
    const ssize_t count = getrandom(bytes.data(), bytes.size(), 0);
    if (count < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace caisson::linux_personality
