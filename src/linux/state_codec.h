// One description of a structure for both directions: a function template takes a StateWriter or a StateReader and names each
// member once, so that what is written and what is read cannot differ.
//
//   template <class Codec>
//   void exchange(Codec& codec, Credentials& ids) { codec.number(ids.user); codec.list(ids.supplementary_groups, …); }
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/byte_codec.h"

namespace caisson::linux_personality {

class StateWriter {
 public:
  template <class Number>
  void number(const Number& value) {
    bytes_.number(static_cast<std::make_unsigned_t<Number>>(value));
  }
  void flag(bool value) { bytes_.flag(value); }
  template <std::size_t size>
  void array(const std::uint8_t (&bytes)[size]) {
    bytes_.raw(bytes);
  }
  template <class Bytes>
  void bytes(const Bytes& bytes, std::size_t most) {
    check(bytes.size() <= most);
    bytes_.count(bytes.size());
    for (const auto byte : bytes) bytes_.number(static_cast<std::uint8_t>(byte));
  }
  template <class Number>
  void optional(const std::optional<Number>& value) {
    flag(value.has_value());
    if (value) number(*value);
  }
  template <class Items, class Each>
  void list(Items& items, std::size_t most, Each each) {
    check(items.size() <= most);
    bytes_.count(items.size());
    for (auto& item : items) each(*this, item);
  }
  // What a reader demands of what was read.
  void check(bool holds) { is_valid_ &= holds; }

  bool is_valid() const { return is_valid_; }
  std::vector<std::uint8_t> take() { return bytes_.take(); }

 private:
  base::ByteWriter bytes_;
  bool is_valid_ = true;
};

class StateReader {
 public:
  explicit StateReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  template <class Number>
  void number(Number& value) {
    value = static_cast<Number>(bytes_.number<std::make_unsigned_t<Number>>());
  }
  void flag(bool& value) { value = bytes_.flag(); }
  template <std::size_t size>
  void array(std::uint8_t (&bytes)[size]) {
    const auto read = bytes_.raw(size);
    std::copy(read.begin(), read.end(), bytes);
  }
  template <class Bytes>
  void bytes(Bytes& bytes, std::size_t most) {
    const auto read = bytes_.bytes(most);
    bytes.assign(read.begin(), read.end());
  }
  template <class Number>
  void optional(std::optional<Number>& value) {
    value.reset();
    if (bytes_.flag()) number(value.emplace());
  }
  template <class Items, class Each>
  void list(Items& items, std::size_t most, Each each) {
    items.clear();
    // Each takes a byte at least, so that a short input makes no long list.
    for (std::size_t left = bytes_.count(most); left > 0 && !bytes_.failed(); --left) each(*this, items.emplace_back());
  }
  void check(bool holds) {
    if (!holds) bytes_.fail();
  }

  bool failed() const { return bytes_.failed(); }
  bool finished() const { return bytes_.finished(); }

 private:
  base::ByteReader bytes_;
};

}  // namespace caisson::linux_personality
