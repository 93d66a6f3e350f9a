#include "spec/spec_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

namespace caisson::spec {
namespace {

using riscv::TrapKind;

constexpr std::pair<std::string_view, TrapKind> kTrapNames[] = {
    {"out-of-gas", TrapKind::kOutOfGas},    {"ecall", TrapKind::kEcall},
    {"ebreak", TrapKind::kEbreak},          {"illegal", TrapKind::kIllegal},
    {"load-fault", TrapKind::kLoadFault},   {"store-fault", TrapKind::kStoreFault},
    {"fetch-fault", TrapKind::kFetchFault}, {"misaligned-atomic", TrapKind::kMisalignedAtomic},
    {"trampoline", TrapKind::kTrampoline},
};

constexpr std::string_view kIntegerRegisters[] = {"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
                                                  "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
                                                  "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
constexpr std::string_view kFloatRegisters[] = {
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0",  "fa1",  "fa2", "fa3", "fa4",  "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};

constexpr std::pair<std::string_view, std::uint32_t> kFloatFlags[] = {{"nx", riscv::kInexact},
                                                                      {"uf", riscv::kUnderflow},
                                                                      {"of", riscv::kOverflow},
                                                                      {"dz", riscv::kDivideByZero},
                                                                      {"nv", riscv::kInvalid}};

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t begin = text.find_first_not_of(separators);
    if (begin == text.npos) return parts;
    text.remove_prefix(begin);
    const std::size_t length = std::min(text.find_first_of(separators), text.size());
    parts.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return negative ? 0 - value : value;
}

std::optional<std::vector<std::uint8_t>> parse_bytes(std::string_view text) {
  if (text.empty() || text.size() % 2 != 0) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::optional<std::uint64_t> byte = parse_number("0x" + std::string(text.substr(i, 2)));
    if (!byte) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(*byte));
  }
  return bytes;
}

