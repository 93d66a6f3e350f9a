// Finds all matches of a regular expression in 8 KiB of text with a set of states that advance together (Thompson's construction).
#include "kernel.h"

namespace {

constexpr char kPattern[] = "[a-z0-9]+(\\.[a-z0-9]+)*@([a-z]+\\.)+(org|net|com)|[0-9]?[0-9]:[0-9][0-9]";
constexpr std::size_t kTextSize = 8192, kMostStates = 128;

struct ByteSet {
  std::uint64_t words[4] = {};

  void insert(unsigned char byte) { words[byte / 64] |= std::uint64_t{1} << (byte % 64); }
  bool contains(unsigned char byte) const { return (words[byte / 64] >> (byte % 64) & 1) != 0; }
};

// kBytes: to `next` on a byte of the set. kSplit: to both at once. kAccept: a match ends here.
struct State {
  enum class Kind : std::uint8_t { kBytes, kSplit, kAccept } kind;
  std::uint16_t next, other;
  ByteSet bytes;
};

// The pattern as a tree; its nodes become states from right to left, each knowing where it leads.
struct Node {
  enum class Kind : std::uint8_t { kBytes, kSequence, kAlternative, kStar, kPlus, kOptional } kind;
  std::uint16_t left, right;
  ByteSet bytes;
};

class Expression {
 public:
  explicit Expression(const char* pattern) : rest_(pattern) {
    const std::uint16_t accept = add_state({State::Kind::kAccept, 0, 0, {}});
    start_ = compile(parse_alternative(), accept);
  }

  // The length of the longest match that starts at `text`; 0: none.
  std::size_t match(const char* text, std::size_t size);

 private:
  std::uint16_t add_node(const Node& node) {
    nodes_[node_count_] = node;
    return node_count_++;
  }
  std::uint16_t add_state(const State& state) {
    states_[state_count_] = state;
    return state_count_++;
  }

  std::uint16_t parse_alternative();
  std::uint16_t parse_sequence();
  std::uint16_t parse_repetition();
  std::uint16_t parse_atom();
  std::uint16_t compile(std::uint16_t node, std::uint16_t next);
  void enter(std::uint16_t state);

  const char* rest_;
  Node nodes_[kMostStates];
  State states_[kMostStates];
  std::uint16_t node_count_ = 0, state_count_ = 0, start_ = 0;

  // The states entered in the current step; entered_[state] == step_ marks those already in.
  std::uint16_t active_[kMostStates], active_count_ = 0;
  std::uint32_t entered_[kMostStates] = {}, step_ = 0;
  bool accepted_ = false;
};

std::uint16_t Expression::parse_alternative() {
  std::uint16_t node = parse_sequence();
  while (*rest_ == '|') {
    ++rest_;
    node = add_node({Node::Kind::kAlternative, node, parse_sequence(), {}});
  }
  return node;
}

std::uint16_t Expression::parse_sequence() {
  std::uint16_t node = parse_repetition();
  while (*rest_ != '\0' && *rest_ != '|' && *rest_ != ')')
    node = add_node({Node::Kind::kSequence, node, parse_repetition(), {}});
  return node;
}

std::uint16_t Expression::parse_repetition() {
  const std::uint16_t node = parse_atom();
  switch (*rest_) {
    case '*':
      ++rest_;
      return add_node({Node::Kind::kStar, node, 0, {}});
    case '+':
      ++rest_;
      return add_node({Node::Kind::kPlus, node, 0, {}});
    case '?':
      ++rest_;
      return add_node({Node::Kind::kOptional, node, 0, {}});
    default:
      return node;
  }
}

std::uint16_t Expression::parse_atom() {
  if (*rest_ == '(') {
    ++rest_;
    const std::uint16_t node = parse_alternative();
    ++rest_;  // ')'
    return node;
  }
  Node node{Node::Kind::kBytes, 0, 0, {}};
  if (*rest_ == '[') {
    for (++rest_; *rest_ != ']'; ++rest_) {
      const char first = *rest_;
      if (rest_[1] == '-') rest_ += 2;
      for (char byte = first; byte <= *rest_; ++byte) node.bytes.insert(static_cast<unsigned char>(byte));
    }
  } else {
    if (*rest_ == '\\') ++rest_;
    node.bytes.insert(static_cast<unsigned char>(*rest_));
  }
  ++rest_;
  return add_node(node);
}

// States for `node` that lead to `next`; returns the one to start in.
std::uint16_t Expression::compile(std::uint16_t index, std::uint16_t next) {
  const Node& node = nodes_[index];
  switch (node.kind) {
    case Node::Kind::kBytes:
      return add_state({State::Kind::kBytes, next, 0, node.bytes});
    case Node::Kind::kSequence:
      return compile(node.left, compile(node.right, next));
    case Node::Kind::kAlternative: {
      const std::uint16_t left = compile(node.left, next);
      return add_state({State::Kind::kSplit, left, compile(node.right, next), {}});
    }
    case Node::Kind::kOptional:
      return add_state({State::Kind::kSplit, compile(node.left, next), next, {}});
    case Node::Kind::kStar:
    case Node::Kind::kPlus:
      break;
  }
  const std::uint16_t again = add_state({State::Kind::kSplit, 0, next, {}});
  states_[again].next = compile(node.left, again);
  return node.kind == Node::Kind::kStar ? again : states_[again].next;
}

void Expression::enter(std::uint16_t index) {
  if (entered_[index] == step_) return;
  entered_[index] = step_;
  const State& state = states_[index];
  switch (state.kind) {
    case State::Kind::kBytes:
      active_[active_count_++] = index;
      break;
    case State::Kind::kSplit:
      enter(state.next);
      enter(state.other);
      break;
    case State::Kind::kAccept:
      accepted_ = true;
      break;
  }
}

std::size_t Expression::match(const char* text, std::size_t size) {
  std::size_t longest = 0;
  ++step_;
  active_count_ = 0;
  enter(start_);
  for (std::size_t length = 0; length < size && active_count_ > 0; ++length) {
    std::uint16_t current[kMostStates];
    const std::uint16_t count = active_count_;
    for (std::uint16_t index = 0; index < count; ++index) current[index] = active_[index];
    ++step_;
    active_count_ = 0;
    accepted_ = false;
    for (std::uint16_t index = 0; index < count; ++index) {
      const State& state = states_[current[index]];
      if (state.bytes.contains(static_cast<unsigned char>(text[length]))) enter(state.next);
    }
    if (accepted_) longest = length + 1;
  }
  return longest;
}

char text[kTextSize];

void write_text(std::uint64_t seed) {
  static constexpr char kPieces[8][16] = {"at 9:45 ", "ask ada.l ",      "ada@mail.org ", "12:00 noon ",
                                          "x@y ",     "bob.2@lists.net", "(no) ",         "7:5 "};
  kernel::Random random(seed);
  for (std::size_t size = 0; size < kTextSize;) {
    const char* piece = kPieces[random.below(8)];
    for (std::size_t index = 0; index < 16 && piece[index] != '\0' && size < kTextSize; ++index)
      text[size++] = piece[index];
  }
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  Expression expression(kPattern);
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    write_text(checksum + 1);
    for (std::size_t position = 0; position < kTextSize;) {
      const std::size_t length = expression.match(text + position, kTextSize - position);
      if (length != 0) checksum = kernel::mix(checksum, position * 256 + length);
      position += length == 0 ? 1 : length;
    }
  }
  return checksum;
}
