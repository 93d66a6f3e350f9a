// FileView: the bytes of an untrusted file, readable only where they exist.
//
// Every offset and size that the ELF parser follows comes from the file itself; contains() and read() are the only ways
// from such a number to a byte, and neither wraps nor reads outside the span.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace caisson::image {

class FileView {
 public:
  explicit FileView(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  std::uint64_t size() const { return bytes_.size(); }

  bool contains(std::uint64_t offset, std::uint64_t size) const {
    return offset <= bytes_.size() && size <= bytes_.size() - offset;
  }

  // A plain structure at `offset`, wherever it is aligned; nothing where the file ends before it does.
  template <class Record>
  std::optional<Record> read(std::uint64_t offset) const {
    if (!contains(offset, sizeof(Record))) return std::nullopt;
    Record record;
    std::memcpy(&record, bytes_.data() + offset, sizeof(Record));
    return record;
  }

  // The part [offset, offset + size), or nothing where the file does not hold all of it.
  std::optional<FileView> part(std::uint64_t offset, std::uint64_t size) const {
    if (!contains(offset, size)) return std::nullopt;
    return FileView(bytes_.subspan(offset, size));
  }

  // The text from `offset` up to a NUL, or nothing where the bytes end before one comes.
  std::optional<std::string_view> terminated_text(std::uint64_t offset) const {
    if (offset >= bytes_.size()) return std::nullopt;
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + offset;
    const void* end = std::memchr(begin, '\0', bytes_.size() - offset);
    if (end == nullptr) return std::nullopt;
    return std::string_view(begin, static_cast<const char*>(end));
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace caisson::image