std::vector<std::uint8_t> little_endian(std::uint64_t value, unsigned width) {
  std::vector<std::uint8_t> bytes;
  for (unsigned i = 0; i < width; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return bytes;
}

// The bits of a floating-point literal: a number as strtod reads it, inf, nan (canonical), snan, or raw bits 0x….
template <class Float, class Bits>
std::optional<Bits> parse_float(std::string_view text, Bits canonical_nan, Bits signalling_nan) {
  if (text.starts_with("0x") && text.find('p') == text.npos) {
    const std::optional<std::uint64_t> bits = parse_number(text);
    return bits && *bits == static_cast<Bits>(*bits) ? std::optional(static_cast<Bits>(*bits)) : std::nullopt;
  }
  if (text == "nan") return canonical_nan;
  if (text == "snan") return signalling_nan;
  const std::string copy(text);
  char* end = nullptr;
  Float value;
  if constexpr (sizeof(Float) == 4) {
    value = std::strtof(copy.c_str(), &end);
  } else {
    value = std::strtod(copy.c_str(), &end);
  }
  if (copy.empty() || *end != '\0' || std::isnan(value)) return std::nullopt;
  return std::bit_cast<Bits>(value);
}

class Parser {
 public:
  Result<std::vector<SpecCase>> parse(std::string_view text) {
    while (!text.empty() && error_.empty()) {
      const std::size_t length = std::min(text.find('\n'), text.size());
      ++line_;
      parse_line(text.substr(0, length));
      text.remove_prefix(std::min(length + 1, text.size()));
    }
    finish_case();
    if (!error_.empty()) return caisson::fail(ErrorCode::kInvalidArgument, error_, fmt::format("line {}", line_));
    return std::move(cases_);
  }

 private:
  void reject(std::string message) {
    if (error_.empty()) error_ = std::move(message);
  }

  void parse_line(std::string_view line) {
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == line.npos || line[begin] == '#') return;
    line.remove_prefix(begin);
    const std::size_t word_length = std::min(line.find_first_of(" \t"), line.size());
    const std::string_view keyword = line.substr(0, word_length);
    std::string_view rest = line.substr(word_length);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));

    if (keyword == "case") return start_case(rest);
    if (cases_.empty()) return reject("a file begins with `case NAME`");
    SpecCase& current = cases_.back();
    if (keyword == "asm") {
      current.assembly.emplace_back(rest);
    } else if (keyword == "words") {
      parse_words(rest, current.code);
    } else if (keyword == "code") {
      current.code_address = value_or_reject(rest);
    } else if (keyword == "bare") {
      current.bare = true;
    } else if (keyword == "no-oracle") {
      current.no_oracle = rest;
      if (rest.empty()) reject("no-oracle REASON");
    } else if (keyword == "page") {
      parse_page(rest, current);
    } else if (keyword == "set") {
      parse_state(rest, common_.set);
    } else if (keyword == "want") {
      parse_state(rest, common_.want);
    } else if (keyword == "with") {
      parse_row(rest, current);
    } else {
      reject(fmt::format("unknown keyword `{}`", keyword));
    }
  }

  void start_case(std::string_view name) {
    finish_case();
    if (name.empty()) return reject("a case needs a name");
    if (std::ranges::find(cases_, name, &SpecCase::name) != cases_.end())
      return reject(fmt::format("a second case `{}`", name));
    SpecCase& added = cases_.emplace_back();
    added.name = name;
    added.line = line_;
    common_ = Row{};
  }

  // What `set` and `want` say holds for each row of the case; a case without rows is one row.
  void finish_case() {
    if (cases_.empty() || !error_.empty()) return;
    SpecCase& current = cases_.back();
    // Without words only `spec_words --update` can do something with the case.
    if (current.code.empty() && current.assembly.empty() && current.bare)
      return reject(fmt::format("case `{}` has no code", current.name));
    if (current.rows.empty()) current.rows.emplace_back().line = current.line;
    for (Row& row : current.rows) {
      Row merged = common_;
      merged.line = row.line;
      merged.incomplete = row.incomplete;
      merged.set.merge(row.set);
      merged.want.merge(row.want);
      if (merged.want.trap && *merged.want.trap != TrapKind::kEbreak && !merged.want.pc) {
        return reject(fmt::format("case `{}`: trap= needs pc= beside it", current.name));
      }
      row = std::move(merged);
    }
  }

  void parse_words(std::string_view text, std::vector<std::uint8_t>& code) {
    for (std::string_view word : split(text, " \t")) {
      const std::optional<std::uint64_t> value = parse_number("0x" + std::string(word));
      if (!value || (word.size() != 4 && word.size() != 8))
        return reject(fmt::format("`{}` is not 4 or 8 hexadecimal digits", word));
      const std::vector<std::uint8_t> bytes = little_endian(*value, static_cast<unsigned>(word.size() / 2));
      code.insert(code.end(), bytes.begin(), bytes.end());
    }
  }

  void parse_page(std::string_view text, SpecCase& current) {
    const std::vector<std::string_view> parts = split(text, " \t");
    if (parts.size() != 2) return reject("page ADDRESS r|rw|rx|rwx|-");
    Page page{.address = value_or_reject(parts[0]), .permissions = memory::kNone};
    for (char letter : parts[1] == "-" ? std::string_view() : parts[1]) {
      switch (letter) {
        case 'r':
          page.permissions |= memory::kRead;
          break;
        case 'w':
          page.permissions |= memory::kWrite;
          break;
        case 'x':
          page.permissions |= memory::kExecute;
          break;
        default:
          return reject(fmt::format("`{}` is not a permission", letter));
      }
    }
    current.pages.push_back(page);
  }

  void parse_row(std::string_view text, SpecCase& current) {
    const std::size_t arrow = text.find("->");
    if (arrow == text.npos) return reject("with STATE -> STATE");
    Row& row = current.rows.emplace_back();
    row.line = line_;
    parse_state(text.substr(0, arrow), row.set);
    const std::vector<std::string_view> wanted = split(text.substr(arrow + 2), " \t");
    row.incomplete = wanted.size() == 1 && wanted[0] == "?";
    if (!row.incomplete) parse_state(text.substr(arrow + 2), row.want);
  }

  void parse_state(std::string_view text, PartialState& state) {
    for (std::string_view assignment : split(text, " \t")) {
      const std::size_t equals = assignment.find('=');
      if (equals == assignment.npos) return reject(fmt::format("`{}` is not NAME=VALUE", assignment));
      parse_assignment(assignment.substr(0, equals), assignment.substr(equals + 1), state);
    }
  }

  void parse_assignment(std::string_view name, std::string_view value, PartialState& state) {
    if (const auto* found = std::ranges::find(kIntegerRegisters, name); found != std::end(kIntegerRegisters)) {
      state.x[static_cast<unsigned>(found - kIntegerRegisters)] = value_or_reject(value);
    } else if (const auto* float_found = std::ranges::find(kFloatRegisters, name);
               float_found != std::end(kFloatRegisters)) {
      state.f[static_cast<unsigned>(float_found - kFloatRegisters)] = float_value(value);
    } else if (name.ends_with(']')) {
      parse_memory(name, value, state);
    } else if (name == "frm") {
      state.frm = static_cast<std::uint32_t>(value_or_reject(value));
    } else if (name == "fflags") {
      state.fflags = float_flags(value);
    } else if (name == "pc") {
      state.pc = value_or_reject(value);
    } else if (name == "gas") {
      state.gas = value_or_reject(value);
    } else if (name == "address") {
      state.address = value_or_reject(value);
    } else if (name == "trap") {
      const auto* found_trap = std::ranges::find(kTrapNames, value, &std::pair<std::string_view, TrapKind>::first);
      if (found_trap == std::end(kTrapNames)) return reject(fmt::format("`{}` is not a trap", value));
      state.trap = found_trap->second;
    } else {
      reject(fmt::format("`{}` is not part of a state", name));
    }
  }

  // bytes[ADDRESS]=HEX in ascending addresses; m8, m16, m32 and m64[ADDRESS]=VALUE as a little-endian number.
  void parse_memory(std::string_view name, std::string_view value, PartialState& state) {
    const std::size_t bracket = name.find('[');
    if (bracket == name.npos) return reject(fmt::format("`{}` is not memory", name));
    const std::string_view kind = name.substr(0, bracket);
    MemoryBytes memory{.address = value_or_reject(name.substr(bracket + 1, name.size() - bracket - 2)), .bytes = {}};
    if (kind == "bytes") {
      std::optional<std::vector<std::uint8_t>> bytes = parse_bytes(value);
      if (!bytes) return reject(fmt::format("`{}` is not pairs of hexadecimal digits", value));
      memory.bytes = std::move(*bytes);
    } else {
      const std::optional<std::uint64_t> bits = kind.starts_with('m') ? parse_number(kind.substr(1)) : std::nullopt;
      if (!bits || !(*bits == 8 || *bits == 16 || *bits == 32 || *bits == 64))
        return reject(fmt::format("`{}` is not memory", kind));
      memory.bytes = little_endian(value.contains(':') ? float_value(value) : value_or_reject(value),
                                   static_cast<unsigned>(*bits / 8));
    }
    state.memory.push_back(std::move(memory));
  }

  // NUMBER, or code or data with an optional +NUMBER or -NUMBER.
  std::uint64_t value_or_reject(std::string_view text) {
    std::uint64_t origin = 0;
    std::string_view offset = text;
    for (const auto& [symbol, address] :
         {std::pair<std::string_view, std::uint64_t>{"code", cases_.back().code_address}, {"data", kDataAddress}}) {
      if (!text.starts_with(symbol)) continue;
      origin = address;
      offset = text.substr(symbol.size());
      if (offset.empty()) return origin;
      if (offset.starts_with('+')) offset.remove_prefix(1);
    }
    const std::optional<std::uint64_t> number = parse_number(offset);
    if (!number) reject(fmt::format("`{}` is not a value", text));
    return origin + number.value_or(0);
  }

  // s:FLOAT is a NaN-boxed single, d:FLOAT a double, anything else the 64 bits.
  std::uint64_t float_value(std::string_view text) {
    std::optional<std::uint64_t> bits;
    if (text.starts_with("s:")) {
      const auto single = parse_float<float, std::uint32_t>(text.substr(2), 0x7fc00000, 0x7f800001);
      if (single) bits = 0xffffffff00000000 | *single;
    } else if (text.starts_with("d:")) {
      bits = parse_float<double, std::uint64_t>(text.substr(2), 0x7ff8000000000000, 0x7ff0000000000001);
    } else {
      return value_or_reject(text);
    }
    if (!bits) reject(fmt::format("`{}` is not a floating-point value", text));
    return bits.value_or(0);
  }

  std::uint32_t float_flags(std::string_view text) {
    if (const std::optional<std::uint64_t> number = parse_number(text)) return static_cast<std::uint32_t>(*number);
    std::uint32_t flags = 0;
    for (std::string_view part : split(text, "+")) {
      const auto* found = std::ranges::find(kFloatFlags, part, &std::pair<std::string_view, std::uint32_t>::first);
      if (found == std::end(kFloatFlags)) {
        reject(fmt::format("`{}` is not a flag", part));
        return 0;
      }
      flags |= found->second;
    }
    return flags;
  }

  std::vector<SpecCase> cases_;
  Row common_;
  int line_ = 0;
  std::string error_;
};

}  // namespace

