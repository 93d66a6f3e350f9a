// Encoding and decoding: the layout, and bytes that are short, long or wrong.
#include "base/byte_codec.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace caisson::base {
namespace {

using Bytes = std::vector<std::uint8_t>;

TEST(ByteCodec, LayoutIsLittleEndianWithLengthsOfEightBytes) {
  ByteWriter writer;
  writer.number(std::uint8_t{0xab});
  writer.number(std::uint16_t{0x1234});
  writer.number(std::uint32_t{0xdeadbeef});
  writer.flag(true);
  writer.text("hi");
  EXPECT_EQ(writer.take(), (Bytes{0xab, 0x34, 0x12, 0xef, 0xbe, 0xad, 0xde, 1, 2, 0, 0, 0, 0, 0, 0, 0, 'h', 'i'}));
  EXPECT_TRUE(writer.take().empty());
}

Bytes sample() {
  ByteWriter writer;
  writer.number(std::numeric_limits<std::uint64_t>::max());
  writer.flag(false);
  writer.bytes(std::array<std::uint8_t, 3>{1, 2, 3});
  writer.raw(std::array<std::uint8_t, 2>{4, 5});
  writer.text(std::string("a\0b", 3));
  return writer.take();
}

// Whether all of it was as sample() wrote it.
bool reads_sample(ByteReader& reader) {
  const bool same = reader.number<std::uint64_t>() == std::numeric_limits<std::uint64_t>::max();
  const bool flag = reader.flag();
  const auto bytes = reader.bytes(3);
  const Bytes first(bytes.begin(), bytes.end());
  const auto raw = reader.raw(2);
  const Bytes second(raw.begin(), raw.end());
  return same && !flag && first == Bytes{1, 2, 3} && second == Bytes{4, 5} && reader.text(3) == std::string("a\0b", 3);
}

TEST(ByteCodec, ReadsWhatWasWritten) {
  const Bytes bytes = sample();
  ByteReader reader(bytes);
  EXPECT_TRUE(reads_sample(reader));
  EXPECT_TRUE(reader.finished());
}

TEST(ByteCodec, EveryTruncationFails) {
  const Bytes bytes = sample();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    ByteReader reader(part);
    reads_sample(reader);
    EXPECT_TRUE(reader.failed()) << length;
    EXPECT_FALSE(reader.finished()) << length;
  }
}

TEST(ByteCodec, WhatFollowsIsNoticed) {
  Bytes bytes = sample();
  bytes.push_back(0);
  ByteReader reader(bytes);
  EXPECT_TRUE(reads_sample(reader));
  EXPECT_FALSE(reader.failed());
  EXPECT_FALSE(reader.finished());
}

TEST(ByteCodec, LengthsAreBoundedByTheCallerAndByWhatIsLeft) {
  ByteWriter writer;
  writer.count(4);
  writer.raw(std::array<std::uint8_t, 8>{});
  const Bytes bytes = writer.take();
  EXPECT_EQ(ByteReader(bytes).count(4, 2), 4u);
  for (const auto& [most, each] : {std::pair{3, 1}, std::pair{4, 3}}) {
    ByteReader reader(bytes);
    EXPECT_EQ(reader.count(static_cast<std::size_t>(most), static_cast<std::size_t>(each)), 0u);
    EXPECT_TRUE(reader.failed());
  }
  ByteWriter huge;
  huge.number(std::numeric_limits<std::uint64_t>::max());
  const Bytes encoded = huge.take();
  ByteReader reader(encoded);
  EXPECT_TRUE(reader.text(std::numeric_limits<std::size_t>::max()).empty());
  EXPECT_TRUE(reader.failed());
}

TEST(ByteCodec, AfterAFailureEverythingIsZero) {
  const Bytes bytes = {2, 7, 7, 7};
  ByteReader reader(bytes);
  EXPECT_FALSE(reader.flag());  // neither 0 nor 1
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.number<std::uint8_t>(), 0);
  EXPECT_TRUE(reader.raw(1).empty());
  EXPECT_FALSE(reader.finished());
}

}  // namespace
}  // namespace caisson::base
