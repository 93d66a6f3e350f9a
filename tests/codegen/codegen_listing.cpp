// codegen_listing: the host code that the baseline tier makes of small guest functions, as text that a reader and a review can follow.
//
//   codegen_listing --check FILE…     compares the files with what is made now (a CTest entry; skipped without llvm-mc-19)
//   codegen_listing --update FILE…    rewrites them (tests/codegen/update), words included where an assembler is installed
//
// A file holds cases, each of these lines:
//   case NAME
//   at OFFSET          where in its page the code begins (hexadecimal; otherwise at 0)
//   asm INSTRUCTION    one instruction, possibly behind a label
//   words …            what the assembler makes of them
// and what this program writes: each guest instruction above its host code, jumps as offsets in the unit, hart fields, table slots,
// constants and thunks by their names. What stands out of the way (stubs) follows the last guest instruction.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "baseline/page_scan.h"
#include "baseline/thunks.h"
#include "baseline/unit_emitter.h"
#include "memory/executable_memory.h"
#include "support/guest_compiler.h"

namespace caisson::baseline {
namespace {

constexpr int kSkipped = 77;
constexpr std::uint32_t kPageAddress = 0x100000;
constexpr std::uint32_t kRegionSize = 16 * kGuestPage;
constexpr std::size_t kCodeSize = 64 << 10;

constexpr const char* kRegisters[] = {"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
                                      "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
                                      "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};

struct Case {
  std::vector<std::string> head;  // the lines as they are, but for words
  std::uint32_t offset = 0;
  std::vector<std::string> assembly;
  std::vector<std::uint32_t> words;
};

struct HostInstruction {
  std::uint32_t offset = 0, size = 0;
  std::string text;
};

std::string trimmed(std::string text) {
  for (char& character : text) {
    if (character == '\t') character = ' ';
  }
  while (text.ends_with(' ')) text.pop_back();
  text.erase(0, text.find_first_not_of(' '));
  return text;
}

// The name of what compiled code reaches at `address`.
std::optional<std::string> name_of(const Thunks& thunks, const RegionLayout& region, const std::uint8_t* address) {
  const std::pair<const void*, const char*> kThunks[] = {{thunks.depart(), "depart"},
                                                         {thunks.missing(), "missing"},
                                                         {thunks.stale(), "stale"},
                                                         {thunks.ebreak(), "ebreak"},
                                                         {thunks.illegal(), "illegal"},
                                                         {thunks.fetch_fault(), "fetch_fault"},
                                                         {thunks.misaligned_atomic(), "misaligned_atomic"},
                                                         {thunks.lookup(), "lookup"},
                                                         {thunks.return_missed(), "return_missed"},
                                                         {thunks.load_floats(), "load_floats"},
                                                         {thunks.ecall(), "ecall"},
                                                         {thunks.perform(), "perform"}};
  for (const auto& [thunk, name] : kThunks) {
    if (thunk == address) return name;
  }
  const auto* const table = static_cast<const std::uint8_t*>(region.table);
  if (address == table) return "table";
  if (address > table && address < table + std::size_t{region.size} / 2 * sizeof(EntrySlot))
    return fmt::format("table of {:#x}",
                       region.base + static_cast<std::uint32_t>(address - table) / sizeof(EntrySlot) * 2);
  const auto* const constants = reinterpret_cast<const std::uint8_t*>(thunks.constants());
  if (address < constants || address >= constants + sizeof(FloatConstants)) return std::nullopt;
  const auto offset = static_cast<std::size_t>(address - constants);
  constexpr std::pair<std::size_t, const char*> kConstants[] = {
      {offsetof(FloatConstants, double_sign), "double_sign"},
      {offsetof(FloatConstants, double_magnitude), "double_magnitude"},
      {offsetof(FloatConstants, single_sign), "single_sign"},
      {offsetof(FloatConstants, single_magnitude), "single_magnitude"},
      {offsetof(FloatConstants, box), "box"},
      {offsetof(FloatConstants, canonical_double), "canonical_double"},
      {offsetof(FloatConstants, canonical_single), "canonical_single"},
      {offsetof(FloatConstants, limit_of_unsigned_words), "limit_of_unsigned_words"},
      {offsetof(FloatConstants, limit_of_unsigned_longs), "limit_of_unsigned_longs"},
      {offsetof(FloatConstants, single_limit_of_unsigned_words), "single_limit_of_unsigned_words"},
      {offsetof(FloatConstants, single_limit_of_unsigned_longs), "single_limit_of_unsigned_longs"}};
  for (const auto& [at, name] : kConstants) {
    if (at == offset) return name;
  }
  return std::nullopt;
}

std::string hart_field_name(std::int64_t displacement) {
  const auto offset = static_cast<std::size_t>(displacement + kHartBias);
  using riscv::HartState;
  const auto within = [&](std::size_t begin, std::size_t size) { return offset >= begin && offset < begin + size; };
  if (within(offsetof(HartState, x), 32 * 8)) return fmt::format("hart.{}", kRegisters[offset / 8]);
  if (within(offsetof(HartState, f), 32 * 8)) return fmt::format("hart.f{}", (offset - offsetof(HartState, f)) / 8);
  if (within(offsetof(HartState, tier_words), 3 * 8)) {
    constexpr const char* kWords[] = {"return_stack_limit", "return_stack_base", "floats_live"};
    return fmt::format("hart.{}", kWords[(offset - offsetof(HartState, tier_words)) / 8]);
  }
  if (offset == offsetof(HartState, pc)) return "hart.pc";
  if (offset == offsetof(HartState, reservation_address)) return "hart.reservation_address";
  if (offset == offsetof(HartState, reservation_value)) return "hart.reservation_value";
  if (offset == offsetof(HartState, reservation_width)) return "hart.reservation_width";
  return fmt::format("hart+{}", offset);
}

// Disassembles, with names for what lies outside.
std::vector<HostInstruction> disassemble(const CodeBlock& code, std::uint32_t size, const Thunks& thunks,
                                         const RegionLayout& region) {
  const test::TemporaryFolder folder;
  const std::string input = (folder.path() / "bytes").string();
  {
    std::ofstream out(input);
    for (std::uint32_t at = 0; at < size; ++at) out << fmt::format("{:#04x} ", code.write[at]);
  }
  const auto text = test::output_of(
      "llvm-mc-19 --disassemble -triple=x86_64 -mcpu=x86-64-v3 -output-asm-variant=1 -show-encoding " + input);
  if (!text) throw std::runtime_error(text.error().to_string());
  std::vector<HostInstruction> instructions;
  std::istringstream lines(*text);
  std::uint32_t offset = 0;
  std::string prefixes;
  std::uint32_t prefix_bytes = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t comment = line.find("# encoding: [");
    if (comment == std::string::npos) {
      // A fused multiply-add is explained, and its encoding follows on a line of its own.
      if (const std::size_t at = line.find('#'); at != std::string::npos) prefixes = trimmed(line.substr(0, at)) + ' ';
      continue;
    }
    const auto bytes =
        static_cast<std::uint32_t>(std::count(line.begin() + static_cast<std::ptrdiff_t>(comment), line.end(), ',')) +
        1 + prefix_bytes;
    std::string instruction = trimmed(prefixes + trimmed(line.substr(0, comment)));
    if (instruction == "lock") {
      prefixes = "lock ";
      prefix_bytes = bytes;
      continue;
    }
    prefixes.clear();
    prefix_bytes = 0;
    const std::uint8_t* const behind = code.execute + offset + bytes;
    const auto resolved = [&](std::int64_t distance) {
      const std::uint8_t* const target = behind + distance;
      if (target >= code.execute && target < code.execute + size) return fmt::format("{:x}", target - code.execute);
      return name_of(thunks, region, target).value_or("?");
    };
    std::smatch match;
    static const std::regex kJump("^(j[a-z]+|call) (-?[0-9]+)$"), kAbsolute("\\[rip( ([+-]) ([0-9]+))?\\]"),
        kHart("\\[rbp( ([+-]) ([0-9]+))?\\]");
    const auto signed_of = [&] {
      return (match[2] == "-" ? -1 : 1) * (match[3].length() != 0 ? std::stoll(match[3]) : 0);
    };
    if (std::regex_match(instruction, match, kJump)) {
      instruction = match[1].str() + ' ' + resolved(std::stoll(match[2]));
    } else if (std::regex_search(instruction, match, kAbsolute)) {
      instruction = match.prefix().str() + '[' + resolved(signed_of()) + ']' + match.suffix().str();
    } else if (std::regex_search(instruction, match, kHart)) {
      instruction = match.prefix().str() + '[' + hart_field_name(signed_of()) + ']' + match.suffix().str();
    }
    instructions.push_back({offset, bytes, instruction});
    offset += bytes;
  }
  if (offset != size) throw std::runtime_error("the disassembler and the emitter differ about the size of the code");
  return instructions;
}

std::string listing(const Case& shown) {
  ExecutableMemory& memory = *ExecutableMemory::process().value();
  const auto thunks = Thunks::of(kFirstMap).value();
  const CodeBlock code = memory.allocate_code(kCodeSize).value();
  TableBlock table = memory.allocate_table(kRegionSize / 2 * sizeof(EntrySlot)).value();
  const RegionLayout region{.base = kPageAddress, .size = kRegionSize, .table = table.memory};
  auto bytes = std::make_unique<PageBytes>();
  bytes->address = kPageAddress;
  bytes->count = kHalfWords + 1;
  bytes->half_words.fill(0);
  std::uint32_t at = shown.offset / 2;
  for (const std::uint32_t word : shown.words) {
    const bool is_long = riscv::instruction_length(static_cast<std::uint16_t>(word)) == 4;
    for (int half = 0; half < (is_long ? 2 : 1); ++half, ++at) {
      if (at <= kHalfWords) bytes->half_words[at] = static_cast<std::uint16_t>(word >> half * 16);
    }
  }
  auto scan = std::make_unique<PageScan>();
  scan->scan(*bytes, shown.offset / 2, Reach::kReached, nullptr);
  auto emitter = std::make_unique<UnitEmitter>(*thunks, region);
  std::vector<InstructionPlace> places(scan->instruction_count());
  if (!emitter->emit(*scan, *bytes, false, code, places.data(), UnitEmitter::Places::kAll))
    throw std::runtime_error("the code does not fit");

  const std::vector<HostInstruction> host = disassemble(code, emitter->size(), *thunks, region);
  // Places come in the order of code, assembly in the order of addresses; each word is one line.
  const auto guest_text = [&](std::uint32_t half_word) {
    std::uint32_t where = shown.offset / 2;
    for (std::size_t index = 0; index < shown.words.size(); ++index) {
      if (where == half_word && index < shown.assembly.size()) return shown.assembly[index];
      where += riscv::instruction_length(static_cast<std::uint16_t>(shown.words[index])) / 2;
    }
    return std::string("(behind the code)");
  };
  std::string text;
  std::size_t place = 0;
  for (const HostInstruction& instruction : host) {
    for (; place < emitter->places().size() && emitter->places()[place].native <= instruction.offset; ++place)
      text += fmt::format("    {}\n", guest_text(emitter->places()[place].half_word()));
    text += fmt::format("{:>4x}    {}\n", instruction.offset, instruction.text);
  }
  for (; place < emitter->places().size(); ++place)
    text += fmt::format("    {}\n", guest_text(emitter->places()[place].half_word()));
  text += fmt::format("host {} instructions, {} bytes\n", host.size(), emitter->size());
  memory.free_code(code);
  memory.free_table(std::move(table));
  return text;
}

// The words of the case's assembly.
std::vector<std::uint32_t> assemble(const Case& written) {
  const test::TemporaryFolder folder;
  const std::string source = (folder.path() / "code.s").string(), object = (folder.path() / "code.o").string(),
                    binary = (folder.path() / "code").string();
  {
    std::ofstream out(source);
    out << ".option norelax\n";
    for (const std::string& line : written.assembly)
      out << (line.find("c.") == std::string::npos ? ".option norvc\n" : ".option rvc\n") << line << '\n';
  }
  const auto said =
      test::output_of(fmt::format("riscv64-linux-gnu-as -march=rv64gc -mno-relax -o {1} {0} && "
                                  "riscv64-linux-gnu-objcopy -O binary -j .text {1} {2}",
                                  source, object, binary));
  if (!said) throw std::runtime_error(said.error().to_string());
  std::ifstream in(binary, std::ios::binary);
  const std::string code{std::istreambuf_iterator<char>(in), {}};
  std::vector<std::uint32_t> words;
  for (std::size_t at = 0; at + 2 <= code.size();) {
    std::uint16_t half;
    std::memcpy(&half, code.data() + at, sizeof half);
    std::uint32_t word = half;
    const std::size_t length = riscv::instruction_length(half);
    if (length == 4) std::memcpy(&word, code.data() + at, sizeof word);
    words.push_back(word);
    at += length;
  }
  return words;
}

std::string words_line(const std::vector<std::uint32_t>& words) {
  std::string line = "words";
  for (const std::uint32_t word : words)
    line += riscv::instruction_length(static_cast<std::uint16_t>(word)) == 4 ? fmt::format(" {:08x}", word)
                                                                             : fmt::format(" {:04x}", word);
  return line + '\n';
}

// The file as it ought to be. `assembles`: words are made anew.
std::string renewed(const std::string& path, bool assembles) {
  std::ifstream in(path);
  std::string result;
  std::optional<Case> current;
  const auto finish = [&] {
    if (!current) return;
    if (assembles && !current->assembly.empty()) current->words = assemble(*current);
    for (const std::string& line : current->head) result += line + '\n';
    result += words_line(current->words) + listing(*current);
    current.reset();
  };
  for (std::string line; std::getline(in, line);) {
    const auto rest = [&](std::size_t keyword) { return trimmed(line.substr(keyword)); };
    if (line.starts_with('#') || line.empty()) {
      finish();
      result += line + '\n';
    } else if (line.starts_with("case ")) {
      finish();
      current.emplace().head.push_back(line);
    } else if (!current) {
      throw std::runtime_error(path + ": a line outside of a case: " + line);
    } else if (line.starts_with("at ")) {
      current->offset = static_cast<std::uint32_t>(std::stoul(rest(3), nullptr, 16));
      current->head.push_back(line);
    } else if (line.starts_with("asm ")) {
      current->assembly.push_back(rest(4));
      current->head.push_back(line);
    } else if (line.starts_with("words ")) {
      std::istringstream words(rest(6));
      for (std::string word; words >> word;)
        current->words.push_back(static_cast<std::uint32_t>(std::stoul(word, nullptr, 16)));
    }
  }
  finish();
  return result;
}

// Where two texts part: the case and the lines.
void report(const std::string& path, const std::string& kept, const std::string& made) {
  std::istringstream left(kept), right(made);
  std::string kept_line, made_line, case_line;
  for (int number = 1;; ++number) {
    const bool has_kept = static_cast<bool>(std::getline(left, kept_line));
    const bool has_made = static_cast<bool>(std::getline(right, made_line));
    if (!has_kept && !has_made) return;
    if (made_line.starts_with("case ")) case_line = made_line;
    if (has_kept == has_made && kept_line == made_line) continue;
    std::cerr << fmt::format("{}:{}: {}\n  kept: {}\n  made: {}\n", path, number, case_line, has_kept ? kept_line : "",
                             has_made ? made_line : "");
    std::cerr << "(if that is what was meant to change: tests/codegen/update, and look at the difference)\n";
    return;
  }
}

int run(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  if (mode != "--check" && mode != "--update") {
    std::cerr << "usage: codegen_listing --check|--update FILE…\n";
    return 2;
  }
  if (!test::output_of("llvm-mc-19 --version")) {
    std::cout << "skipped: llvm-mc-19 is not installed (make deps)\n";
    return kSkipped;
  }
  const bool updates = mode == "--update";
  const bool assembles = updates && test::output_of("riscv64-linux-gnu-as --version").has_value();
  int result = 0;
  for (int index = 2; index < argc; ++index) {
    const std::string made = renewed(argv[index], assembles);
    std::ifstream in(argv[index]);
    const std::string kept{std::istreambuf_iterator<char>(in), {}};
    if (made == kept) continue;
    if (updates) {
      std::ofstream(argv[index]) << made;
      continue;
    }
    report(argv[index], kept, made);
    result = 1;
  }
  return result;
}

}  // namespace
}  // namespace caisson::baseline

int main(int argc, char** argv) {
  try {
    return caisson::baseline::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
