#include "runtime/host_signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace caisson::runtime {
namespace {

using detail::AbiValue;
using detail::ValueKind;

struct NamedType {
  std::string_view name;
  ValueKind kind;
  std::uint8_t size;
};

// One-word types besides C's keywords, as riscv64 Linux defines them.
constexpr NamedType kNamedTypes[] = {
    {"int8_t", ValueKind::kSigned, 1},     {"uint8_t", ValueKind::kUnsigned, 1},
    {"int16_t", ValueKind::kSigned, 2},    {"uint16_t", ValueKind::kUnsigned, 2},
    {"int32_t", ValueKind::kSigned, 4},    {"uint32_t", ValueKind::kUnsigned, 4},
    {"int64_t", ValueKind::kSigned, 8},    {"uint64_t", ValueKind::kUnsigned, 8},
    {"intptr_t", ValueKind::kSigned, 8},   {"uintptr_t", ValueKind::kUnsigned, 8},
    {"ptrdiff_t", ValueKind::kSigned, 8},  {"size_t", ValueKind::kUnsigned, 8},
    {"ssize_t", ValueKind::kSigned, 8},    {"off_t", ValueKind::kSigned, 8},
    {"time_t", ValueKind::kSigned, 8},     {"wchar_t", ValueKind::kSigned, 4},
    {"char8_t", ValueKind::kUnsigned, 1},  {"char16_t", ValueKind::kUnsigned, 2},
    {"char32_t", ValueKind::kUnsigned, 4}, {"byte", ValueKind::kUnsigned, 1},
    {"_Bool", ValueKind::kUnsigned, 1},    {"bool", ValueKind::kUnsigned, 1},
    {"void", ValueKind::kVoid, 0},         {"float", ValueKind::kFloat, 4},
    {"intmax_t", ValueKind::kSigned, 8},   {"uintmax_t", ValueKind::kUnsigned, 8},
};

constexpr std::string_view kQualifiers[] = {"volatile", "restrict", "__restrict", "__restrict__", "register"};

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Words and single other characters; `::` and what stands before it is dropped ("std::size_t").
std::vector<std::string_view> tokenize(std::string_view text) {
  std::vector<std::string_view> tokens;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ' || text[at] == '\t' || text[at] == '\n') {
      ++at;
    } else if (text.substr(at).starts_with("::")) {
      if (!tokens.empty() && is_word_character(tokens.back().front())) tokens.pop_back();
      at += 2;
    } else {
      std::size_t length = 0;
      while (at + length < text.size() && is_word_character(text[at + length])) ++length;
      length = std::max<std::size_t>(length, 1);
      tokens.push_back(text.substr(at, length));
      at += length;
    }
  }
  return tokens;
}

// The keywords of C's arithmetic types may come in any order and number, so they are counted.
struct Keywords {
  unsigned is_unsigned = 0, is_signed = 0, is_char = 0, is_short = 0, is_long = 0, is_int = 0, is_double = 0;

  bool add(std::string_view word) {
    const std::pair<std::string_view, unsigned*> words[] = {
        {"unsigned", &is_unsigned}, {"signed", &is_signed}, {"char", &is_char},     {"short", &is_short},
        {"long", &is_long},         {"int", &is_int},       {"double", &is_double},
    };
    const auto* const found = std::ranges::find(words, word, &std::pair<std::string_view, unsigned*>::first);
    if (found == std::end(words)) return false;
    ++*found->second;
    return true;
  }
  bool any() const { return is_unsigned + is_signed + is_char + is_short + is_long + is_int + is_double != 0; }

  AbiValue value() const {
    if (is_double != 0) {
      if (is_long != 0) return {.kind = ValueKind::kRecord};  // long double travels in two integer registers
      return {.kind = ValueKind::kFloat, .size = 8};
    }
    const bool unsigned_type =
        is_unsigned != 0 || (is_char != 0 && is_signed == 0);  // plain char is unsigned on RISC-V
    const std::uint8_t size = is_char != 0 ? 1 : is_short != 0 ? 2 : is_long != 0 ? 8 : 4;
    return {.kind = unsigned_type ? ValueKind::kUnsigned : ValueKind::kSigned, .size = size};
  }
};

AbiValue named_type(std::string_view name) {
  const auto* const found = std::ranges::find(kNamedTypes, name, &NamedType::name);
  if (found == std::end(kNamedTypes)) return {.kind = ValueKind::kRecord};
  return {.kind = found->kind, .size = found->size};
}

AbiValue pointer_to(const AbiValue& target, bool is_const) {
  return {.kind = ValueKind::kPointer,
          .size = 8,
          .target = target.kind,
          .target_size = target.size,
          .target_is_const = is_const};
}

