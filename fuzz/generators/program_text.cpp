// Programs as text: what tests/differential/saved/ holds.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <optional>
#include <span>

#include "generators/program.h"

namespace caisson::fuzz {
namespace {

constexpr std::size_t kDataBytesPerLine = 32;

constexpr std::pair<ItemKind, std::string_view> kKinds[] = {
    {ItemKind::kPlain, "plain"},          {ItemKind::kBranch, "branch"},    {ItemKind::kIndirect, "indirect"},
    {ItemKind::kLoopBegin, "loop-begin"}, {ItemKind::kLoopEnd, "loop-end"}, {ItemKind::kCall, "call"}};

std::string text_of(const Instruction& instruction) {
  std::string text(info(instruction).mnemonic);
  const auto add = [&](std::string_view name, std::int64_t value) {
    if (value != 0) text += fmt::format(" {}={}", name, value);
  };
  add("rd", instruction.rd);
  add("rs1", instruction.rs1);
  add("rs2", instruction.rs2);
  add("rs3", instruction.rs3);
  add("rm", instruction.rm);
  add("ordering", instruction.ordering);
  add("imm", instruction.imm);
  return text;
}

void append_items(std::string& text, const Items& items) {
  for (const Item& item : items) {
    const auto* kind = std::ranges::find(kKinds, item.kind, &std::pair<ItemKind, std::string_view>::first);
    text += fmt::format("{} span={} counter={}", kind->second, item.span, item.counter);
    for (const Instruction& instruction : item.setup) text += " ; " + text_of(instruction);
    text += " ; " + text_of(item.instruction) + "\n";
  }
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find(separator), text.size());
    if (length > 0) parts.push_back(text.substr(0, length));
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return parts;
}

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return negative ? 0 - value : value;
}

// The NAME=NUMBER words of a line; nullopt where one is something else.
std::optional<std::map<std::string_view, std::uint64_t>> fields(std::span<const std::string_view> words) {
  std::map<std::string_view, std::uint64_t> values;
  for (std::string_view word : words) {
    const std::size_t equals = word.find('=');
    const std::optional<std::uint64_t> value = equals == word.npos ? std::nullopt : number(word.substr(equals + 1), 10);
    if (!value) return std::nullopt;
    values[word.substr(0, equals)] = *value;
  }
  return values;
}

std::optional<Instruction> parse_instruction(std::string_view text) {
  const std::vector<std::string_view> words = split(text, ' ');
  if (words.empty()) return std::nullopt;
  const auto row = std::ranges::find(riscv::kInstructions, words[0], &riscv::InstructionInfo::mnemonic);
  auto values = fields(std::span(words).subspan(1));
  if (row == riscv::kInstructions.end() || !values) return std::nullopt;
  const auto small = [&](std::string_view name) { return static_cast<std::uint8_t>((*values)[name]); };
  return Instruction{.row = row->op,
                     .rd = small("rd"),
                     .rs1 = small("rs1"),
                     .rs2 = small("rs2"),
                     .rs3 = small("rs3"),
                     .rm = small("rm"),
                     .ordering = small("ordering"),
                     .imm = static_cast<std::int32_t>((*values)["imm"])};
}

std::optional<Item> parse_item(std::string_view line) {
  const std::vector<std::string_view> parts = split(line, ';');
  if (parts.size() < 2) return std::nullopt;
  const std::vector<std::string_view> words = split(parts[0], ' ');
  const auto* kind = std::ranges::find(kKinds, words.at(0), &std::pair<ItemKind, std::string_view>::second);
  auto values = fields(std::span(words).subspan(1));
  if (kind == std::end(kKinds) || !values || (*values)["counter"] > 1) return std::nullopt;
  Item item{.kind = kind->first,
            .span = static_cast<std::uint32_t>((*values)["span"]),
            .counter = static_cast<std::uint8_t>((*values)["counter"]),
            .setup = {},
            .instruction = {}};
  for (std::string_view part : std::span(parts).subspan(1)) {
    const std::optional<Instruction> instruction = parse_instruction(part);
    if (!instruction) return std::nullopt;
    item.setup.push_back(*instruction);
  }
  item.instruction = item.setup.back();
  item.setup.pop_back();
  return item;
}

