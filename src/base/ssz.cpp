#include "base/ssz.h"

#include <algorithm>
#include <cstring>

#include "base/merkle.h"

namespace caisson::base {
namespace {

constexpr std::size_t kOffsetBytes = 4;

std::unexpected<Error> fail_at(std::string_view where, const char* message) {
  return fail(ErrorCode::kInvalidImage, message, std::string(where));
}

std::vector<Sha256> pack(Bytes bytes) {
  std::vector<Sha256> chunks((bytes.size() + sizeof(Sha256) - 1) / sizeof(Sha256));
  if (!bytes.empty()) std::memcpy(chunks.data(), bytes.data(), bytes.size());
  return chunks;
}

}  // namespace

SszWriter& SszWriter::put_number(std::uint64_t value, unsigned bytes) {
  for (unsigned index = 0; index < bytes; ++index) fixed_.push_back(static_cast<std::uint8_t>(value >> (8 * index)));
  return *this;
}

SszWriter& SszWriter::put_fixed(Bytes bytes) {
  fixed_.insert(fixed_.end(), bytes.begin(), bytes.end());
  return *this;
}

SszWriter& SszWriter::put_variable(Bytes bytes) {
  offsets_.push_back({fixed_.size(), variable_.size()});
  fixed_.resize(fixed_.size() + kOffsetBytes);
  variable_.insert(variable_.end(), bytes.begin(), bytes.end());
  return *this;
}

std::vector<std::uint8_t> SszWriter::finish() {
  for (const Offset& offset : offsets_) {
    const std::size_t value = fixed_.size() + offset.start;
    for (std::size_t index = 0; index < kOffsetBytes; ++index)
      fixed_[offset.place + index] = static_cast<std::uint8_t>(value >> (8 * index));
  }
  fixed_.insert(fixed_.end(), variable_.begin(), variable_.end());
  return std::move(fixed_);
}

Result<std::vector<Bytes>> split_container(Bytes bytes, std::initializer_list<std::size_t> sizes,
                                           std::string_view where) {
  std::size_t fixed_bytes = 0;
  for (const std::size_t size : sizes) fixed_bytes += size == kVariableSize ? kOffsetBytes : size;
  if (bytes.size() < fixed_bytes) return fail_at(where, "is cut short");
  std::vector<Bytes> fields(sizes.size());
  std::size_t place = 0;
  std::size_t index = 0;
  std::size_t open_field = sizes.size();  // the last of variable size, whose end is still unknown
  std::size_t open_start = fixed_bytes;
  for (const std::size_t size : sizes) {
    if (size != kVariableSize) {
      fields[index] = bytes.subspan(place, size);
      place += size;
    } else {
      const auto offset = static_cast<std::size_t>(read_number(bytes.subspan(place, kOffsetBytes)));
      place += kOffsetBytes;
      const bool is_first = open_field == sizes.size();
      if (is_first && offset != fixed_bytes)
        return fail_at(where, "has a first offset that is not the end of its fixed part");
      if (offset < open_start || offset > bytes.size())
        return fail_at(where, "has offsets out of order or beyond its end");
      if (!is_first) fields[open_field] = bytes.subspan(open_start, offset - open_start);
      open_field = index;
      open_start = offset;
    }
    ++index;
  }
  if (open_field != sizes.size()) {
    fields[open_field] = bytes.subspan(open_start);
  } else if (bytes.size() != fixed_bytes) {
    return fail_at(where, "has bytes behind its end");
  }
  return fields;
}

Result<std::vector<Bytes>> split_list(Bytes bytes, std::size_t item_size, std::uint64_t limit, std::string_view where) {
  if (bytes.size() % item_size != 0) return fail_at(where, "is not a whole number of items");
  if (bytes.size() / item_size > limit) return fail_at(where, "has more items than are allowed");
  std::vector<Bytes> items(bytes.size() / item_size);
  for (std::size_t index = 0; index < items.size(); ++index) items[index] = bytes.subspan(index * item_size, item_size);
  return items;
}

Result<std::vector<Bytes>> split_variable_list(Bytes bytes, std::uint64_t limit, std::string_view where) {
  if (bytes.empty()) return std::vector<Bytes>();
  if (bytes.size() < kOffsetBytes) return fail_at(where, "is cut short");
  auto start = static_cast<std::size_t>(read_number(bytes.first(kOffsetBytes)));
  if (start == 0 || start % kOffsetBytes != 0 || start > bytes.size())
    return fail_at(where, "has a first offset that is not the end of its offsets");
  const std::size_t count = start / kOffsetBytes;
  if (count > limit) return fail_at(where, "has more items than are allowed");
  std::vector<Bytes> items(count);
  for (std::size_t index = 0; index < count; ++index) {
    const std::size_t next_place = (index + 1) * kOffsetBytes;
    const auto end = index + 1 == count
                         ? bytes.size()
                         : static_cast<std::size_t>(read_number(bytes.subspan(next_place, kOffsetBytes)));
    if (end <= start || end > bytes.size()) return fail_at(where, "has offsets out of order or beyond its end");
    items[index] = bytes.subspan(start, end - start);
    start = end;
  }
  return items;
}

std::uint64_t read_number(Bytes bytes) {
  std::uint64_t value = 0;
  for (std::size_t index = 0; index < bytes.size(); ++index) value |= std::uint64_t{bytes[index]} << (8 * index);
  return value;
}

Sha256 read_hash(Bytes bytes) {
  Sha256 hash;
  std::ranges::copy(bytes, hash.begin());
  return hash;
}

Sha256 root_of_number(std::uint64_t value) {
  Sha256 chunk{};
  for (unsigned index = 0; index < sizeof value; ++index)
    chunk[index] = static_cast<std::uint8_t>(value >> (8 * index));
  return chunk;
}

Sha256 root_of_fixed_bytes(Bytes bytes) {
  const std::vector<Sha256> chunks = pack(bytes);
  return merkleize(chunks, chunks.size());
}

Sha256 root_of_byte_list(Bytes bytes, std::uint64_t limit) {
  return mix_in_length(merkleize(pack(bytes), (limit + sizeof(Sha256) - 1) / sizeof(Sha256)), bytes.size());
}

Sha256 root_of_container(std::initializer_list<Sha256> fields) {
  return merkleize({fields.begin(), fields.size()}, fields.size());
}

Sha256 root_of_list(std::span<const Sha256> items, std::uint64_t limit) {
  return mix_in_length(merkleize(items, limit), items.size());
}

}  // namespace caisson::base