// One type, perhaps with a parameter's name behind it.
AbiValue parse_type(std::string_view text) {
  Keywords keywords;
  std::optional<AbiValue> named;
  bool is_const = false;
  std::size_t pointers = 0;
  bool outer_is_const = false;  // of what the last pointer points to
  bool is_enum = false;
  for (const std::string_view token : tokenize(text)) {
    if (token == "*" || token == "[" ||
        token == "(") {  // arrays decay to pointers; a parenthesis declares a function's pointer
      outer_is_const = is_const;
      is_const = false;
      ++pointers;
      if (token == "(") break;
    } else if (token == "const") {
      is_const = true;
    } else if (token == "enum") {
      is_enum = true;
    } else if (token == "struct" || token == "union" || token == "class" ||
               std::ranges::find(kQualifiers, token) != std::end(kQualifiers)) {
      continue;
    } else if (is_word_character(token.front()) && pointers == 0 && !named && !keywords.add(token) && !keywords.any()) {
      named = named_type(token);
    }
  }
  AbiValue base = keywords.any() ? keywords.value() : named.value_or(AbiValue{.kind = ValueKind::kRecord});
  if (is_enum) base = {.kind = ValueKind::kUnsigned, .size = 4};
  for (; pointers > 1; --pointers) base = pointer_to(base, false);
  return pointers == 1 ? pointer_to(base, outer_is_const) : base;
}

// The parts between commas that stand in no parentheses.
std::vector<std::string_view> split_parameters(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    if (at == text.size() || (text[at] == ',' && depth == 0)) {
      parts.push_back(text.substr(begin, at - begin));
      begin = at + 1;
    } else if (text[at] == '(') {
      ++depth;
    } else if (text[at] == ')') {
      --depth;
    }
  }
  return parts;
}

// Where the parameter list's parenthesis opens: the partner of the last character.
std::optional<std::size_t> find_parameter_list(std::string_view text) {
  if (!text.ends_with(')')) return std::nullopt;
  int depth = 0;
  for (std::size_t at = text.size(); at-- > 0;) {
    if (text[at] == ')') ++depth;
    if (text[at] == '(' && --depth == 0) return at;
  }
  return std::nullopt;
}

std::unexpected<Error> not_passable(std::string_view type, std::string_view text) {
  return fail(ErrorCode::kSignatureMismatch,
              fmt::format("'{}' in '{}' cannot be passed to a host function", type, text));
}

// What stands behind a pointer. Bytes are bytes: char, signed char, unsigned char, std::byte and void.
bool accepts_target(const AbiValue& host, const AbiValue& guest) {
  if (!host.target_is_const && guest.target_is_const) return false;
  const bool guest_is_bytes =
      guest.target == ValueKind::kVoid || (guest.target_size == 1 && guest.target != ValueKind::kRecord);
  if (host.target_size == 1) return guest_is_bytes;
  if (host.target == ValueKind::kUnsigned && host.target_size == 8 && guest.target == ValueKind::kPointer) return true;
  return host.target == guest.target && host.target_size == guest.target_size;
}

bool accepts_value(const AbiValue& host, const AbiValue& guest) {
  if (host.kind == ValueKind::kPointer) return guest.kind == ValueKind::kPointer && accepts_target(host, guest);
  const bool is_address = host.kind == ValueKind::kUnsigned && host.size == 8 && guest.kind == ValueKind::kPointer;
  return is_address || (host.kind == guest.kind && host.size == guest.size);
}

std::string to_text(ValueKind kind, std::uint8_t size) {
  switch (kind) {
    case ValueKind::kVoid:
      return "void";
    case ValueKind::kSigned:
      return fmt::format("int{}_t", size * 8);
    case ValueKind::kUnsigned:
      return fmt::format("uint{}_t", size * 8);
    case ValueKind::kFloat:
      return size == 4 ? "float" : "double";
    case ValueKind::kPointer:
      return "void*";
    case ValueKind::kRecord:
      return "struct";
  }
  return "?";
}

std::string to_text(const AbiValue& value) {
  if (value.kind != ValueKind::kPointer) return to_text(value.kind, value.size);
  return fmt::format("{}{}*", value.target_is_const ? "const " : "", to_text(value.target, value.target_size));
}

}  // namespace

Result<Signature> parse_signature(std::string_view text) {
  const auto list = find_parameter_list(text);
  if (!list) return fail(ErrorCode::kSignatureMismatch, fmt::format("'{}' is not a signature", text));
  Signature signature{parse_type(text.substr(0, *list))};
  if (signature.front().kind == ValueKind::kRecord) return not_passable(text.substr(0, *list), text);
  const std::string_view parameters = text.substr(*list + 1, text.size() - *list - 2);
  const std::vector<std::string_view> tokens = tokenize(parameters);
  if (tokens.empty() || (tokens.size() == 1 && tokens.front() == "void")) return signature;
  for (const std::string_view parameter : split_parameters(parameters)) {
    const AbiValue value = parse_type(parameter);
    if (value.kind == ValueKind::kRecord || value.kind == ValueKind::kVoid) return not_passable(parameter, text);
    signature.push_back(value);
  }
  return signature;
}

bool accepts(std::span<const AbiValue> host, std::span<const AbiValue> guest) {
  return std::ranges::equal(host, guest, accepts_value);
}

std::string to_text(std::span<const AbiValue> signature) {
  std::string text = to_text(signature.front()) + "(";
  for (std::size_t index = 1; index < signature.size(); ++index) {
    text += (index > 1 ? ", " : "") + to_text(signature[index]);
  }
  return text + ")";
}

}  // namespace caisson::runtime
