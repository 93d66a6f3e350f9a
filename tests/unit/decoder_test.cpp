// The decoder and the disassembler against the table itself (every encoding is one row's or illegal) and against other
// people's disassemblers: GNU objdump for everything that it knows, LLVM's for Zicond.
#include "isa/riscv/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "isa/riscv/form_layout.h"
#include "isa/riscv/row_finder.h"
#include "isa/riscv/row_operands.h"
#include "support/guest_compiler.h"

namespace caisson::riscv {
namespace {

constexpr std::uint64_t kSeed = 20260401;

std::vector<const InstructionInfo*> rows_between(std::size_t first, std::size_t end) {
  std::vector<const InstructionInfo*> rows;
  for (std::size_t index = first; index < end; ++index) rows.push_back(&kInstructions[index]);
  return rows;
}

const std::vector<const InstructionInfo*>& word_rows() {
  static const auto rows = rows_between(1, kBaseOpCount);
  return rows;
}

const std::vector<const InstructionInfo*>& compressed_rows() {
  static const auto rows = rows_between(kBaseOpCount, kOpCount);
  return rows;
}

// The row by its definition: the first in the table that matches. Words are searched among those of their opcode only.
Op row_by_definition(std::uint32_t bits) {
  static const auto by_opcode = [] {
    std::array<std::vector<const InstructionInfo*>, 128> rows;
    for (const InstructionInfo* row : word_rows()) rows[row->match & 127].push_back(row);
    return rows;
  }();
  const bool compressed = (bits & 3) != 3;
  const std::uint32_t encoding = compressed ? bits & 0xFFFF : bits;
  for (const InstructionInfo* row : compressed ? compressed_rows() : by_opcode[bits & 127]) {
    if (row->matches(encoding)) return row->op;
  }
  return Op::kIllegal;
}

bool is_reserved_rounding(std::uint32_t bits, const InstructionInfo& row) {
  const std::uint32_t mode = bits >> 12 & 7;
  return row.has(traits::kRoundingMode) && (mode == 5 || mode == 6);
}

bool is_forbidden_csr(std::uint32_t bits, const InstructionInfo& row) {
  if (row.gas_class != GasClass::kCsr) return false;
  static const std::set<std::uint32_t> writable = {0x001, 0x002, 0x003}, readable = {0xC00, 0xC01, 0xC02};
  const bool swaps = (bits >> 12 & 3) == 1, source_is_zero = (bits >> 15 & 31) == 0;
  const std::uint32_t number = bits >> 20;
  return !writable.contains(number) && !(readable.contains(number) && !swaps && source_is_zero);
}

Op expected_row(std::uint32_t bits) {
  const InstructionInfo& row = info(row_by_definition(bits));
  return is_reserved_rounding(bits, row) || is_forbidden_csr(bits, row) ? Op::kIllegal : row.op;
}

// Words of every row with random free bits, each row's neighbours at one bit's distance, and random words.
std::vector<std::uint32_t> sample_words(unsigned per_row, unsigned flipped_per_row, unsigned random_words) {
  std::mt19937 random(kSeed);
  std::vector<std::uint32_t> words;
  for (const InstructionInfo* row : word_rows()) {
    for (unsigned count = 0; count < per_row; ++count) {
      const std::uint32_t word = (static_cast<std::uint32_t>(random()) & ~row->mask) | row->match;
      words.push_back(word);
      if (count >= flipped_per_row) continue;
      for (unsigned bit = 2; bit < 32; ++bit) words.push_back(word ^ 1u << bit);
    }
    // CSR accesses are legal for six numbers of 4096, which random fields hardly meet.
    if (row->gas_class == GasClass::kCsr) {
      for (std::uint32_t number : {0x001u, 0x002u, 0x003u, 0xC00u, 0xC01u, 0xC02u, 0xC80u, 0x000u}) {
        words.push_back(row->match | number << 20 | 7u << 7);
        words.push_back(row->match | number << 20 | 9u << 15);
      }
    }
  }
  for (unsigned count = 0; count < random_words; ++count) words.push_back(static_cast<std::uint32_t>(random()) | 3);
  return words;
}

bool equal(const Decoded& left, const Decoded& right) {
  return left.op == right.op && left.row == right.row && left.length == right.length && left.rd == right.rd &&
         left.rs1 == right.rs1 && left.rs2 == right.rs2 && left.rs3 == right.rs3 && left.rm == right.rm &&
         left.ordering == right.ordering && left.imm == right.imm;
}

// --- the table ---

TEST(InstructionTable, PatternsHaveTheirLengthAndLowBits) {
  for (std::size_t index = 1; index < kOpCount; ++index) {
    const InstructionInfo& row = kInstructions[index];
    const auto bits = static_cast<std::size_t>(
        std::count_if(row.pattern.begin(), row.pattern.end(), [](char character) { return character != ' '; }));
    EXPECT_EQ(bits, row.has(traits::kCompressed) ? 16u : 32u) << row.mnemonic;
    EXPECT_EQ((row.match & 3) == 3, !row.has(traits::kCompressed)) << row.mnemonic;
    EXPECT_EQ(row.mask & 3, 3u) << row.mnemonic;
    EXPECT_EQ(static_cast<std::size_t>(row.op), index) << row.mnemonic;
  }
}

TEST(InstructionTable, WordPatternsPutRegistersWhereTheFormTakesThem) {
  const auto bits_of = [](std::string_view pattern, char letter) {
    return detail::pattern_bits(pattern, [letter](char character) { return character == letter; });
  };
  for (const InstructionInfo* row : word_rows()) {
    EXPECT_EQ(bits_of(row->pattern, 'd'), row->has(traits::kWritesRd) ? 31u << 7 : 0) << row->mnemonic;
    EXPECT_EQ(bits_of(row->pattern, 'a'), row->has(traits::kReadsRs1) ? 31u << 15 : 0) << row->mnemonic;
    EXPECT_EQ(bits_of(row->pattern, 'b'), row->has(traits::kReadsRs2) ? 31u << 20 : 0) << row->mnemonic;
    EXPECT_EQ(bits_of(row->pattern, 'c'), row->has(traits::kReadsRs3) ? 31u << 27 : 0) << row->mnemonic;
    EXPECT_EQ(bits_of(row->pattern, 'm'), row->has(traits::kRoundingMode) ? 7u << 12 : 0) << row->mnemonic;
    EXPECT_EQ(bits_of(row->pattern, 'q'), row->has(traits::kAtomic) ? 3u << 25 : 0) << row->mnemonic;
  }
}

TEST(InstructionTable, MnemonicsAreUnique) {
  std::set<std::string_view> names;
  for (const InstructionInfo& row : kInstructions) EXPECT_TRUE(names.insert(row.mnemonic).second) << row.mnemonic;
}

// Where two rows share an encoding, the first is a special case of the second; anything else would be a mistake in the
// table.
TEST(InstructionTable, OverlappingRowsStandSpecialFirst) {
  std::set<std::string> overlaps;
  for (std::size_t first = 1; first < kOpCount; ++first) {
    for (std::size_t second = first + 1; second < kOpCount; ++second) {
      const InstructionInfo &special = kInstructions[first], &general = kInstructions[second];
      if (special.has(traits::kCompressed) != general.has(traits::kCompressed)) continue;
      if (((special.match ^ general.match) & special.mask & general.mask) != 0) continue;
      if ((general.nonzero & ~special.mask) == 0 && general.nonzero != 0 && (special.match & general.nonzero) == 0)
        continue;
      if ((special.nonzero & ~general.mask) == 0 && special.nonzero != 0 && (general.match & special.nonzero) == 0)
        continue;
      overlaps.insert(std::string(special.mnemonic) + " " + std::string(general.mnemonic));
      EXPECT_EQ(special.mask & general.mask, general.mask) << special.mnemonic << " " << general.mnemonic;
    }
  }
  EXPECT_EQ(overlaps, (std::set<std::string>{"pause fence", "fence.tso fence", "c.addi16sp c.lui"}));
}

TEST(InstructionTable, TerminatorsAreTheControlTransfers) {
  std::set<std::string_view> terminators;
  for (const InstructionInfo& row : kInstructions) {
    if (row.has(traits::kTerminator)) terminators.insert(row.mnemonic);
  }
  EXPECT_EQ(terminators,
            (std::set<std::string_view>{"illegal", "beq", "bne", "blt", "bge", "bltu", "bgeu", "jal", "jalr", "ecall",
                                        "ebreak", "fence.i", "c.j", "c.jr", "c.jalr", "c.beqz", "c.bnez", "c.ebreak"}));
}

TEST(InstructionTable, CompressedRowsHaveTheRegisterFilesOfTheirBase) {
  constexpr std::uint32_t kFiles =
      traits::kFloatRd | traits::kFloatRs1 | traits::kFloatRs2 | traits::kLoad | traits::kStore;
  for (const InstructionInfo* row : compressed_rows()) {
    EXPECT_FALSE(info(row->base).has(traits::kCompressed)) << row->mnemonic;
    EXPECT_EQ(row->traits & kFiles, info(row->base).traits & kFiles) << row->mnemonic;
    EXPECT_EQ(row->gas_class, info(row->base).gas_class) << row->mnemonic;
  }
}

// --- every encoding ---

TEST(Decoder, EveryCompressedEncodingIsItsRowOrIllegal) {
  unsigned legal = 0;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 3) == 3) continue;
    const Decoded decoded = decode(bits);
    ASSERT_EQ(decoded.row, expected_row(bits)) << std::hex << bits;
    ASSERT_EQ(decoded.op, info(decoded.row).base) << std::hex << bits;
    ASSERT_EQ(decoded.length, 2) << std::hex << bits;
    ASSERT_TRUE(equal(decoded, decode(bits | 0xABCD0000))) << "the upper half counts: " << std::hex << bits;
    legal += decoded.op != Op::kIllegal;
  }
  EXPECT_EQ(legal, 46743u);
}

