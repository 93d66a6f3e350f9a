// Names of codes, and the hash.
#include <gtest/gtest.h>

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "caisson/result.h"

namespace caisson {
namespace {

TEST(Names, EveryErrorCodeHasItsOwn) {
  std::set<std::string_view> names;
  const auto last = static_cast<std::uint32_t>(ErrorCode::kInternal);
  for (std::uint32_t code = 0; code <= last; ++code) names.insert(to_string(static_cast<ErrorCode>(code)));
  EXPECT_EQ(names.size(), last + 1);
  EXPECT_FALSE(names.contains(to_string(static_cast<ErrorCode>(last + 1))));
}

TEST(Names, EveryExitReasonHasItsOwn) {
  std::set<std::string_view> names{to_string(ExitReason::kAborted)};
  const auto last = static_cast<std::uint32_t>(ExitReason::kSignalled);
  for (std::uint32_t reason = 0; reason <= last; ++reason) names.insert(to_string(static_cast<ExitReason>(reason)));
  EXPECT_EQ(names.size(), last + 2);
  EXPECT_EQ(to_string(ExitReason::kOutOfGas), "out of gas");
}

TEST(Error, TellsWhereWhenItKnows) {
  EXPECT_EQ((Error{ErrorCode::kIo, "no", ""}).to_string(), "no");
  EXPECT_EQ((Error{ErrorCode::kIo, "no", "file"}).to_string(), "file: no");
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string hex_of(const base::Sha256& hash) {
  std::string hex;
  for (const std::uint8_t byte : hash) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::string hex_of_hash(std::string_view text) { return hex_of(base::sha256(bytes_of(text))); }

// The examples of FIPS 180-4's test vectors.
TEST(Sha256, StandardVectors) {
  EXPECT_EQ(hex_of_hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_of_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_of_hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

std::string hex_of_hmac(std::string_view key, std::string_view text) {
  return hex_of(base::hmac_sha256(bytes_of(key), bytes_of(text)));
}

// Test cases 1, 2 and 6 of RFC 4231: a short key, a shorter one, one longer than a block.
TEST(HmacSha256, StandardVectors) {
  EXPECT_EQ(hex_of_hmac(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex_of_hmac("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_of_hmac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(EqualInConstantTime, SeesEveryBit) {
  const base::Sha256 one = base::sha256({});
  EXPECT_TRUE(base::equal_in_constant_time(one, base::sha256({})));
  for (std::size_t bit = 0; bit < 8 * one.size(); ++bit) {
    base::Sha256 other = one;
    other[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_FALSE(base::equal_in_constant_time(one, other)) << bit;
  }
}

}  // namespace
}  // namespace caisson