void PartialState::merge(const PartialState& later) {
  for (const auto& [number, value] : later.x) x[number] = value;
  for (const auto& [number, value] : later.f) f[number] = value;
  if (later.frm) frm = later.frm;
  if (later.fflags) fflags = later.fflags;
  if (later.pc) pc = later.pc;
  if (later.gas) gas = later.gas;
  if (later.address) address = later.address;
  if (later.trap) trap = later.trap;
  memory.insert(memory.end(), later.memory.begin(), later.memory.end());
}

std::vector<std::uint8_t> SpecCase::bytes() const {
  std::vector<std::uint8_t> result = code;
  if (!bare) result.insert(result.end(), std::begin(kEndOfCode), std::end(kEndOfCode));
  return result;
}

Result<std::vector<SpecCase>> load_spec(const std::string& path) {
  std::ifstream file(path);
  if (!file) return caisson::fail(ErrorCode::kNotFound, "cannot be read", path);
  Result<std::vector<SpecCase>> cases = parse_spec(std::string(std::istreambuf_iterator<char>(file), {}));
  if (!cases) cases.error().where = path + ": " + cases.error().where;
  return cases;
}

Result<std::vector<SpecCase>> parse_spec(std::string_view text) { return Parser().parse(text); }

std::string_view integer_register_name(unsigned number) { return kIntegerRegisters[number]; }
std::string_view float_register_name(unsigned number) { return kFloatRegisters[number]; }

std::string_view trap_name(TrapKind kind) {
  const auto* found = std::ranges::find(kTrapNames, kind, &std::pair<std::string_view, TrapKind>::second);
  return found == std::end(kTrapNames) ? "none" : found->first;
}

}  // namespace caisson::spec