// One line that describes the state at the start.
bool parse_state_line(std::span<const std::string_view> words, Program& program, std::size_t& data_size) {
  const std::string_view keyword = words[0];
  if (keyword == "data" && words.size() == 2) {
    for (std::string_view digits = words[1]; digits.size() >= 2 && data_size < kDataBytes; digits.remove_prefix(2)) {
      const std::optional<std::uint64_t> byte = number(digits.substr(0, 2), 16);
      if (!byte) return false;
      program.data[data_size++] = static_cast<std::uint8_t>(*byte);
    }
    return true;
  }
  std::vector<std::uint64_t> values;
  for (std::string_view word : words.subspan(1)) {
    const std::optional<std::uint64_t> value = number(word, 16);
    if (!value) return false;
    values.push_back(*value);
  }
  if ((keyword == "x" || keyword == "f") && values.size() == 2 && values[0] < 32) {
    (keyword == "x" ? program.x : program.f)[values[0]] = values[1];
    return true;
  }
  if (keyword == "fcsr" && values.size() == 1) {
    program.fcsr = static_cast<std::uint32_t>(values[0]);
    return true;
  }
  if (keyword == "layout" && values.size() == 6) {
    program.sp_offset = static_cast<std::uint32_t>(values[0]);
    program.pointer_offset = static_cast<std::uint32_t>(values[1]);
    program.reserved = {
        .state = static_cast<std::uint8_t>(values[2] % 32),
        .pointer = static_cast<std::uint8_t>(values[3] % 32),
        .counters = {static_cast<std::uint8_t>(values[4] % 32), static_cast<std::uint8_t>(values[5] % 32)}};
    return true;
  }
  return false;
}

}  // namespace

std::string to_text(const Program& program) {
  const Reservation& reserved = program.reserved;
  std::string text =
      "# layout: offsets of sp and the pointer in the data, registers of state, pointer and both counters; all in "
      "hexadecimal\n";
  text += fmt::format("layout {:x} {:x} {:x} {:x} {:x} {:x}\n", program.sp_offset, program.pointer_offset,
                      reserved.state, reserved.pointer, reserved.counters[0], reserved.counters[1]);
  text += fmt::format("fcsr {:x}\n", program.fcsr);
  for (unsigned i = 1; i < 32; ++i) text += fmt::format("x {:x} {:x}\n", i, program.x[i]);
  for (unsigned i = 0; i < 32; ++i) text += fmt::format("f {:x} {:x}\n", i, program.f[i]);
  for (std::size_t i = 0; i < kDataBytes; i += kDataBytesPerLine) {
    text += fmt::format("data {:02x}\n",
                        fmt::join(program.data.begin() + static_cast<std::ptrdiff_t>(i),
                                  program.data.begin() + static_cast<std::ptrdiff_t>(i + kDataBytesPerLine), ""));
  }
  for (const Items& function : program.functions) {
    text += "function\n";
    append_items(text, function);
  }
  text += "program\n";
  append_items(text, program.items);
  return text;
}

Result<Program> parse_program(std::string_view text) {
  Program program;
  std::size_t data_size = 0;
  Items* items = nullptr;
  int line_number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++line_number;
    const std::vector<std::string_view> words = split(line, ' ');
    if (words.empty() || words[0].starts_with('#')) continue;
    bool understood = true;
    if (words[0] == "function") {
      items = &program.functions.emplace_back();
    } else if (words[0] == "program") {
      items = &program.items;
    } else if (items == nullptr) {
      understood = parse_state_line(words, program, data_size);
    } else if (std::optional<Item> item = parse_item(line)) {
      items->push_back(std::move(*item));
    } else {
      understood = false;
    }
    if (!understood)
      return caisson::fail(ErrorCode::kInvalidArgument, fmt::format("cannot understand `{}`", line),
                           fmt::format("line {} (empty ones not counted)", line_number));
  }
  return program;
}

}  // namespace caisson::fuzz