TEST(Decoder, SampledWordsAreTheirRowOrIllegal) {
  for (std::uint32_t bits : sample_words(500, 20, 2'000'000)) {
    const Decoded decoded = decode(bits);
    ASSERT_EQ(decoded.row, expected_row(bits)) << std::hex << bits;
    ASSERT_EQ(decoded.op, decoded.row) << std::hex << bits;
    ASSERT_EQ(decoded.length, 4) << std::hex << bits;
  }
}

// decode_as() of every row, by number.
constexpr auto kDecodeAs = []<std::size_t... row>(std::index_sequence<row...>) {
  return std::array<Decoded (*)(std::uint32_t), sizeof...(row)>{&decode_as<static_cast<Op>(row)>...};
}(std::make_index_sequence<kOpCount>());

void expect_known_row_to_say_the_same(std::uint32_t bits) {
  const Decoded decoded = decode(bits);
  const RowNumber row = find_row(bits);
  if (decoded.row == Op::kIllegal) {
    ASSERT_EQ(row, decoded.length == 2 ? kIllegalCompressed : kIllegalWord) << std::hex << bits;
    return;
  }
  ASSERT_EQ(row, static_cast<std::size_t>(decoded.row)) << std::hex << bits;
  ASSERT_TRUE(equal(kDecodeAs[row](bits), decoded)) << std::hex << bits;
  if (layout_of(info(decoded.row).form).immediate.piece_count() != 0) {
    ASSERT_EQ(immediate_of(row, bits), decoded.imm) << std::hex << bits;
  }
}

