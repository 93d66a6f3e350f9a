// Bytes that are stored or sent: numbers little-endian, and everything of variable length behind its own length.
//
// A ByteReader takes hostile bytes. It never reads past their end, and what it gives after a failure is zero or empty, so that a
// decoder may read on and ask once, at the end, whether all was well: finished().
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caisson::base {

template <class Number>
concept EncodedNumber = std::unsigned_integral<Number> && !std::same_as<Number, bool>;

class ByteWriter {
 public:
  template <EncodedNumber Number>
  void number(Number value) {
    for (std::size_t byte = 0; byte < sizeof value; ++byte)
      bytes_.push_back(static_cast<std::uint8_t>(std::uint64_t{value} >> (8 * byte)));
  }
  void flag(bool value) { number(static_cast<std::uint8_t>(value)); }
  // A length or a number of elements.
  void count(std::size_t value) { number(static_cast<std::uint64_t>(value)); }
  // Without a length: the reader knows it.
  void raw(std::span<const std::uint8_t> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void bytes(std::span<const std::uint8_t> bytes) {
    count(bytes.size());
    raw(bytes);
  }
  void text(std::string_view text) {
    count(text.size());
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }

  std::vector<std::uint8_t> take() { return std::exchange(bytes_, {}); }

 private:
  std::vector<std::uint8_t> bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::uint8_t> bytes) : left_(bytes) {}

  template <EncodedNumber Number>
  Number number() {
    std::uint64_t value = 0;
    const std::span<const std::uint8_t> encoded = raw(sizeof(Number));
    for (std::size_t byte = 0; byte < encoded.size(); ++byte) value |= std::uint64_t{encoded[byte]} << (8 * byte);
    return static_cast<Number>(value);
  }
  // 0 or 1; another byte is a failure.
  bool flag() {
    const auto value = number<std::uint8_t>();
    if (value > 1) fail();
    return value == 1;
  }
  // At most `most`, and no more than the bytes that are left can hold at `least_bytes_each`: safe to allocate for.
  std::size_t count(std::size_t most, std::size_t least_bytes_each = 1) {
    const auto value = number<std::uint64_t>();
    if (value > most || value > left_.size() / least_bytes_each) {
      fail();
      return 0;
    }
    return static_cast<std::size_t>(value);
  }
  // Views into what is read; empty where that is not there.
  std::span<const std::uint8_t> raw(std::size_t length) {
    if (length > left_.size()) {
      fail();
      return {};
    }
    const std::span<const std::uint8_t> bytes = left_.first(length);
    left_ = left_.subspan(length);
    return bytes;
  }
  std::span<const std::uint8_t> bytes(std::size_t most) { return raw(count(most)); }
  std::string text(std::size_t most) {
    const std::span<const std::uint8_t> encoded = bytes(most);
    return {encoded.begin(), encoded.end()};
  }

  // What was read cannot be meant: everything from now on fails.
  void fail() {
    failed_ = true;
    left_ = {};
  }
  bool failed() const { return failed_; }
  // Everything was there, and nothing follows it.
  bool finished() const { return !failed_ && left_.empty(); }

 private:
  std::span<const std::uint8_t> left_;
  bool failed_ = false;
};

}  // namespace caisson::base
