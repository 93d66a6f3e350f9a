#include "compile/helper_protocol.h"

#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

namespace caisson::compile {
namespace {

class Writer {
 public:
  template <class T>
  void number(T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    raw(&value, sizeof value);
  }
  template <class Bytes>
  void bytes(const Bytes& value) {
    number<std::uint64_t>(value.size());
    raw(value.data(), value.size());
  }
  void raw(const void* data, std::size_t size) {
    const auto* const begin = static_cast<const std::uint8_t*>(data);
    message_.insert(message_.end(), begin, begin + size);
  }

  Result<std::vector<std::uint8_t>> finish() {
    const std::size_t length = message_.size() - sizeof(FrameHeader);
    if (length > std::numeric_limits<std::uint32_t>::max()) {
      return fail(ErrorCode::kLimit, "a message to the compile helper is too long");
    }
    const FrameHeader header{FrameHeader::kMagic, static_cast<std::uint32_t>(length)};
    std::memcpy(message_.data(), &header, sizeof header);
    return std::move(message_);
  }

 private:
  std::vector<std::uint8_t> message_ = std::vector<std::uint8_t>(sizeof(FrameHeader));
};

// After the first thing that is not there, everything reads as zero and is_good() is false.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> rest) : rest_(rest) {}

  template <class T>
  T number() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    if (const auto taken = take(sizeof value); !taken.empty()) std::memcpy(&value, taken.data(), sizeof value);
    return value;
  }
  std::vector<std::uint8_t> bytes() {
    const auto taken = take(number<std::uint64_t>());
    return {taken.begin(), taken.end()};
  }
  std::string text() {
    const auto taken = take(number<std::uint64_t>());
    return {taken.begin(), taken.end()};
  }
  // A count of things that take at least `size` bytes each: never more than there can be.
  std::uint64_t count(std::size_t size) {
    const auto value = number<std::uint64_t>();
    if (value > rest_.size() / size) is_good_ = false;
    return is_good_ ? value : 0;
  }
  bool is_good() const { return is_good_; }
  bool is_at_end() const { return is_good_ && rest_.empty(); }