TEST(Decoder, AKnownRowSaysTheSame) {
  std::mt19937 random(kSeed);
  for (std::uint32_t low = 0; low < 0x10000; ++low) {
    if ((low & 3) != 3) expect_known_row_to_say_the_same(low | static_cast<std::uint32_t>(random()) << 16);
  }
  for (const std::uint32_t word : sample_words(2000, 20, 500'000)) expect_known_row_to_say_the_same(word);
}

TEST(Decoder, EveryRowIsReached) {
  std::vector<bool> reached(kOpCount);
  for (std::uint32_t bits : sample_words(100, 0, 0)) reached[static_cast<std::size_t>(decode(bits).row)] = true;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 3) != 3) reached[static_cast<std::size_t>(decode(bits).row)] = true;
  }
  for (std::size_t index = 0; index < kOpCount; ++index) EXPECT_TRUE(reached[index]) << kInstructions[index].mnemonic;
}

TEST(Decoder, IllegalEncodingsCarryNothingButTheirLength) {
  Decoded word;
  word.length = 4;
  EXPECT_TRUE(equal(decode(0xFFFFFFFF), word));
  EXPECT_TRUE(equal(decode(0x0000505B), word));  // a custom opcode
  EXPECT_TRUE(equal(decode(0x00C5D553), word));  // fadd.s with rm = 5
  EXPECT_TRUE(equal(decode(0xC0101573 | 0x8000), word));  // csrrw a0,time,ra
  Decoded half;
  half.length = 2;
  EXPECT_TRUE(equal(decode(0), half));
}

