// Names of codes, and the hash.
#include <gtest/gtest.h>

#include <set>
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

std::string hex_of_hash(std::string_view text) {
  const base::Sha256 hash = base::sha256({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  std::string hex;
  for (const std::uint8_t byte : hash) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

// The examples of FIPS 180-4's test vectors.
TEST(Sha256, StandardVectors) {
  EXPECT_EQ(hex_of_hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_of_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_of_hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

}  // namespace
}  // namespace caisson
