// SSZ (github.com/ethereum/consensus-specs, ssz/simple-serialize.md): bytes of containers, lists and unions, and their hash trees.
//
// Numbers are little-endian. A container is the concatenation of its fields; one of variable size is represented there by an offset of four
// bytes, and its bytes follow behind, in the order of fields. A list of items of one size is their concatenation; a list of items of variable
// size is as a container of them. A union is a selector byte and the value.
//
// Reading is strict: split_*() gives the bytes of each part, or an error where they are not exactly what writing would have produced.
//
// Thread safety: values, and functions of their arguments.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "caisson/result.h"

namespace caisson::base {

using Bytes = std::span<const std::uint8_t>;

// The bytes of one container (or list), field by field.
class SszWriter {
 public:
  SszWriter& put_u8(std::uint8_t value) { return put_number(value, 1); }
  SszWriter& put_u32(std::uint32_t value) { return put_number(value, 4); }
  SszWriter& put_u64(std::uint64_t value) { return put_number(value, 8); }
  // A field of fixed size.
  SszWriter& put_fixed(Bytes bytes);
  // A field of variable size.
  SszWriter& put_variable(Bytes bytes);
  // All of it. Nothing may be put afterwards.
  std::vector<std::uint8_t> finish();

 private:
  struct Offset {
    std::size_t place;  // in fixed_
    std::size_t start;  // in variable_
  };
  SszWriter& put_number(std::uint64_t value, unsigned bytes);

  std::vector<std::uint8_t> fixed_;
  std::vector<std::uint8_t> variable_;
  std::vector<Offset> offsets_;
};

// In place of a field's size: it is variable.
inline constexpr std::size_t kVariableSize = 0;

// The fields of a container whose sizes are given, in order. Errors (all of ssz.h's): kInvalidImage; `where` is `where`.
Result<std::vector<Bytes>> split_container(Bytes bytes, std::initializer_list<std::size_t> sizes,
                                           std::string_view where);
// The items of a list of `item_size` bytes each, `limit` at most.
Result<std::vector<Bytes>> split_list(Bytes bytes, std::size_t item_size, std::uint64_t limit, std::string_view where);
// The same of items of variable size, each at least one byte.
Result<std::vector<Bytes>> split_variable_list(Bytes bytes, std::uint64_t limit, std::string_view where);

// A number of as many bytes as there are (at most 8).
std::uint64_t read_number(Bytes bytes);
// 32 bytes.
Sha256 read_hash(Bytes bytes);

// Roots of values that are not containers: a number, bytes of a fixed size, a list of bytes of at most `limit`.
Sha256 root_of_number(std::uint64_t value);
Sha256 root_of_fixed_bytes(Bytes bytes);
Sha256 root_of_byte_list(Bytes bytes, std::uint64_t limit);
// Of a container from its fields' roots, and of a list from its items' roots.
Sha256 root_of_container(std::initializer_list<Sha256> fields);
Sha256 root_of_list(std::span<const Sha256> items, std::uint64_t limit);

}  // namespace caisson::base