struct Example {
  const char* text;
  std::uint32_t bits;
  Decoded decoded;
};

// The fields that text cannot show, or shows in another shape.
TEST(Decoder, FieldsFollowTheirContract) {
  const Example examples[] = {
      {"lui a0,-4096", 0xFFFFF537, {Op::kLui, Op::kLui, 4, 10, 0, 0, 0, 0, 0, -4096}},
      {"lui a0,0x80000", 0x80000537, {Op::kLui, Op::kLui, 4, 10, 0, 0, 0, 0, 0, INT32_MIN}},
      {"sd ra,-8(sp)", 0xFE113C23, {Op::kSd, Op::kSd, 4, 0, 2, 1, 0, 0, 0, -8}},
      {"csrrwi a0,fcsr,31", 0x003FD573, {Op::kCsrrwi, Op::kCsrrwi, 4, 10, 31, 0, 0, 0, 0, 3}},
      {"amoadd.w.aq a0,a1,(a2)", 0x04B6252F, {Op::kAmoaddW, Op::kAmoaddW, 4, 10, 12, 11, 0, 0, 2, 0}},
      {"fence rw,w", 0x0310000F, {Op::kFence, Op::kFence, 4, 0, 0, 0, 0, 0, 0x31, 0}},
      {"fence.tso", 0x8330000F, {Op::kFenceTso, Op::kFenceTso, 4, 0, 0, 0, 0, 0, 0, 0}},
      {"pause", 0x0100000F, {Op::kPause, Op::kPause, 4, 0, 0, 0, 0, 0, 0, 0}},
      {"fmadd.d fa0,fa1,fa2,fa3,dyn", 0x6AC5F543, {Op::kFmaddD, Op::kFmaddD, 4, 10, 11, 12, 13, 7, 0, 0}},
      {"srai a0,a0,63", 0x43F55513, {Op::kSrai, Op::kSrai, 4, 10, 10, 0, 0, 0, 0, 63}},
      {"c.nop", 0x0001, {Op::kAddi, Op::kCAddi, 2, 0, 0, 0, 0, 0, 0, 0}},
      {"c.li a0,-1", 0x557D, {Op::kAddi, Op::kCLi, 2, 10, 0, 0, 0, 0, 0, -1}},
      {"c.lui a0,0xfffff", 0x757D, {Op::kLui, Op::kCLui, 2, 10, 0, 0, 0, 0, 0, -4096}},
      {"c.mv a0,a1", 0x852E, {Op::kAdd, Op::kCMv, 2, 10, 0, 11, 0, 0, 0, 0}},
      {"c.jalr a0", 0x9502, {Op::kJalr, Op::kCJalr, 2, 1, 10, 0, 0, 0, 0, 0}},
      {"c.jr ra", 0x8082, {Op::kJalr, Op::kCJr, 2, 0, 1, 0, 0, 0, 0, 0}},
      {"c.beqz a0,-256", 0xD101, {Op::kBeq, Op::kCBeqz, 2, 0, 10, 0, 0, 0, 0, -256}},
      {"c.addi16sp sp,-512", 0x7101, {Op::kAddi, Op::kCAddi16sp, 2, 2, 2, 0, 0, 0, 0, -512}},
      {"c.sdsp ra,8(sp)", 0xE406, {Op::kSd, Op::kCSdsp, 2, 0, 2, 1, 0, 0, 0, 8}},
  };
  for (const Example& example : examples) {
    EXPECT_TRUE(equal(decode(example.bits), example.decoded))
        << example.text << " decodes as " << disassemble(example.bits, 0);
  }
}

// --- against other disassemblers ---

bool has_tool(const std::string& name) { return test::output_of("command -v " + name).has_value(); }

// A listing by a foreign disassembler of code that starts at address 0.
class ForeignListing {
 public:
  struct Line {
    std::uint64_t address = 0;
    std::string text;  // as our disassembler writes it: one tab, no spaces, no remarks
  };