 private:
  std::span<const std::uint8_t> take(std::uint64_t size) {
    if (!is_good_ || size > rest_.size()) {
      is_good_ = false;
      return {};
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  std::span<const std::uint8_t> rest_;
  bool is_good_ = true;
};

void write_blob(Writer& writer, const CodeBlob& blob) {
  writer.bytes(blob.code);
  writer.number<std::uint64_t>(blob.entries.size());
  for (const CodeBlob::Entry& entry : blob.entries) {
    writer.number(entry.guest_pc);
    writer.number(entry.offset);
  }
  writer.number<std::uint64_t>(blob.relocations.size());
  for (const CodeBlob::Relocation& relocation : blob.relocations) {
    writer.number(relocation.offset);
    writer.number(relocation.kind);
    writer.number(relocation.target);
    writer.number(relocation.addend);
  }
  writer.bytes(blob.pc_map);
  writer.bytes(blob.unwind);
}

Result<CodeBlob> read_blob(Reader& reader) {
  constexpr std::size_t kEntrySize = 8 + 4, kRelocationSize = 4 + 4 + 8 + 8;
  CodeBlob blob;
  bool is_inside = true;
  blob.code = reader.bytes();
  blob.entries.resize(reader.count(kEntrySize));
  for (CodeBlob::Entry& entry : blob.entries) {
    entry.guest_pc = reader.number<std::uint64_t>();
    entry.offset = reader.number<std::uint32_t>();
    is_inside &= entry.offset < blob.code.size();
  }
  blob.relocations.resize(reader.count(kRelocationSize));
  for (CodeBlob::Relocation& relocation : blob.relocations) {
    relocation.offset = reader.number<std::uint32_t>();
    relocation.kind = reader.number<std::uint32_t>();
    relocation.target = reader.number<std::uint64_t>();
    relocation.addend = reader.number<std::int64_t>();
    is_inside &= relocation.offset < blob.code.size();
  }
  blob.pc_map = reader.bytes();
  blob.unwind = reader.bytes();
  if (!is_inside) return fail(ErrorCode::kInvalidImage, "an offset of the compiled code lies outside of it");
  return blob;
}

std::unexpected<Error> broken(const char* what) {
  return fail(ErrorCode::kInvalidImage, std::string("a ") + what + " of the compile helper breaks its form");
}

}  // namespace

Result<std::vector<std::uint8_t>> encode(const HelperRequest& request) {
  const CompileInput& input = request.input;
  Writer writer;
  writer.number(request.id);
  writer.number(request.time_limit_ms);
  writer.number<std::uint8_t>(request.is_dump_wanted);
  writer.bytes(input.guest_kind);
  writer.number(input.key.bytes);
  writer.number<std::uint8_t>(std::to_underlying(input.tier));
  writer.number(input.guest_address);
  writer.number(input.entry_pc);
  writer.bytes(input.bytes ? *input.bytes : std::vector<std::uint8_t>{});
  writer.bytes(input.hints);
  writer.bytes(input.label);
  return writer.finish();
}

Result<HelperRequest> decode_request(std::span<const std::uint8_t> payload) {
  Reader reader(payload);
  HelperRequest request;
  CompileInput& input = request.input;
  request.id = reader.number<std::uint64_t>();
  request.time_limit_ms = reader.number<std::uint64_t>();
  request.is_dump_wanted = reader.number<std::uint8_t>() != 0;
  input.guest_kind = reader.text();
  input.key.bytes = reader.number<std::array<std::uint8_t, 32>>();
  const auto tier = reader.number<std::uint8_t>();
  input.guest_address = reader.number<std::uint64_t>();
  input.entry_pc = reader.number<std::uint64_t>();
  input.bytes = std::make_shared<const std::vector<std::uint8_t>>(reader.bytes());
  input.hints = reader.bytes();
  input.label = reader.text();
  if (!reader.is_at_end() || tier < 1 || tier > 2) return broken("request");
  input.tier = static_cast<CodeTier>(tier);
  return request;
}

Result<std::vector<std::uint8_t>> encode(const HelperReply& reply) {
  Writer writer;
  writer.number(reply.id);
  writer.number<std::uint8_t>(reply.blob.has_value());
  if (reply.blob) {
    write_blob(writer, *reply.blob);
  } else {
    writer.number(std::to_underlying(reply.blob.error().code));
    writer.bytes(reply.blob.error().message);
    writer.bytes(reply.blob.error().where);
  }
  writer.number<std::uint64_t>(reply.dump.texts().size());
  for (const auto& [name, text] : reply.dump.texts()) {
    writer.bytes(name);
    writer.bytes(text);
  }
  return writer.finish();
}

Result<HelperReply> decode_reply(std::span<const std::uint8_t> payload) {
  constexpr std::size_t kTextSize = 8 + 8;
  Reader reader(payload);
  HelperReply reply;
  reply.id = reader.number<std::uint64_t>();
  if (reader.number<std::uint8_t>() != 0) {
    reply.blob = read_blob(reader);
  } else {
    const auto code = reader.number<std::uint32_t>();
    if (code > std::to_underlying(ErrorCode::kInternal)) return broken("reply");
    std::string message = reader.text(), where = reader.text();
    reply.blob = fail(static_cast<ErrorCode>(code), std::move(message), std::move(where));
  }
  const std::uint64_t texts = reader.count(kTextSize);
  for (std::uint64_t index = 0; index < texts; ++index) {
    std::string name = reader.text(), text = reader.text();
    reply.dump.add(name, std::move(text));
  }
  if (!reader.is_at_end()) return broken("reply");
  return reply;
}

}  // namespace caisson::compile
