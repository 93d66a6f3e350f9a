// Parses 16 KiB of JSON into a tree and walks it: byte-wise branches, recursion, an arena.
#include "kernel.h"

namespace {

constexpr std::size_t kTextCapacity = 16'384, kRecordSpace = 200, kMostValues = 8192;

char text[kTextCapacity];
std::size_t text_size;

void write(const char* piece) {
  while (*piece != '\0') text[text_size++] = *piece++;
}

void write_number(std::uint64_t number) {
  char digits[20];
  std::size_t count = 0;
  do digits[count++] = static_cast<char>('0' + number % 10);
  while ((number /= 10) != 0);
  while (count > 0) text[text_size++] = digits[--count];
}

// An array of records, as many as fit.
void write_text(std::uint64_t seed) {
  kernel::Random random(seed);
  text_size = 0;
  for (write("[ "); text_size + kRecordSpace < kTextCapacity;) {
    write("{\"id\": ");
    write_number(random.below(1'000'000));
    write(", \"name\": \"worker \\\"");
    write_number(random.below(1000));
    write("\\\" \\u00e9\", \"depth\": -");
    write_number(random.below(40));
    write(".");
    write_number(random.below(1000));
    write("e1, \"tags\": [\"iron\", \"water\", [], null], \"active\": ");
    write(random.below(2) == 0 ? "true" : "false");
    write(", \"next\": {\"shift\": ");
    write_number(random.below(3));
    write("}},\n  ");
  }
  write("{}]");
}

enum class Kind : std::uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

// Numbers are decimal: integer × 10^exponent. Strings are a hash of their characters. Arrays and objects lead to their first
// child, children to the next one; a child of an object has the hash of its key.
struct Value {
  Kind kind;
  std::int32_t exponent;
  std::int64_t integer;
  std::uint64_t text_hash, key_hash;
  Value* first_child;
  Value* next;
};
Value values[kMostValues];

class Parser {
 public:
  Parser() : next_(text), end_(text + text_size) {}

  // The document's value, or nullptr where it is malformed.
  Value* parse() {
    Value* value = parse_value(0);
    skip_space();
    return failed_ || next_ != end_ ? nullptr : value;
  }

 private:
  static constexpr int kDeepest = 64;

  void skip_space() {
    while (next_ != end_ && (*next_ == ' ' || *next_ == '\n' || *next_ == '\r' || *next_ == '\t')) ++next_;
  }
  bool take(char expected) {
    if (next_ == end_ || *next_ != expected) return false;
    ++next_;
    return true;
  }
  bool is_digit() const { return next_ != end_ && *next_ >= '0' && *next_ <= '9'; }

  Value* parse_value(int depth);
  void parse_children(Value& parent, char end, int depth);
  void parse_number(Value& value);
  std::uint64_t parse_string();
  std::uint32_t parse_escape();
  void parse_word(const char* word) {
    while (*word != '\0' && take(*word)) ++word;
    failed_ = failed_ || *word != '\0';
  }

  const char* next_;
  const char* end_;
  std::size_t value_count_ = 0;
  bool failed_ = false;
};

Value* Parser::parse_value(int depth) {
  skip_space();
  if (next_ == end_ || value_count_ == kMostValues || depth > kDeepest) {
    failed_ = true;
    return nullptr;
  }
  Value& value = values[value_count_++];
  value = {};
  switch (*next_) {
    case '{':
      value.kind = Kind::kObject;
      parse_children(value, '}', depth);
      break;
    case '[':
      value.kind = Kind::kArray;
      parse_children(value, ']', depth);
      break;
    case '"':
      value.kind = Kind::kString;
      value.text_hash = parse_string();
      break;
    case 't':
      value.kind = Kind::kTrue;
      parse_word("true");
      break;
    case 'f':
      value.kind = Kind::kFalse;
      parse_word("false");
      break;
    case 'n':
      parse_word("null");
      break;
    default:
      value.kind = Kind::kNumber;
      parse_number(value);
      break;
  }
  return &value;
}

void Parser::parse_children(Value& parent, char end, int depth) {
  ++next_;
  skip_space();
  if (take(end)) return;
  Value** link = &parent.first_child;
  do {
    std::uint64_t key_hash = 0;
    if (parent.kind == Kind::kObject) {
      skip_space();
      key_hash = parse_string();
      skip_space();
      failed_ = failed_ || !take(':');
    }
    if (failed_) return;
    Value* child = parse_value(depth + 1);
    if (failed_) return;
    child->key_hash = key_hash;
    *link = child;
    link = &child->next;
    skip_space();
  } while (take(','));
  failed_ = failed_ || !take(end);
}

void Parser::parse_number(Value& value) {
  const bool negative = take('-');
  failed_ = failed_ || !is_digit();
  for (; is_digit(); ++next_) value.integer = value.integer * 10 + (*next_ - '0');
  if (take('.')) {
    for (; is_digit(); ++next_, --value.exponent) value.integer = value.integer * 10 + (*next_ - '0');
  }
  if (take('e') || take('E')) {
    const bool small = take('-');
    if (!small) take('+');
    std::int32_t exponent = 0;
    for (; is_digit() && exponent < 1000; ++next_) exponent = exponent * 10 + (*next_ - '0');
    value.exponent += small ? -exponent : exponent;
  }
  if (negative) value.integer = -value.integer;
}

std::uint64_t Parser::parse_string() {
  std::uint64_t hash = 0;
  failed_ = failed_ || !take('"');
  while (!failed_ && next_ != end_ && *next_ != '"') {
    const auto character = static_cast<unsigned char>(*next_++);
    hash = kernel::mix(hash, character == '\\' ? parse_escape() : character);
  }
  failed_ = failed_ || !take('"');
  return hash;
}

std::uint32_t Parser::parse_escape() {
  if (next_ == end_) return 0;
  const char escaped = *next_++;
  switch (escaped) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'u':
      break;
    default:
      return static_cast<unsigned char>(escaped);
  }
  std::uint32_t code = 0;
  for (int digit = 0; digit < 4 && next_ != end_; ++digit) {
    const char hex = *next_++;
    code = code * 16 + static_cast<std::uint32_t>(hex <= '9' ? hex - '0' : (hex | 0x20) - 'a' + 10);
  }
  return code;
}

std::uint64_t checksum_of(const Value& value) {
  std::uint64_t checksum = kernel::mix(static_cast<std::uint64_t>(value.kind), value.text_hash ^ value.key_hash);
  checksum =
      kernel::mix(checksum, static_cast<std::uint64_t>(value.integer) + static_cast<std::uint32_t>(value.exponent));
  for (const Value* child = value.first_child; child != nullptr; child = child->next) {
    checksum = kernel::mix(checksum, checksum_of(*child));
  }
  return checksum;
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    write_text(checksum + 1);
    const Value* document = Parser().parse();
    if (document == nullptr) return 0;
    checksum = kernel::mix(checksum, checksum_of(*document));
  }
  return checksum;
}