  // Disassembles `code` with `command` (which gets an object file as its last word). Only an object file can say which
  // extensions its code uses, so an empty one is assembled and its code replaced.
  std::vector<Line> disassemble(const std::vector<std::uint8_t>& code, const std::string& command) const {
    const std::string code_file = folder_.path() / "code", object = folder_.path() / "object.o";
    test::write_file(code_file, code);
    const std::string make = "echo nop | riscv64-linux-gnu-as -march=rv64gc_zba_zbb_zbs_zihintpause -o " + object +
                             " - && riscv64-linux-gnu-objcopy --update-section .text=" + code_file + " " + object;
    std::vector<Line> lines;
    if (std::system(make.c_str()) != 0) return lines;
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " " + object).c_str(), "r"), pclose);
    char buffer[512];
    while (pipe && std::fgets(buffer, sizeof buffer, pipe.get()) != nullptr) {
      if (std::optional<Line> line = parse(buffer)) lines.push_back(*std::move(line));
    }
    return lines;
  }

 private:
  // "  address:\tencoding \tmnemonic\toperands # remark" (LLVM leaves out the first tab).
  static std::optional<Line> parse(std::string_view raw) {
    while (!raw.empty() && (raw.back() == '\n' || raw.back() == ' ')) raw.remove_suffix(1);
    const std::size_t colon = raw.find(':');
    if (colon == std::string_view::npos || raw.find_first_not_of(" 0123456789abcdef") != colon) return std::nullopt;
    const std::size_t mnemonic = raw.find('\t', colon + 2);
    if (mnemonic == std::string_view::npos) return std::nullopt;
    Line line;
    line.address = std::strtoull(std::string(raw.substr(0, colon)).c_str(), nullptr, 16);
    std::string_view text = raw.substr(mnemonic + 1);
    if (const std::size_t remark = text.find(" # "); remark != std::string_view::npos) text = text.substr(0, remark);
    const bool is_target = text.ends_with('>');
    if (is_target) text = text.substr(0, text.find(" <"));
    const std::size_t target = text.find_last_of("\t,") + 1;
    for (std::size_t index = 0; index < text.size(); ++index) {
      if (is_target && index == target) line.text += "0x";
      if (text[index] != ' ') line.text += text[index];
    }
    return line;
  }

  test::TemporaryFolder folder_;
};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  if (const std::size_t at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

// The names in our table; what objdump calls otherwise lies outside our instruction set and must be illegal here.
bool is_our_mnemonic(const std::string& mnemonic) {
  static const auto names = [] {
    std::set<std::string, std::less<>> all;
    for (const InstructionInfo& row : kInstructions) {
      for (const char* ordering : {"", ".aq", ".rl", ".aqrl"}) {
        all.insert(std::string(row.mnemonic) + (row.has(traits::kAtomic) ? ordering : ""));
      }
    }
    return all;
  }();
  return names.contains(mnemonic);
}

// objdump's words for what we write in another way (disassembler.cpp says why).
std::string in_our_words(std::string text) {
  for (const char* shift : {"c.slli", "c.srli", "c.srai"}) {
    if (text.starts_with(std::string(shift) + "64\t")) return replaced(text, "64", "") + ",0x0";
  }
  if (text.starts_with("fence\t")) return replaced(replaced(text, "unknown", "0"), "unknown", "0");
  return text;
}

// Encodings that we run and objdump 2.40 does not know: Zicond; fences with reserved fields, which implementations
// ignore; rounding modes of conversions that are always exact.
bool objdump_does_not_know(std::uint32_t bits) {
  const InstructionInfo& row = info(decode(bits).row);
  switch (row.op) {
    case Op::kCzeroEqz:
    case Op::kCzeroNez:
      return true;
    case Op::kFence:
      return (bits & 0xF00F8F80) != 0;
    case Op::kFenceTso:
    case Op::kFenceI:
      return bits != row.match;
    default:
      return row.has(traits::kExact) && (bits >> 12 & 7) != 0;
  }
}

// Encodings that objdump 2.40 shows as instructions and the specification reserves: modes and CSRs of which objdump
// makes no question, and c.addi16sp by 0.
bool objdump_is_lenient(std::uint32_t bits) {
  const InstructionInfo& row = info(row_by_definition(bits));
  return is_reserved_rounding(bits, row) || is_forbidden_csr(bits, row) || bits == 0x6101;
}

// Compares one encoding; returns what is wrong, or nothing.
std::string difference(std::uint32_t bits, const ForeignListing::Line& line) {
  const std::string ours = disassemble(bits, line.address);
  const std::string theirs = in_our_words(line.text);
  const bool they_know = is_our_mnemonic(theirs.substr(0, theirs.find('\t')));
  const bool we_know = decode(bits).op != Op::kIllegal;
  if (they_know && we_know ? ours == theirs : !they_know && !we_know) return "";
  if (they_know && !we_know && objdump_is_lenient(bits)) return "";
  if (!they_know && we_know && line.text.starts_with(".4byte") && objdump_does_not_know(bits)) return "";
  return ours + " here, but " + theirs + " there";
}

constexpr const char* kObjdump = "riscv64-linux-gnu-objdump -d -z -M no-aliases";

TEST(DisassemblerAgainstObjdump, EveryCompressedEncoding) {
  if (!has_tool("riscv64-linux-gnu-objdump")) GTEST_SKIP() << "needs riscv64-linux-gnu-objdump";
  std::vector<std::uint32_t> encodings;
  std::vector<std::uint8_t> code;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 3) == 3) continue;
    encodings.push_back(bits);
    code.insert(code.end(), {static_cast<std::uint8_t>(bits), static_cast<std::uint8_t>(bits >> 8)});
  }
  const auto lines = ForeignListing().disassemble(code, kObjdump);
  ASSERT_EQ(lines.size(), encodings.size());
  unsigned wrong = 0;
  for (std::size_t index = 0; index < lines.size() && wrong < 20; ++index) {
    const std::string problem = difference(encodings[index], lines[index]);
    wrong += !problem.empty();
    EXPECT_EQ(problem, "") << std::hex << encodings[index];
  }
}

