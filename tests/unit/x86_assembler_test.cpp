// Every form that the assembler writes, compared with what LLVM reads: each case is emitted with its expected text, and one call of
// llvm-mc disassembles them all.
#include "baseline/x86_assembler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "support/guest_compiler.h"

namespace caisson::baseline {
namespace {

constexpr const char* kNames[4][16] = {
    {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"},
    {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"},
    {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d",
     "r15d"},
    {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}};
constexpr const char* kPointers[5] = {"byte", "word", "dword", "qword", "xmmword"};

constexpr Width kWidths[] = {Width::k32, Width::k64};
constexpr const char* kConditions[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                         "s", "ns", "p", "np", "l", "ge", "le", "g"};

// log2 of bytes, as both tables above are indexed.
constexpr unsigned size_of(Width width) { return width == Width::k64 ? 3 : 2; }
std::string name(Gp reg, unsigned size) { return kNames[size][number(reg)]; }
std::string name(Gp reg, Width width = Width::k64) { return name(reg, size_of(width)); }
std::string name(Xmm reg) { return fmt::format("xmm{}", number(reg)); }
Gp gp(unsigned reg) { return static_cast<Gp>(reg); }
Xmm xmm(unsigned reg) { return static_cast<Xmm>(reg); }

// LLVM prints a displacement behind what precedes it.
std::string signed_term(std::int32_t value) {
  if (value == 0) return "";
  return value < 0 ? fmt::format(" - {}", -std::int64_t{value}) : fmt::format(" + {}", value);
}

// A Place and what its text needs.
struct TestPlace {
  enum class Kind : std::uint8_t { kRegister, kBase, kIndexed, kAbsolute };
  Place place;
  Kind kind = Kind::kRegister;
  unsigned base = 0, index = 0, scale = 0;
  std::int32_t displacement = 0;

  // NOLINTBEGIN(google-explicit-constructor)
  TestPlace(Gp reg) : place(reg), base(number(reg)) {}
  TestPlace(Xmm reg) : place(reg), base(number(reg)) {}
  operator Place() const { return place; }
  // NOLINTEND(google-explicit-constructor)
  static TestPlace at(Gp base, std::int32_t displacement) {
    TestPlace made(base);
    made.place = Place::at(base, displacement);
    made.kind = Kind::kBase;
    made.displacement = displacement;
    return made;
  }
  static TestPlace indexed(Gp base, Gp index, unsigned scale, std::int32_t displacement) {
    TestPlace made(base);
    made.place = Place::indexed(base, index, scale, displacement);
    made.kind = Kind::kIndexed;
    made.index = number(index);
    made.scale = scale;
    made.displacement = displacement;
    return made;
  }
  static TestPlace absolute(const void* address) {
    TestPlace made(Gp::rax);
    made.place = Place::absolute(address);
    made.kind = Kind::kAbsolute;
    return made;
  }
  bool is_register() const { return kind == Kind::kRegister; }
  bool is(Gp reg) const { return is_register() && base == number(reg); }
};

// `{rip}` stands for the distance from the end of the instruction, which is not known yet.
std::string name(const TestPlace& place, unsigned size, bool is_vector = false) {
  switch (place.kind) {
    case TestPlace::Kind::kRegister:
      return is_vector ? fmt::format("xmm{}", place.base) : kNames[size][place.base];
    case TestPlace::Kind::kBase:
      return fmt::format("{} ptr [{}{}]", kPointers[size], name(gp(place.base)), signed_term(place.displacement));
    case TestPlace::Kind::kIndexed:
      return fmt::format("{} ptr [{} + {}{}{}]", kPointers[size], name(gp(place.base)),
                         place.scale == 0 ? "" : fmt::format("{}*", 1 << place.scale), name(gp(place.index)),
                         signed_term(place.displacement));
    case TestPlace::Kind::kAbsolute:
      return fmt::format("{} ptr [rip{{rip}}]", kPointers[size]);
  }
  return "";
}
std::string name(const TestPlace& place, Width width) { return name(place, size_of(width)); }

class X86AssemblerTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kCapacity = std::size_t{16} << 20;
  // The code would run elsewhere than where it is written.
  static constexpr std::ptrdiff_t kDelta = 0x123450;

  void SetUp() override {
    if (!test::output_of("llvm-mc-19 --version")) GTEST_SKIP() << "llvm-mc-19 is not installed (make deps)";
  }

  const void* target() const { return code_.data() + 0x1234; }

  // TestPlace::absolute() is tried with target().
  template <class Emit>
  void add(std::string text, const Emit& emit) {
    const std::uint32_t begin = assembler_.offset();
    emit(assembler_);
    const std::uint32_t end = assembler_.offset();
    const auto distance = static_cast<const std::uint8_t*>(target()) - assembler_.executable(end);
    if (const auto at = text.find("{rip}"); at != std::string::npos)
      text.replace(at, 5, signed_term(static_cast<std::int32_t>(distance)));
    if (const auto at = text.find("{relative}"); at != std::string::npos)
      text.replace(at, 10, std::to_string(distance));
    for (std::uint32_t offset = begin; offset < end; ++offset) input_ += fmt::format("0x{:02x} ", code_[offset]);
    input_ += "\n0x0f 0x0b\n";  // ud2, which tells the cases apart
    expected_.push_back(std::move(text));
    begins_.push_back(begin);
    ends_.push_back(end);
    ASSERT_GT(assembler_.remaining(), 64u);
  }

  void compare() {
    const test::TemporaryFolder folder;
    const std::filesystem::path input = folder.path() / "bytes", output = folder.path() / "text";
    std::ofstream(input) << input_;
    const auto said = test::output_of(
        fmt::format("llvm-mc-19 --disassemble -triple=x86_64 -mcpu=x86-64-v3 -output-asm-variant=1 {} -o {}",
                    input.string(), output.string()));
    ASSERT_TRUE(said) << said.error().to_string();
    EXPECT_EQ(*said, "");
    std::ifstream lines(output);
    std::size_t index = 0;
    int failures = 0;
    std::string found;
    for (std::string line; std::getline(lines, line);) {
      line.erase(0, line.find_first_not_of('\t'));
      line.erase(std::min(line.size(), line.find(" #")));
      for (char& character : line) {
        if (character == '\t') character = ' ';
      }
      while (line.ends_with(' ')) line.pop_back();
      if (line.empty() || line == ".text") continue;
      if (line != "ud2") {
        if (!found.empty()) found += ' ';
        found += line;
        continue;
      }
      ASSERT_LT(index, expected_.size());
      if (found != expected_[index]) {
        ++failures;
        std::string bytes;
        for (std::uint32_t at = begins_[index]; at < ends_[index]; ++at) bytes += fmt::format(" {:02x}", code_[at]);
        ADD_FAILURE() << "emitted " << found << "\n for    " << expected_[index] << "\n bytes  " << bytes;
        ASSERT_LT(failures, 20) << "and more";
      }
      found.clear();
      ++index;
    }
    EXPECT_EQ(index, expected_.size());
  }

  // Every base with every size of displacement, some indexed places (all where `many`), and an absolute one.
  std::vector<TestPlace> memory_places(bool many = false) const {
    std::vector<TestPlace> places{TestPlace::absolute(target())};
    for (unsigned base = 0; base < 16; ++base) {
      for (const std::int32_t displacement : {0, 8, -128, 127, 128, -129, INT32_MAX, INT32_MIN})
        places.push_back(TestPlace::at(gp(base), displacement));
    }
    unsigned count = 0;
    for (unsigned base = 0; base < 16; ++base) {
      for (unsigned index = 0; index < 16; ++index) {
        if (gp(index) == Gp::rsp) continue;  // no such form
        for (unsigned scale = 0; scale < 4; ++scale) {
          for (const std::int32_t displacement : {0, -8, 4096}) {
            if (many || count++ % 37 == 0)
              places.push_back(TestPlace::indexed(gp(base), gp(index), scale, displacement));
          }
        }
      }
    }
    return places;
  }
  std::vector<TestPlace> places(bool many = false) const {
    std::vector<TestPlace> all = memory_places(many);
    for (unsigned reg = 0; reg < 16; ++reg) all.emplace_back(gp(reg));
    return all;
  }

  // The form of two operands: a register and a place.
  template <class Emit>
  void add_all(std::string_view mnemonic, const Emit& emit, bool many = false) {
    for (const Width width : kWidths) {
      for (unsigned reg = 0; reg < 16; ++reg) {
        for (const TestPlace& place : places(many)) {
          add(fmt::format("{} {}, {}", mnemonic, name(gp(reg), width), name(place, width)),
              [&](X86Assembler& to) { emit(to, width, gp(reg), place); });
        }
      }
    }
  }

  std::vector<std::uint8_t> code_ = std::vector<std::uint8_t>(kCapacity);
  X86Assembler assembler_{code_.data(), kDelta, kCapacity};
  std::string input_;
  std::vector<std::string> expected_;
  std::vector<std::uint32_t> begins_, ends_;
};

TEST_F(X86AssemblerTest, MovesBetweenRegistersAndEveryPlace) {
  for (const Width width : kWidths) {
    for (unsigned reg = 0; reg < 16; ++reg) {
      for (const TestPlace& place : places(true)) {
        const bool is_nothing = place.is(gp(reg)) && width == Width::k64;
        add(is_nothing ? "" : fmt::format("mov {}, {}", name(gp(reg), width), name(place, width)),
            [&](X86Assembler& to) { to.mov(width, gp(reg), place); });
      }
      for (const TestPlace& place : memory_places()) {
        add(fmt::format("mov {}, {}", name(place, width), name(gp(reg), width)),
            [&](X86Assembler& to) { to.store(width, place, gp(reg)); });
        std::string address = name(place, width);
        add(fmt::format("lea {}, {}", name(gp(reg), width), address.substr(address.find('['))),
            [&](X86Assembler& to) { to.lea(width, gp(reg), place); });
      }
    }
  }
  compare();
}

TEST_F(X86AssemblerTest, StoresAndLoadsNarrowValues) {
  for (unsigned reg = 0; reg < 16; ++reg) {
    for (const TestPlace& place : memory_places()) {
      add(fmt::format("mov {}, {}", name(place, 0), name(gp(reg), 0)),
          [&](X86Assembler& to) { to.store8(place, gp(reg)); });
      add(fmt::format("mov {}, {}", name(place, 1), name(gp(reg), 1)),
          [&](X86Assembler& to) { to.store16(place, gp(reg)); });
    }
    for (const TestPlace& place : places()) {
      add(fmt::format("movsxd {}, {}", name(gp(reg)), name(place, 2)),
          [&](X86Assembler& to) { to.movsxd(gp(reg), place); });
      add(fmt::format("movsx {}, {}", name(gp(reg)), name(place, 0)),
          [&](X86Assembler& to) { to.movsx8(gp(reg), place); });
      add(fmt::format("movsx {}, {}", name(gp(reg)), name(place, 1)),
          [&](X86Assembler& to) { to.movsx16(gp(reg), place); });
      add(fmt::format("movzx {}, {}", name(gp(reg), 2), name(place, 0)),
          [&](X86Assembler& to) { to.movzx8(gp(reg), place); });
      add(fmt::format("movzx {}, {}", name(gp(reg), 2), name(place, 1)),
          [&](X86Assembler& to) { to.movzx16(gp(reg), place); });
    }
  }
  compare();
}

// What a guest's loads and stores are: a form of its own for each of them.
TEST_F(X86AssemblerTest, AccessesByLaterBasesAndFirstIndexes) {
  constexpr Width k32 = Width::k32, k64 = Width::k64;
  for (unsigned reg = 0; reg < 16; ++reg) {
    const Gp value = gp(reg);
    for (const Gp base : {Gp::r8, Gp::r9, Gp::r10, Gp::r11, Gp::r12, Gp::r14, Gp::r15}) {
      for (const Gp index : {Gp::rax, Gp::rcx, Gp::rdx, Gp::rbx, Gp::rbp, Gp::rsi, Gp::rdi}) {
        for (const std::int32_t displacement : {0, 1, -128, 127, 128, -129, INT32_MAX, INT32_MIN}) {
          const TestPlace place = TestPlace::indexed(base, index, 0, displacement);
          const auto add_one = [&](const std::string& text, auto emit) {
            add(text, [&](X86Assembler& to) { emit(to); });
          };
          add_one(fmt::format("movsx {}, {}", name(value), name(place, 0)),
                  [&](X86Assembler& to) { to.access(two_byte_opcode(0xBE, k64), value, base, index, displacement); });
          add_one(fmt::format("movzx {}, {}", name(value, 2), name(place, 1)),
                  [&](X86Assembler& to) { to.access(two_byte_opcode(0xB7, k32), value, base, index, displacement); });
          add_one(fmt::format("movsxd {}, {}", name(value), name(place, 2)),
                  [&](X86Assembler& to) { to.access(one_byte_opcode(0x63, k64), value, base, index, displacement); });
          add_one(fmt::format("mov {}, {}", name(value, 2), name(place, 2)),
                  [&](X86Assembler& to) { to.access(one_byte_opcode(0x8B, k32), value, base, index, displacement); });
          add_one(fmt::format("mov {}, {}", name(place, 0), name(value, 0)),
                  [&](X86Assembler& to) { to.access(one_byte_opcode(0x88, k32), value, base, index, displacement); });
          add_one(fmt::format("mov {}, {}", name(place, 1), name(value, 1)), [&](X86Assembler& to) {
            to.operand_size_prefix();
            to.access(one_byte_opcode(0x89, k32), value, base, index, displacement);
          });
          add_one(fmt::format("mov {}, {}", name(place, 3), name(value)),
                  [&](X86Assembler& to) { to.access(one_byte_opcode(0x89, k64), value, base, index, displacement); });
        }
      }
    }
  }
  compare();
}

TEST_F(X86AssemblerTest, ComparesWithARegisterOrZero) {
  for (unsigned reg = 0; reg < 16; ++reg) {
    const Gp named = gp(reg);
    add(fmt::format("test {0}, {0}", name(named)), [&](X86Assembler& to) { to.compare(named, named, true); });
    for (const TestPlace& place : places()) {
      if (place.kind == TestPlace::Kind::kAbsolute) continue;
      add(fmt::format("cmp {}, {}", name(named), name(place, Width::k64)),
          [&](X86Assembler& to) { to.compare(named, place, false); });
      // Whatever it would be compared with.
      add(fmt::format("test {0}, {0}", name(named)), [&](X86Assembler& to) { to.compare(named, place, true); });
      if (place.is_register()) continue;
      add(fmt::format("cmp {}, {}", name(place, Width::k64), name(named)),
          [&](X86Assembler& to) { to.compare(place, named, false); });
      add(fmt::format("cmp {}, 0", name(place, Width::k64)), [&](X86Assembler& to) { to.compare(place, named, true); });
      add(fmt::format("cmp {}, 0", name(place, Width::k64)), [&](X86Assembler& to) { to.compare(place, place, true); });
    }
  }
  compare();
}

TEST_F(X86AssemblerTest, MovesImmediates) {
  for (const TestPlace& place : places()) {
    for (const std::int32_t value : {0, 1, -1, 128, INT32_MAX, INT32_MIN}) {
      for (const Width width : kWidths) {
        add(width == Width::k64 ? fmt::format("mov {}, {}", name(place, width), value)
                                : fmt::format("mov {}, {}", name(place, width), static_cast<std::uint32_t>(value)),
            [&](X86Assembler& to) { to.store_immediate(width, place, value); });
      }
    }
    if (place.is_register()) continue;
    for (const int value : {0, 1, 127, 255}) {
      add(fmt::format("mov {}, {}", name(place, 0), static_cast<std::int8_t>(value)),
          [&](X86Assembler& to) { to.store8_immediate(place, static_cast<std::uint8_t>(value)); });
    }
  }
  for (unsigned reg = 0; reg < 16; ++reg) {
    add(fmt::format("xor {0}, {0}", name(gp(reg), 2)), [&](X86Assembler& to) { to.load_immediate(gp(reg), 0); });
    for (const std::uint32_t value : {1u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
      const std::string text = fmt::format("mov {}, {}", name(gp(reg), 2), value);
      add(text, [&](X86Assembler& to) { to.load_immediate(gp(reg), value); });
      add(text, [&](X86Assembler& to) { to.load_word(gp(reg), value); });
    }
    add(fmt::format("mov {}, 0", name(gp(reg), 2)), [&](X86Assembler& to) { to.load_word(gp(reg), 0); });
    add(fmt::format("or {}, -1", name(gp(reg))),
        [&](X86Assembler& to) { to.load_immediate(gp(reg), ~std::uint64_t{0}); });
    for (const std::int64_t value : {std::int64_t{-2}, std::int64_t{INT32_MIN}, std::int64_t{-129}}) {
      add(fmt::format("mov {}, {}", name(gp(reg)), value),
          [&](X86Assembler& to) { to.load_immediate(gp(reg), static_cast<std::uint64_t>(value)); });
    }
    for (const std::int64_t value :
         {std::int64_t{INT32_MIN} - 1, std::int64_t{1} << 32, INT64_MAX, INT64_MIN, std::int64_t{0x0123456789ABCDEF}}) {
      add(fmt::format("movabs {}, {}", name(gp(reg)), value),
          [&](X86Assembler& to) { to.load_immediate(gp(reg), static_cast<std::uint64_t>(value)); });
    }
  }
  compare();
}

TEST_F(X86AssemblerTest, MovesAndSetsUnderEveryCondition) {
  for (unsigned number = 0; number < 16; ++number) {
    const auto condition = static_cast<Condition>(number);
    for (unsigned reg = 0; reg < 16; ++reg) {
      for (const TestPlace& place : places()) {
        add(fmt::format("cmov{} {}, {}", kConditions[number], name(gp(reg)), name(place, 3)),
            [&](X86Assembler& to) { to.cmov(condition, gp(reg), place); });
        if (reg % 5 != 0) continue;
        add(fmt::format("cmov{} {}, {}", kConditions[number], name(gp(reg), 2), name(place, 2)),
            [&](X86Assembler& to) { to.cmov32(condition, gp(reg), place); });
      }
      add(fmt::format("set{} {}", kConditions[number], name(gp(reg), 0)),
          [&](X86Assembler& to) { to.set(condition, gp(reg)); });
    }
    EXPECT_EQ(static_cast<unsigned>(negated(condition)), number ^ 1);
  }
  compare();
}

TEST_F(X86AssemblerTest, ComputesOnEveryPlace) {
  constexpr std::pair<Alu, const char*> kOperations[] = {{Alu::kAdd, "add"}, {Alu::kOr, "or"},   {Alu::kAdc, "adc"},
                                                         {Alu::kSbb, "sbb"}, {Alu::kAnd, "and"}, {Alu::kSub, "sub"},
                                                         {Alu::kXor, "xor"}, {Alu::kCmp, "cmp"}};
  for (const auto& [operation, mnemonic] : kOperations) {
    add_all(mnemonic, [&](X86Assembler& to, Width width, Gp reg, const TestPlace& place) {
      to.alu(operation, width, reg, place);
    });
    for (const Width width : kWidths) {
      for (const TestPlace& place : places()) {
        for (const unsigned reg : {0u, 4u, 8u, 15u}) {
          add(fmt::format("{} {}, {}", mnemonic, name(place, width), name(gp(reg), width)),
              [&](X86Assembler& to) { to.alu_to(operation, width, place, gp(reg)); });
        }
        for (const std::int32_t value : {0, 1, -1, 127, -128, 128, -129, INT32_MAX, INT32_MIN}) {
          // LLVM prints a long 32-bit immediate without a sign.
          const bool is_long = value != static_cast<std::int8_t>(value) && width == Width::k32;
          add(is_long ? fmt::format("{} {}, {}", mnemonic, name(place, width), static_cast<std::uint32_t>(value))
                      : fmt::format("{} {}, {}", mnemonic, name(place, width), value),
              [&](X86Assembler& to) { to.alu_immediate(operation, width, place, value); });
        }
      }
    }
  }
  compare();
}

TEST_F(X86AssemblerTest, TestsMultipliesAndDivides) {
  for (const Width width : kWidths) {
    for (unsigned a = 0; a < 16; ++a) {
      for (unsigned b = 0; b < 16; ++b) {
        add(fmt::format("test {}, {}", name(gp(a), width), name(gp(b), width)),
            [&](X86Assembler& to) { to.test(width, gp(a), gp(b)); });
      }
      add(fmt::format("not {}", name(gp(a), width)), [&](X86Assembler& to) { to.invert(width, gp(a)); });
      add(fmt::format("neg {}", name(gp(a), width)), [&](X86Assembler& to) { to.neg(width, gp(a)); });
    }
    for (const TestPlace& place : places()) {
      add(fmt::format("imul {}", name(place, width)), [&](X86Assembler& to) { to.imul_wide(width, place); });
      add(fmt::format("div {}", name(place, width)), [&](X86Assembler& to) { to.div(width, place); });
      add(fmt::format("idiv {}", name(place, width)), [&](X86Assembler& to) { to.idiv(width, place); });
    }
  }
  add_all("imul", [](X86Assembler& to, Width width, Gp reg, const TestPlace& place) { to.imul(width, reg, place); });
  for (unsigned reg = 0; reg < 16; ++reg) {
    add(fmt::format("dec {}", name(gp(reg), 2)),
        [&](X86Assembler& to) { to.subtract_immediate(Width::k32, gp(reg), 1); });
    add(fmt::format("sub {}, 2", name(gp(reg))),
        [&](X86Assembler& to) { to.subtract_immediate(Width::k64, gp(reg), 2); });
  }
  for (unsigned reg = 0; reg < 16; ++reg) {
    for (const int value : {0, 1, 127, 255}) {
      add(fmt::format("test {}, {}", name(gp(reg), 0), static_cast<std::int8_t>(value)),
          [&](X86Assembler& to) { to.test_immediate8(gp(reg), static_cast<std::uint8_t>(value)); });
    }
    add(fmt::format("bswap {}", name(gp(reg))), [&](X86Assembler& to) { to.bswap(gp(reg)); });
    add(fmt::format("push {}", name(gp(reg))), [&](X86Assembler& to) { to.push(gp(reg)); });
    if (reg < 8)
      add(fmt::format("push {0} push {0}", name(gp(reg))), [&](X86Assembler& to) { to.push_repeatedly(gp(reg), 2); });
    add(fmt::format("pop {}", name(gp(reg))), [&](X86Assembler& to) { to.pop(gp(reg)); });
  }
  for (const TestPlace& place : places())
    add(fmt::format("push {}", name(place, 3)), [&](X86Assembler& to) { to.push(place); });
  add("cdq", [](X86Assembler& to) { to.sign_extend_rax(Width::k32); });
  add("cqo", [](X86Assembler& to) { to.sign_extend_rax(Width::k64); });
  compare();
}

TEST_F(X86AssemblerTest, ShiftsAndCountsAndChangesBits) {
  constexpr std::pair<Shift, const char*> kShifts[] = {
      {Shift::kRol, "rol"}, {Shift::kRor, "ror"}, {Shift::kShl, "shl"}, {Shift::kShr, "shr"}, {Shift::kSar, "sar"}};
  using Bit = X86Assembler::Bit;
  constexpr std::pair<Bit, const char*> kBits[] = {
      {Bit::kTest, "bt"}, {Bit::kSet, "bts"}, {Bit::kReset, "btr"}, {Bit::kComplement, "btc"}};
  for (unsigned reg = 0; reg < 16; ++reg) {
    for (const auto& [operation, mnemonic] : kShifts) {
      for (const Width width : kWidths) {
        for (const std::uint8_t amount : {1, 2, 31, 63}) {
          // A shift by one has a form of its own, which is not used but is the same to LLVM.
          add(fmt::format("{} {}, {}", mnemonic, name(gp(reg), width), amount),
              [&](X86Assembler& to) { to.shift_immediate(operation, width, gp(reg), amount); });
        }
        add(fmt::format("{} {}, cl", mnemonic, name(gp(reg), width)),
            [&](X86Assembler& to) { to.shift_by_cl(operation, width, gp(reg)); });
      }
    }
    for (const auto& [operation, mnemonic] : kBits) {
      for (const std::uint8_t position : {0, 31, 63}) {
        add(fmt::format("{} {}, {}", mnemonic, name(gp(reg)), position),
            [&](X86Assembler& to) { to.bit_immediate(operation, gp(reg), position); });
      }
      for (unsigned position = 0; position < 16; ++position) {
        add(fmt::format("{} {}, {}", mnemonic, name(gp(reg)), name(gp(position))),
            [&](X86Assembler& to) { to.bit(operation, gp(reg), gp(position)); });
      }
    }
  }
  add_all("lzcnt", [](X86Assembler& to, Width width, Gp reg, const TestPlace& place) { to.lzcnt(width, reg, place); });
  add_all("tzcnt", [](X86Assembler& to, Width width, Gp reg, const TestPlace& place) { to.tzcnt(width, reg, place); });
  add_all("popcnt",
          [](X86Assembler& to, Width width, Gp reg, const TestPlace& place) { to.popcnt(width, reg, place); });
  compare();
}

TEST_F(X86AssemblerTest, UsesThreeOperands) {
  for (const Width width : kWidths) {
    for (unsigned reg = 0; reg < 16; ++reg) {
      for (const TestPlace& place : places()) {
        for (const unsigned other : {0u, 4u, 7u, 8u, 13u, 15u}) {
          const std::string behind =
              fmt::format("{}, {}, {}", name(gp(reg), width), name(place, width), name(gp(other), width));
          add("shlx " + behind, [&](X86Assembler& to) { to.shlx(width, gp(reg), place, gp(other)); });
          add("shrx " + behind, [&](X86Assembler& to) { to.shrx(width, gp(reg), place, gp(other)); });
          add("sarx " + behind, [&](X86Assembler& to) { to.sarx(width, gp(reg), place, gp(other)); });
          const std::string between =
              fmt::format("{}, {}, {}", name(gp(reg), width), name(gp(other), width), name(place, width));
          add("andn " + between, [&](X86Assembler& to) { to.andn(width, gp(reg), gp(other), place); });
          if (width == Width::k64)
            add("mulx " + between, [&](X86Assembler& to) { to.mulx(gp(reg), gp(other), place); });
        }
        add(fmt::format("rorx {}, {}, 13", name(gp(reg), width), name(place, width)),
            [&](X86Assembler& to) { to.rorx(width, gp(reg), place, 13); });
      }
    }
  }
  compare();
}

TEST_F(X86AssemblerTest, UsesMemoryAtomically) {
  for (const Width width : kWidths) {
    for (unsigned reg = 0; reg < 16; ++reg) {
      for (const TestPlace& place : memory_places()) {
        const std::string operands = fmt::format("{}, {}", name(place, width), name(gp(reg), width));
        add("lock xadd " + operands, [&](X86Assembler& to) { to.lock_xadd(width, place, gp(reg)); });
        add("lock cmpxchg " + operands, [&](X86Assembler& to) { to.lock_cmpxchg(width, place, gp(reg)); });
        add("xchg " + operands, [&](X86Assembler& to) { to.xchg(width, place, gp(reg)); });
      }
    }
  }
  add("mfence", [](X86Assembler& to) { to.mfence(); });
  compare();
}

TEST_F(X86AssemblerTest, TransfersControl) {
  add("jmp {relative}", [&](X86Assembler& to) { to.jmp(target()); });
  add("call {relative}", [&](X86Assembler& to) { to.call(target()); });
  for (unsigned number = 0; number < 16; ++number) {
    add(fmt::format("j{} {{relative}}", kConditions[number]),
        [&](X86Assembler& to) { to.jcc(static_cast<Condition>(number), target()); });
  }
  for (unsigned reg = 0; reg < 16; ++reg) {
    add("jmp " + name(gp(reg)), [&](X86Assembler& to) { to.jmp(gp(reg)); });
    add("call " + name(gp(reg)), [&](X86Assembler& to) { to.call(gp(reg)); });
  }
  for (const TestPlace& place : memory_places())
    add("call " + name(place, 3), [&](X86Assembler& to) { to.call(place); });
  add("ret", [](X86Assembler& to) { to.ret(); });
  add("int3", [](X86Assembler& to) { to.int3(); });
  compare();
}

TEST_F(X86AssemblerTest, BindsJumps) {
  add("jmp 3 int3 int3 int3", [](X86Assembler& to) {
    const std::uint32_t jump = to.jmp_forward();
    for (int i = 0; i < 3; ++i) to.int3();
    to.bind(jump);
  });
  add("call 1 ret", [](X86Assembler& to) {
    const std::uint32_t jump = to.call_forward();
    to.ret();
    to.bind(jump);
  });
  add("ret jmp -6", [](X86Assembler& to) {
    const std::uint32_t back = to.offset();
    to.ret();
    to.bind_to(to.jmp_forward(), back);
  });
  add("jmp 2 int3 int3", [](X86Assembler& to) {
    const std::uint32_t jump = to.jmp_short_forward();
    for (int i = 0; i < 2; ++i) to.int3();
    to.bind_short(jump);
  });
  for (unsigned number = 0; number < 16; ++number) {
    const auto condition = static_cast<Condition>(number);
    add(fmt::format("j{} 1 ret j{} 1 ret", kConditions[number], kConditions[number]), [&](X86Assembler& to) {
      const std::uint32_t jump = to.jcc_forward(condition);
      to.ret();
      to.bind(jump);
      const std::uint32_t short_jump = to.jcc_short_forward(condition);
      to.ret();
      to.bind_short(short_jump);
    });
    // The last distance that a short jump reaches, and the first that it does not.
    const std::uint32_t here = assembler_.offset();
    add(fmt::format("j{} -128", kConditions[number]),
        [&](X86Assembler& to) { to.jcc_back(condition, here + 2 - 128); });
    const std::uint32_t next = assembler_.offset();
    add(fmt::format("j{} -133", kConditions[number]),
        [&](X86Assembler& to) { to.jcc_back(condition, next + 2 - 129); });
    const std::uint32_t back = assembler_.offset();
    add(fmt::format("j{} -128", kConditions[number]),
        [&](X86Assembler& to) { to.jcc_back_or_forward(condition, true, back + 2 - 128); });
    const std::uint32_t farther_back = assembler_.offset();
    add(fmt::format("j{} -133", kConditions[number]),
        [&](X86Assembler& to) { to.jcc_back_or_forward(condition, true, farther_back + 2 - 129); });
    for (const std::uint32_t anything : {std::uint32_t{0}, ~std::uint32_t{0}, assembler_.offset()}) {
      add(fmt::format("j{} 1 ret", kConditions[number]), [&](X86Assembler& to) {
        const std::uint32_t jump = to.jcc_back_or_forward(condition, false, anything);
        to.ret();
        to.bind(jump);
      });
    }
    add(fmt::format("j{} -128", kConditions[number]),
        [&](X86Assembler& to) { to.jcc_back_short_or_forward(condition, true, std::size_t{2} - 128); });
    add(fmt::format("j{} 1 ret", kConditions[number]), [&](X86Assembler& to) {
      const std::uint32_t jump = to.jcc_back_short_or_forward(condition, false, 0);
      to.ret();
      to.bind(jump);
    });
  }
  const std::uint32_t here = assembler_.offset();
  add("jmp -128", [&](X86Assembler& to) { to.jmp_back(here + 2 - 128); });
  const std::uint32_t next = assembler_.offset();
  add("jmp -132", [&](X86Assembler& to) { to.jmp_back(next + 2 - 129); });
  compare();
}

TEST_F(X86AssemblerTest, AlignsWhereTheCodeWillRun) {
  assembler_.ret();
  assembler_.align(16);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(assembler_.here()) % 16, 0u);
  EXPECT_EQ(assembler_.here(), assembler_.cursor() + kDelta);
  EXPECT_EQ(assembler_.executable(assembler_.offset()), assembler_.here());
  const std::uint32_t before = assembler_.offset();
  for (std::uint32_t at = 1; at < before; ++at) EXPECT_EQ(code_[at], 0xCC);
  assembler_.align(16);
  EXPECT_EQ(assembler_.offset(), before);
  EXPECT_EQ(assembler_.remaining(), kCapacity - before);
}

// Every opcode that emit_float.cpp gives to avx().
TEST_F(X86AssemblerTest, ComputesOnFloats) {
  struct Form {
    Prefix prefix;
    Map map;
    bool w;
    std::uint8_t opcode;
    const char* mnemonic;
    unsigned size;
  };
  constexpr Form kForms[] = {{Prefix::kF2, Map::k0F, false, 0x58, "vaddsd", 3},
                             {Prefix::kF3, Map::k0F, false, 0x58, "vaddss", 2},
                             {Prefix::kF2, Map::k0F, false, 0x59, "vmulsd", 3},
                             {Prefix::kF3, Map::k0F, false, 0x59, "vmulss", 2},
                             {Prefix::kF2, Map::k0F, false, 0x5C, "vsubsd", 3},
                             {Prefix::kF3, Map::k0F, false, 0x5C, "vsubss", 2},
                             {Prefix::kF2, Map::k0F, false, 0x5E, "vdivsd", 3},
                             {Prefix::kF3, Map::k0F, false, 0x5E, "vdivss", 2},
                             {Prefix::kF2, Map::k0F, false, 0x51, "vsqrtsd", 3},
                             {Prefix::kF3, Map::k0F, false, 0x51, "vsqrtss", 2},
                             {Prefix::kF2, Map::k0F, false, 0x5D, "vminsd", 3},
                             {Prefix::kF3, Map::k0F, false, 0x5D, "vminss", 2},
                             {Prefix::kF2, Map::k0F, false, 0x5F, "vmaxsd", 3},
                             {Prefix::kF3, Map::k0F, false, 0x5F, "vmaxss", 2},
                             {Prefix::kF2, Map::k0F, false, 0x5A, "vcvtsd2ss", 3},
                             {Prefix::kF3, Map::k0F, false, 0x5A, "vcvtss2sd", 2},
                             {Prefix::k66, Map::k0F, false, 0x54, "vandpd", 4},
                             {Prefix::k66, Map::k0F, false, 0x55, "vandnpd", 4},
                             {Prefix::k66, Map::k0F, false, 0x56, "vorpd", 4},
                             {Prefix::k66, Map::k0F, false, 0x57, "vxorpd", 4},
                             {Prefix::k66, Map::k0F, false, 0x76, "vpcmpeqd", 4},
                             {Prefix::k66, Map::k0F38, true, 0xA9, "vfmadd213sd", 3},
                             {Prefix::k66, Map::k0F38, false, 0xA9, "vfmadd213ss", 2},
                             {Prefix::k66, Map::k0F38, true, 0xAB, "vfmsub213sd", 3},
                             {Prefix::k66, Map::k0F38, true, 0xAD, "vfnmadd213sd", 3},
                             {Prefix::k66, Map::k0F38, true, 0xAF, "vfnmsub213sd", 3}};
  for (const Form& form : kForms) {
    for (unsigned reg = 0; reg < 16; ++reg) {
      for (const unsigned first : {0u, 7u, 8u, 15u}) {
        const auto emit = [&](const TestPlace& place) {
          return [&form, reg, first, &place](X86Assembler& to) {
            if (form.map == Map::k0F) {
              to.avx(form.prefix, form.opcode, xmm(reg), xmm(first), place);
            } else {
              to.avx(form.prefix, form.map, form.w, form.opcode, xmm(reg), xmm(first), place);
            }
          };
        };
        const std::string begin = fmt::format("{} {}, {}, ", form.mnemonic, name(xmm(reg)), name(xmm(first)));
        for (unsigned second = 0; second < 16; ++second) {
          const TestPlace place = xmm(second);
          add(begin + name(xmm(second)), emit(place));
        }
        for (const TestPlace& place : memory_places()) add(begin + name(place, form.size), emit(place));
      }
    }
  }
  // Comparisons have two operands and want the field of the other to be that of xmm0.
  for (unsigned reg = 0; reg < 16; ++reg) {
    const auto compare_with = [&](const TestPlace& place) {
      for (const auto& [prefix, suffix, size] :
           {std::tuple{Prefix::k66, "sd", 3u}, std::tuple{Prefix::kNone, "ss", 2u}}) {
        for (const auto& [opcode, mnemonic] : {std::pair{0x2E, "vucomi"}, std::pair{0x2F, "vcomi"}}) {
          add(fmt::format("{}{} {}, {}", mnemonic, suffix, name(xmm(reg)), name(place, size, true)),
              [&](X86Assembler& to) { to.avx(prefix, static_cast<std::uint8_t>(opcode), xmm(reg), Xmm::xmm0, place); });
        }
      }
    };
    for (unsigned other = 0; other < 16; ++other) compare_with(xmm(other));
    for (const TestPlace& place : memory_places()) compare_with(place);
  }
  compare();
}

TEST_F(X86AssemblerTest, MovesAndConvertsFloats) {
  for (unsigned reg = 0; reg < 16; ++reg) {
    for (const TestPlace& place : memory_places()) {
      const std::string wide = name(place, 3), narrow = name(place, 2), vector = name(xmm(reg));
      add(fmt::format("vmovsd {}, {}", vector, wide), [&](X86Assembler& to) { to.vmovsd_load(xmm(reg), place); });
      add(fmt::format("vmovsd {}, {}", wide, vector), [&](X86Assembler& to) { to.vmovsd_store(place, xmm(reg)); });
      add(fmt::format("vmovss {}, {}", vector, narrow), [&](X86Assembler& to) { to.vmovss_load(xmm(reg), place); });
      add(fmt::format("vmovss {}, {}", narrow, vector), [&](X86Assembler& to) { to.vmovss_store(place, xmm(reg)); });
      for (const Width width : kWidths) {
        add(fmt::format("vcvttsd2si {}, {}", name(gp(reg), width), wide),
            [&](X86Assembler& to) { to.convert_to_integer(Prefix::kF2, 0x2C, width, gp(reg), place); });
        add(fmt::format("vcvtss2si {}, {}", name(gp(reg), width), narrow),
            [&](X86Assembler& to) { to.convert_to_integer(Prefix::kF3, 0x2D, width, gp(reg), place); });
        add(fmt::format("vcvtsi2sd {}, xmm9, {}", vector, name(place, width)),
            [&](X86Assembler& to) { to.convert_from_integer(Prefix::kF2, width, xmm(reg), Xmm::xmm9, place); });
      }
    }
    for (unsigned other = 0; other < 16; ++other) {
      add(reg == other ? "" : fmt::format("vmovaps {}, {}", name(xmm(reg)), name(xmm(other))),
          [&](X86Assembler& to) { to.vmovapd(xmm(reg), xmm(other)); });
      add(fmt::format("vmovq {}, {}", name(xmm(reg)), name(gp(other))),
          [&](X86Assembler& to) { to.vmovq(xmm(reg), gp(other)); });
      add(fmt::format("vmovq {}, {}", name(gp(reg)), name(xmm(other))),
          [&](X86Assembler& to) { to.vmovq(gp(reg), xmm(other)); });
      add(fmt::format("vmovd {}, {}", name(xmm(reg)), name(gp(other), 2)),
          [&](X86Assembler& to) { to.vmovd(xmm(reg), gp(other)); });
      add(fmt::format("vmovd {}, {}", name(gp(reg), 2), name(xmm(other))),
          [&](X86Assembler& to) { to.vmovd(gp(reg), xmm(other)); });
      for (const Width width : kWidths) {
        add(fmt::format("vcvttss2si {}, {}", name(gp(reg), width), name(xmm(other))),
            [&](X86Assembler& to) { to.convert_to_integer(Prefix::kF3, 0x2C, width, gp(reg), xmm(other)); });
        add(fmt::format("vcvtsd2si {}, {}", name(gp(reg), width), name(xmm(other))),
            [&](X86Assembler& to) { to.convert_to_integer(Prefix::kF2, 0x2D, width, gp(reg), xmm(other)); });
        add(fmt::format("vcvtsi2ss {}, xmm3, {}", name(xmm(reg)), name(gp(other), width)),
            [&](X86Assembler& to) { to.convert_from_integer(Prefix::kF3, width, xmm(reg), Xmm::xmm3, gp(other)); });
      }
    }
  }
  for (const TestPlace& place : memory_places()) {
    add("stmxcsr " + name(place, 2), [&](X86Assembler& to) { to.stmxcsr(place); });
    add("ldmxcsr " + name(place, 2), [&](X86Assembler& to) { to.ldmxcsr(place); });
  }
  compare();
}

}  // namespace
}  // namespace caisson::baseline