std::vector<std::uint8_t> bytes_of(const std::vector<std::uint32_t>& words) {
  std::vector<std::uint8_t> code;
  for (std::uint32_t word : words) {
    for (unsigned shift = 0; shift < 32; shift += 8) code.push_back(static_cast<std::uint8_t>(word >> shift));
  }
  return code;
}

TEST(DisassemblerAgainstObjdump, SampledWords) {
  if (!has_tool("riscv64-linux-gnu-objdump")) GTEST_SKIP() << "needs riscv64-linux-gnu-objdump";
  std::vector<std::uint32_t> words = sample_words(200, 4, 200'000);
  // Those that announce a longer instruction (bits 4:2 all set) would swallow their successors.
  std::erase_if(words, [](std::uint32_t word) { return (word & 0x1F) == 0x1F; });
  const auto lines = ForeignListing().disassemble(bytes_of(words), kObjdump);
  ASSERT_EQ(lines.size(), words.size());
  unsigned wrong = 0;
  for (std::size_t index = 0; index < lines.size() && wrong < 20; ++index) {
    const std::string problem = difference(words[index], lines[index]);
    wrong += !problem.empty();
    EXPECT_EQ(problem, "") << std::hex << words[index];
  }
}

TEST(DisassemblerAgainstLlvm, Zicond) {
  if (!has_tool("llvm-objdump-19") || !has_tool("riscv64-linux-gnu-as")) GTEST_SKIP() << "needs llvm-objdump-19";
  std::mt19937 random(kSeed);
  std::vector<std::uint32_t> words;
  for (Op op : {Op::kCzeroEqz, Op::kCzeroNez}) {
    for (unsigned count = 0; count < 2000; ++count) {
      words.push_back((static_cast<std::uint32_t>(random()) & ~info(op).mask) | info(op).match);
    }
  }
  const auto lines = ForeignListing().disassemble(bytes_of(words), "llvm-objdump-19 -d -M no-aliases --mattr=+zicond");
  ASSERT_EQ(lines.size(), words.size());
  for (std::size_t index = 0; index < lines.size(); ++index) {
    ASSERT_EQ(disassemble(words[index], lines[index].address), lines[index].text) << std::hex << words[index];
  }
}

}  // namespace
}  // namespace caisson::riscv
