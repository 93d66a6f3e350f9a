// What the spec cases cannot say of the baseline tier: that it has all instructions, agrees with the interpreter wherever a page is
// entered and a block faults, sees code change, and keeps its memory, its stack and its code within bounds.
#include "baseline/baseline.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "baseline/unit_emitter.h"
#include "gas/gas_schedule.h"
#include "interp/interpreter.h"
#include "support/baseline_names.h"

namespace caisson::baseline {
namespace {

using riscv::Op;
using tests::beq;
using tests::immediate_form;
using tests::jal;
using tests::kEcallWord;
using tests::ld;
using tests::load;
using tests::lui;
using tests::no_time;
using tests::sd;
using tests::store;

constexpr std::uint32_t kCode = 0x100000, kData = 0x200000;
constexpr std::uint64_t kLongSlice = std::uint64_t{1} << 62;

// The same guest on the baseline and on the interpreter, which says what is right.
class BaselineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* missing = nullptr;
    if (!Baseline::is_supported(&missing)) GTEST_SKIP() << "this processor has no " << missing;
    memory_ = memory::AddressSpace::create(windows_, memory::kWindowSize).value();
    other_memory_ = memory::AddressSpace::create(windows_, memory::kWindowSize).value();
    baseline_ = Baseline::create(*memory_, options()).value();
    interpreter_ = interp::Interpreter::create(*other_memory_, interp::CacheMode::kOn, no_time, nullptr).value();
    for (HartState* const hart : {&hart_, &other_}) {
      hart->grant_gas(std::uint64_t{1} << 40);
      hart->pc = kCode;
    }
  }

  BaselineOptions options() {
    return {.time = no_time,
            .ecall = answer_ecall<[](void* context, HartState& hart) -> std::uint64_t {
              auto& test = *static_cast<BaselineTest*>(context);
              return test.on_ecall_ ? test.on_ecall_(hart) : 0;
            }>,
            .ecall_context = this};
  }

  void map_both(std::uint64_t address, std::span<const std::uint32_t> words,
                memory::Permissions permissions = kRead | kExecute) {
    map_code(*memory_, address, words, permissions);
    map_code(*other_memory_, address, words, permissions);
  }
  void map_data(std::uint64_t address = kData, std::uint64_t length = 2 * kPageSize) {
    for (memory::AddressSpace* const memory : {memory_.get(), other_memory_.get()})
      ASSERT_EQ(memory->map_anonymous(address, length, kRead | kWrite), MapStatus::kOk);
  }
  // Of both harts.
  void set(unsigned reg, std::uint64_t value) { hart_.x[reg] = other_.x[reg] = value; }
  void set_pc(std::uint64_t pc) { hart_.pc = other_.pc = pc; }

  void run(std::uint64_t slice = kLongSlice) {
    do {
      std::uint64_t left = slice;
      ASSERT_NE(baseline_->run(hart_, &left), Baseline::End::kNoMemory);
    } while (hart_.trap.kind == TrapKind::kNone);
  }
  // On both tiers, which must then agree about everything.
  void run_both(std::uint64_t slice = kLongSlice) {
    run(slice);
    do {
      interpreter_->run(other_, slice);
    } while (other_.trap.kind == TrapKind::kNone);
    expect_agreement();
  }
  void expect_agreement() {
    EXPECT_EQ(hart_.trap.kind, other_.trap.kind);
    EXPECT_EQ(hart_.trap.address, other_.trap.address);
    EXPECT_EQ(hart_.pc, other_.pc);
    EXPECT_EQ(hart_.gas_used(), other_.gas_used());
    for (unsigned reg = 0; reg < 32; ++reg) {
      EXPECT_EQ(hart_.x[reg], other_.x[reg]) << "x" << reg;
      EXPECT_EQ(hart_.f[reg], other_.f[reg]) << "f" << reg;
    }
    EXPECT_EQ(hart_.fflags, other_.fflags);
    EXPECT_EQ(hart_.frm, other_.frm);
  }

  std::shared_ptr<memory::WindowPool> windows_ = std::make_shared<memory::WindowPool>();
  std::unique_ptr<memory::AddressSpace> memory_, other_memory_;
  std::unique_ptr<Baseline> baseline_;
  std::unique_ptr<interp::Interpreter> interpreter_;
  HartState hart_, other_;
  std::function<std::uint64_t(HartState&)> on_ecall_;
};

TEST(UnitEmitter, HasEveryInstruction) {
  for (std::size_t number = 0; number < riscv::kBaseOpCount; ++number) {
    const auto op = static_cast<Op>(number);
    EXPECT_TRUE(UnitEmitter::has_emitter(op)) << riscv::info(op).mnemonic;
  }
}

// Instructions of both lengths; entered between them, also what their halves happen to mean.
TEST_F(BaselineTest, EntersAPageOfStraightLineCodeAnywhere) {
  map_data();
  std::mt19937 random(7);
  std::vector<std::uint16_t> halves;
  while (halves.size() < kPageSize / 2 - 4) {
    const auto reg = [&] { return static_cast<unsigned>(random() % 24 + 8); };
    const auto small = [&] { return static_cast<std::int32_t>(random() % 512); };
    std::uint32_t word = 0;
    switch (random() % 7) {
      case 6: {  // a constant in two instructions
        const unsigned target = reg();
        word = random() % 2 == 0 ? lui(target, random() % 0x100000) : (random() % 0x100000) << 12 | target << 7 | 0x17;
        halves.push_back(static_cast<std::uint16_t>(word));
        halves.push_back(static_cast<std::uint16_t>(word >> 16));
        word = addi(random() % 4 == 0 ? reg() : target, target, small());
        break;
      }
      case 0:
        word = addi(reg(), reg(), small());
        break;
      case 1:
        word = reg() << 20 | reg() << 15 | reg() << 7 | 0x33;
        break;  // add
      case 2:
        word = 1u << 25 | reg() << 20 | reg() << 15 | reg() << 7 | 0x33;
        break;  // mul
      case 3:
        word = ld(reg(), riscv::kSp, small());
        break;
      case 4:
        word = sd(reg(), riscv::kSp, small());
        break;
      default:
        word = 0x0005 | reg() << 7;
        break;  // c.addi reg, 1
    }
    halves.push_back(static_cast<std::uint16_t>(word));
    if ((word & 3) == 3) halves.push_back(static_cast<std::uint16_t>(word >> 16));
  }
  while (halves.size() < kPageSize / 2) halves.push_back(0x9002);  // c.ebreak
  std::vector<std::uint32_t> words(kPageSize / 4);
  std::memcpy(words.data(), halves.data(), kPageSize);
  map_both(kCode, words);

  // From the last entry to the first, then again in an order without order, after all code was given back.
  std::vector<std::uint32_t> entries(kPageSize / 2);
  for (std::uint32_t index = 0; index < entries.size(); ++index) entries[index] = kPageSize / 2 - 1 - index;
  std::uint64_t code_bytes = 0;
  for (int round = 0; round < 2; ++round) {
    for (const std::uint32_t entry : entries) {
      for (unsigned reg = 1; reg < 32; ++reg) set(reg, reg * std::uint64_t{0x0123456789ABCDEF});
      set(riscv::kSp, kData + 8);
      for (HartState* const hart : {&hart_, &other_}) hart->grant_gas(100'000);
      set_pc(kCode + entry * 2);
      run_both();
      if (HasFailure()) FAIL() << "entry " << entry;
    }
    // Each instruction once or twice, and a price for each entry.
    const std::uint64_t now = baseline_->stats().compiled.code_bytes;
    EXPECT_LT(now - code_bytes, 400'000u);
    RecordProperty("code_bytes", std::to_string(now - code_bytes));
    code_bytes = now;
    baseline_->release_code();
    std::shuffle(entries.begin(), entries.end(), random);
  }
}

// Overlapping encodings that fall into an instruction which an earlier compilation has, behind which a long stretch would begin. It must
// not be open in what is emitted next, which is another way through overlapping encodings.
TEST_F(BaselineTest, JoinsEarlierCodeBeforeAStretch) {
  const auto add = [](unsigned rd, unsigned rs1, unsigned rs2) { return rs2 << 20 | rs1 << 15 | rd << 7 | 0x33; };
  std::vector<std::uint32_t> words(kPageSize / 4, kReturnWord);
  const auto put_half = [&](std::uint32_t at, std::uint16_t half) {
    std::memcpy(reinterpret_cast<std::uint8_t*>(words.data()) + at, &half, sizeof half);
  };
  const auto put = [&](std::uint32_t at, std::uint32_t word) {
    std::memcpy(reinterpret_cast<std::uint8_t*>(words.data()) + at, &word, sizeof word);
  };
  words[0x40 / 4] = kEbreakWord;
  words[0x80 / 4] = bne(10, 0, 0x102 - 0x80);
  words[0x84 / 4] = bne(11, 0, 0x200 - 0x84);
  words[0x88 / 4] = bne(12, 0, 0x104 - 0x88);
  words[0x8C / 4] = bne(13, 0, 0x1FE - 0x8C);
  // 0x102, 0x104 and 0x106 are lui instructions that overlap; 0x108 is c.addi x28, 1.
  put_half(0x102, 0x0FB7);
  put_half(0x104, 0x0F37);
  put_half(0x106, 0x0FB7);
  put_half(0x108, 0x0E05);
  constexpr std::array<unsigned, 12> kInMemory = {28, 29, 30, 31, 5, 6, 7, 18, 19, 20, 21, 22};
  constexpr std::uint32_t kAdditions = 40;  // a stretch is not shorter than 32
  for (std::uint32_t i = 0; i < kAdditions; ++i)
    put(0x10A + i * 4, add(kInMemory[i % 12], kInMemory[(i + 1) % 12], kInMemory[(i * 5 + 2) % 12]));
  put(0x10A + kAdditions * 4, kReturnWord);
  // At 0x1FE begin lui instructions to x31, at 0x200 others to x30, which share their halves; both ways return.
  for (std::uint32_t at = 0x1FE; at < 0x220; at += 2) put_half(at, at % 4 == 0 ? 0x0F37 : 0x0FB7);
  put_half(0x220, 0x8082);
  put_half(0x222, 0x8082);
  map_both(kCode, words);
  for (unsigned reg = 1; reg < 32; ++reg) set(reg, reg);
  for (const std::uint32_t entry : {0x108u, 0x80u}) {
    for (const unsigned reg : {10u, 12u, 13u}) set(reg, 0);
    set(11, 1);
    set(riscv::kRa, kCode + 0x40);
    set_pc(kCode + entry);
    run_both();
    EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
  }
  EXPECT_EQ(hart_.x[30], 0x0FB70000u);
}

// Whole pages: functions that nothing in the page calls are compiled with it, whatever data lies between them.
// A lui or auipc that overlaps the instruction before it is emitted behind the addi that completes its constant.
TEST_F(BaselineTest, MakesAConstantWhoseSecondHalfWasEmittedFirst) {
  constexpr std::uint32_t kLui = 0x37, kAuipc = 0x17;
  std::uint64_t code = kCode;
  for (const auto& [opcode, rd] : {std::pair{kLui, 20u}, {kLui, 12u}, {kAuipc, 20u}}) {
    std::vector<std::uint16_t> halves;
    const auto put = [&](std::uint32_t word) {
      halves.push_back(static_cast<std::uint16_t>(word));
      halves.push_back(static_cast<std::uint16_t>(word >> 16));
    };
    const std::uint32_t upper = 5u << 12 | rd << 7 | opcode;
    put(beq(10, 11, 8));  // not taken, but what follows the jump begins a block
    put(jal(0, 6));
    put((upper & 0xFFFF) << 16 |
        0x8067);  // jalr x0, whose upper half is the lower one of the constant's first instruction
    halves.push_back(static_cast<std::uint16_t>(upper >> 16));
    put(addi(rd, rd, 1));
    put(kEbreakWord);
    halves.push_back(0);
    std::vector<std::uint32_t> words(halves.size() / 2);
    std::memcpy(words.data(), halves.data(), words.size() * sizeof(std::uint32_t));
    map_both(code, words);
    for (HartState* const hart : {&hart_, &other_}) hart->grant_gas(100'000);
    set(rd, 0x1234567);
    set(10, 1);
    set(11, 2);
    set_pc(code);
    run_both();
    EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
    EXPECT_EQ(hart_.x[rd], opcode == kLui ? 0x5001 : code + 0xA + 0x5001);
    code += 2 * kPageSize;
  }
}

TEST_F(BaselineTest, CompilesWhatLooksLikeCodeOfAPageAtOnce) {
  BaselineOptions whole = options();
  whole.whole_pages = true;
  baseline_ = Baseline::create(*memory_, whole).value();
  std::mt19937 random(3);
  std::vector<std::uint32_t> words(kPageSize / 4);
  for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(random()) | 3;
  const std::array<std::uint32_t, 4> functions = {0, 64, 300, 1000};
  for (const std::uint32_t at : functions) {
    words[at - (at == 0 ? 0 : 1)] = 0;  // no instruction, so what is swept before does not run into the function
    words[at] = addi(10, 10, static_cast<std::int32_t>(at));
    words[at + 1] = kEbreakWord;
  }
  map_both(kCode, words);
  for (const std::uint32_t at : functions) {
    set_pc(kCode + at * 4);
    run_both();
    EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
  }
  EXPECT_EQ(baseline_->stats().compiled.units, 1u);
}

// Long stretches lend host registers out: a fault at any instruction of one finds every register, and so does what follows it.
TEST_F(BaselineTest, FaultsAnywhereInALongStretch) {
  map_data();
  for (std::uint32_t seed = 1; seed <= 24; ++seed) {
    std::mt19937 random(seed);
    const auto reg = [&] { return static_cast<unsigned>(random() % 26 + 6); };  // x1 … x5 keep their values
    std::vector<std::uint32_t> words(96);
    for (std::uint32_t& word : words) {
      switch (random() % 5) {
        case 0:
          word = addi(reg(), reg(), static_cast<std::int32_t>(random() % 4096) - 2048);
          break;
        case 1:
          word = reg() << 20 | reg() << 15 | 4 << 12 | reg() << 7 | 0x33;  // xor
          break;
        case 2:
          word = 1u << 25 | reg() << 20 | reg() << 15 | reg() << 7 | 0x33;  // mul
          break;
        case 3:
          word = ld(reg(), riscv::kSp, static_cast<std::int32_t>(random() % 256) * 8 - 1024);
          break;
        default:
          word = sd(reg(), riscv::kSp, static_cast<std::int32_t>(random() % 256) * 8 - 1024);
          break;
      }
    }
    words.push_back(kEbreakWord);
    const std::uint32_t at = random() % 96;
    // The last round runs to the end.
    for (const bool faults : {true, false}) {
      const std::uint32_t kept = words[at];
      if (faults) words[at] = random() % 2 == 0 ? ld(reg(), 0, 8) : sd(reg(), 0, 16);
      map_both(kCode, words);
      words[at] = kept;
      for (unsigned number = 1; number < 32; ++number) set(number, number * std::uint64_t{0x0123456789ABCDEF});
      set(riscv::kSp, kData + kPageSize);
      set_pc(kCode);
      run_both();
      EXPECT_EQ(hart_.trap.kind == TrapKind::kEbreak, !faults) << "seed " << seed;
      if (HasFailure()) FAIL() << "seed " << seed << ", instruction " << at;
    }
  }
}

TEST_F(BaselineTest, ClearsTheLowestBitOfJumpTargets) {
  const std::uint32_t words[] = {jalr(riscv::kRa, 10, 1),  // to an odd sum: 0 + 4 × 4
                                 addi(11, 11, 1), kEbreakWord, kEbreakWord,
                                 // a function that returns to an odd ra
                                 addi(12, 12, 1), addi(riscv::kRa, riscv::kRa, 1), kReturnWord};
  map_both(kCode, words);
  for (const std::uint64_t offset : {16u, 15u, 17u}) {
    set(10, kCode + offset);
    set_pc(kCode);
    run_both();
    EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
  }
  // Odd beyond what is mapped, beyond the window, and at its end.
  for (const std::uint64_t target :
       {std::uint64_t{3}, std::uint64_t{kData + 1}, ~std::uint64_t{0}, std::uint64_t{1} << 32 | 1,
        std::uint64_t{1} << 63 | kCode, std::uint64_t{0xFFFFFFFF}, riscv::kTrampolineAddress + 1,
        riscv::kTrampolineAddress}) {
    set(10, target);
    set_pc(kCode);
    run_both();
    set(riscv::kRa, target);
    set_pc(kCode + 6 * 4);
    run_both();
  }
}

TEST_F(BaselineTest, RunsTheFirstAndTheLastPage) {
  constexpr std::uint64_t kFirst = memory::kLowestAddress, kLast = memory::kHighestAddress - kPageSize;
  std::vector<std::uint32_t> page(kPageSize / 4, addi(10, 10, 1));
  page[0] = beq(0, 0, 8);
  page[8] = jal(0, -0x40);  // below the page
  page[16] = jal(riscv::kRa, -0x20000);  // below 0, of the first one
  page[24] = beq(0, 0, -0x100);
  page[32] = jal(riscv::kRa, 0x20000);  // above the window, of the last one
  page[40] = jal(0, 0x20000);
  page[48] = bne(0, 10, -0x1000);
  page[56] = kEbreakWord;
  for (const std::uint64_t base : {kFirst, kLast}) {
    map_both(base, page);
    for (std::uint32_t at = 0; at < kPageSize; at += 2) {
      set(10, at);
      set_pc(base + at);
      for (HartState* const hart : {&hart_, &other_}) hart->grant_gas(20'000);
      run_both();
      if (HasFailure()) FAIL() << "at " << std::hex << base + at;
    }
  }
}

// The host's stack does not grow with the guest's, however deep.
TEST_F(BaselineTest, RecursesOnABoundedStack) {
  constexpr std::uint64_t kLevels = 200'000, kStack = 0x1000000;
  map_data(kStack, kLevels * 16 / kPageSize * kPageSize + 2 * kPageSize);
  const std::uint32_t words[] = {jal(riscv::kRa, 8),
                                 kEbreakWord,
                                 addi(riscv::kSp, riscv::kSp, -16),
                                 sd(riscv::kRa, riscv::kSp, 8),
                                 beq(10, 0, 12),
                                 addi(10, 10, -1),
                                 jal(riscv::kRa, -16),
                                 ld(riscv::kRa, riscv::kSp, 8),
                                 addi(riscv::kSp, riscv::kSp, 16),
                                 addi(11, 11, 1),
                                 kReturnWord};
  map_both(kCode, words);
  set(10, kLevels);
  set(riscv::kSp, kStack + kLevels * 16 + 64);
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 512 << 10), 0);
  pthread_t thread;
  std::function<void()> body = [this] { run(); };
  const auto start = [](void* function) -> void* {
    (*static_cast<std::function<void()>*>(function))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, start, &body), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
  EXPECT_EQ(hart_.x[11], kLevels + 1);
}

TEST_F(BaselineTest, CallsEightMegabytesOfFunctionsInARow) {
  constexpr std::uint32_t kFunctions = 32'768, kSize = 256, kBase = 0x1000000;
  std::vector<std::uint32_t> code(kFunctions * kSize / 4, addi(10, 10, 1));
  for (std::uint32_t function = 1; function <= kFunctions; ++function) code[function * kSize / 4 - 1] = kReturnWord;
  map_both(kBase, code);
  const std::uint32_t words[] = {jalr(riscv::kRa, 20, 0), addi(20, 20, kSize), bne(20, 21, -8), kEbreakWord};
  map_both(kCode, words);
  for (int round = 0; round < 2; ++round) {
    set(20, kBase);
    set(21, kBase + kFunctions * kSize);
    set_pc(kCode);
    run_both();
    EXPECT_EQ(hart_.x[10], std::uint64_t{kFunctions} * (kSize / 4 - 1) * static_cast<unsigned>(round + 1));
  }
  EXPECT_LT(baseline_->stats().compiled.code_bytes, 8u * kFunctions * kSize);
}

TEST_F(BaselineTest, SeesCodeThatWasMappedOverProtectedOrUnmapped) {
  // Called from another page, so through a table slot, and in the same one, directly.
  const std::uint32_t caller[] = {jal(riscv::kRa, kPageSize), kEbreakWord};
  const auto callee = [&](std::int32_t value) { return std::array{addi(10, 0, value), kReturnWord}; };
  map_both(kCode, caller);
  map_both(kCode + kPageSize, callee(1));
  run_both();
  EXPECT_EQ(hart_.x[10], 1u);

  map_both(kCode + kPageSize, callee(2));
  set_pc(kCode);
  run_both();
  EXPECT_EQ(hart_.x[10], 2u);

  for (memory::AddressSpace* const memory : {memory_.get(), other_memory_.get()}) {
    ASSERT_EQ(memory->protect(kCode + kPageSize, kPageSize, kRead | kWrite), MapStatus::kOk);
    ASSERT_TRUE(memory->write_value(kCode + kPageSize, addi(10, 0, 3)));
  }
  set_pc(kCode);
  run_both();
  EXPECT_EQ(hart_.trap.kind, TrapKind::kFetchFault);
  for (memory::AddressSpace* const memory : {memory_.get(), other_memory_.get()})
    ASSERT_EQ(memory->protect(kCode + kPageSize, kPageSize, kRead | kExecute), MapStatus::kOk);
  set_pc(kCode);
  run_both();
  EXPECT_EQ(hart_.x[10], 3u);

  for (memory::AddressSpace* const memory : {memory_.get(), other_memory_.get()})
    ASSERT_EQ(memory->unmap(kCode + kPageSize, kPageSize), MapStatus::kOk);
  set_pc(kCode);
  run_both();
  EXPECT_EQ(hart_.trap.kind, TrapKind::kFetchFault);
  map_both(kCode + kPageSize, callee(4));
  set_pc(kCode);
  run_both();
  EXPECT_EQ(hart_.x[10], 4u);
}

TEST_F(BaselineTest, SeesTheSecondHalfOfAnInstructionChange) {
  std::vector<std::uint32_t> first(kPageSize / 4, addi(0, 0, 0));
  const std::uint32_t one = addi(10, 10, 5);
  std::memcpy(reinterpret_cast<std::uint8_t*>(first.data()) + kPageSize - 2, &one, 2);
  map_both(kCode, first);
  for (const std::int32_t value : {5, 7}) {
    const std::uint32_t next[] = {addi(10, 10, value) >> 16 | (kEbreakWord & 0xFFFF) << 16, kEbreakWord >> 16};
    map_both(kCode + kPageSize, next);
    set(10, 0);
    set_pc(kCode + kPageSize - 2);
    run_both();
    EXPECT_EQ(hart_.x[10], static_cast<std::uint64_t>(value));
  }
  for (memory::AddressSpace* const memory : {memory_.get(), other_memory_.get()})
    ASSERT_EQ(memory->unmap(kCode + kPageSize, kPageSize), MapStatus::kOk);
  set_pc(kCode + kPageSize - 2);
  run_both();
  EXPECT_EQ(hart_.trap.kind, TrapKind::kFetchFault);
}

TEST_F(BaselineTest, SeesWritesToWritableCodeAtTheNextBlock) {
  // The guest stores into its own next block.
  const std::uint32_t words[] = {store(2, 11, 12, 0), jal(0, 4), addi(10, 0, 1), kEbreakWord};
  map_both(kCode, words, kRead | kWrite | kExecute);
  set(12, kCode + 8);
  for (std::int32_t value = 1; value <= 50; ++value) {
    set(11, addi(10, 0, value));
    set_pc(kCode);
    run_both();
    ASSERT_EQ(hart_.x[10], static_cast<std::uint64_t>(value));
    for (memory::AddressSpace* const memory : {memory_.get(), other_memory_.get()})
      ASSERT_TRUE(memory->write_value(kCode + 8, addi(10, 0, value + 1000)));
    set_pc(kCode + 8);
    run_both();
    ASSERT_EQ(hart_.x[10], static_cast<std::uint64_t>(value) + 1000);
  }
}

// The code that runs is replaced, given back or unmapped while it is in the middle of calls.
TEST_F(BaselineTest, GoesOnInNewCodeBehindAnEcallThatChangedIt) {
  const auto words = [](std::int32_t value) {
    return std::array{jal(riscv::kRa, 12), addi(12, 12, value),     kEbreakWord, addi(20, riscv::kRa, 0), kEcallWord,
                      addi(10, 0, value),  addi(riscv::kRa, 20, 0), kReturnWord};
  };
  for (int round = 0; round < 4; ++round) {
    map_code(*memory_, kCode, words(1));
    on_ecall_ = [&](HartState& hart) -> std::uint64_t {
      hart.pc += 4;
      if (round == 1) map_code(*memory_, kCode, words(2));
      if (round == 2) baseline_->release_code();
      if (round == 3) EXPECT_EQ(memory_->unmap(kCode, kPageSize), MapStatus::kOk);
      return kLongSlice;
    };
    hart_.x[12] = hart_.x[10] = 0;
    hart_.pc = kCode;
    const std::uint64_t before = hart_.gas_used();
    run();
    if (round == 3) {
      EXPECT_EQ(hart_.trap.kind, TrapKind::kFetchFault);
      EXPECT_EQ(hart_.pc, kCode + 20);
      continue;
    }
    EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
    EXPECT_EQ(hart_.x[10], round == 1 ? 2u : 1u);
    EXPECT_EQ(hart_.x[12], round == 1 ? 2u : 1u);
    EXPECT_EQ(hart_.gas_used() - before, 4 * gas::weight(Op::kAddi) + gas::weight(Op::kJal) + gas::weight(Op::kJalr) +
                                             gas::weight(Op::kEcall) + gas::weight(Op::kEbreak));
  }
}

TEST_F(BaselineTest, FaultsInTheMiddleOfABlockWithExactState) {
  map_data();
  constexpr std::uint32_t kAtomic = 0x2F;
  const auto atomic = [](unsigned function, unsigned width, unsigned rd, unsigned rs2, unsigned rs1) {
    return function << 27 | rs2 << 20 | rs1 << 15 | width << 12 | rd << 7 | kAtomic;
  };
  std::vector<std::uint32_t> accesses;
  // Bases and values in host registers and not, and the base as destination.
  for (const auto& [value, base] : {std::pair{10u, 11u}, {20u, 21u}, {11u, 11u}, {21u, 21u}, {0u, 11u}}) {
    for (unsigned function = 0; function < 7; ++function) accesses.push_back(load(function, value, base, 4));
    for (unsigned function = 0; function < 4; ++function) accesses.push_back(store(function, value, base, 4));
    for (const unsigned function : {0u, 1u, 4u, 8u, 12u, 16u, 20u, 24u, 28u}) {
      accesses.push_back(atomic(function, 2, value, 10, base));
      accesses.push_back(atomic(function, 3, value, 20, base));
    }
    accesses.push_back(atomic(2, 2, value, 0, base));
    accesses.push_back(atomic(2, 3, value, 0, base));
    accesses.push_back(atomic(3, 3, value, 10, base));
    for (const unsigned function : {2u, 3u}) {
      accesses.push_back(immediate_form(0x07, function, value, base, 4));
      accesses.push_back(store(function, value, base, 4, 0x27));
    }
  }
  for (const std::uint32_t access : accesses) {
    const std::uint32_t words[] = {addi(12, 12, 1), addi(22, 22, 1), 0x02B58553 /* fadd.d fa0, fa1, fa1 */,
                                   addi(13, 22, 7), access,          addi(12, 12, 1),
                                   addi(22, 22, 1), kEbreakWord};
    map_both(kCode, words);
    for (const std::uint64_t address :
         {std::uint64_t{kData}, std::uint64_t{kData} + 2 * kPageSize - 4, std::uint64_t{kData} + 2 * kPageSize - 6,
          std::uint64_t{kData} + 2 * kPageSize - 8, std::uint64_t{kData} - 8, std::uint64_t{kCode},
          ~std::uint64_t{0} - 4, std::uint64_t{1} << 32 | kData, std::uint64_t{0xFFFFFFFC}}) {
      for (unsigned reg = 1; reg < 32; ++reg) set(reg, reg * 3);
      for (HartState* const hart : {&hart_, &other_}) hart->f.fill(0x3FF8000000000000);
      set(11, address);
      set(21, address);
      set_pc(kCode);
      run_both();
      if (HasFailure()) FAIL() << std::hex << "instruction " << access << " address " << address;
    }
  }
}

TEST_F(BaselineTest, IsInterruptedInALoopOfOneBlock) {
  const std::uint32_t words[] = {jal(0, 0)};
  map_code(*memory_, kCode, words);
  hart_.grant_gas(std::uint64_t{1} << 60);
  std::jthread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    hart_.interrupt.store(1);
  });
  run(100'000);
  EXPECT_EQ(hart_.trap.kind, TrapKind::kInterrupted);
  EXPECT_EQ(hart_.pc, kCode);
  EXPECT_GT(hart_.gas_used(), 0u);
}

TEST_F(BaselineTest, EndsAtEverySliceAndWithEveryAmountOfGas) {
  const std::uint32_t words[] = {addi(10, 10, 1), bne(10, 11, -4), addi(12, 12, 1), kEbreakWord};
  map_both(kCode, words);
  for (std::uint64_t gas = 0; gas < 200; ++gas) {
    for (HartState* const hart : {&hart_, &other_}) hart->grant_gas(gas);
    set(10, 0);
    set(11, 20);
    set_pc(kCode);
    run(gas::dearest_block());
    do {
      interpreter_->run(other_, interp::kLongestSlice);
    } while (other_.trap.kind == TrapKind::kNone);
    expect_agreement();
    if (HasFailure()) FAIL() << "gas " << gas;
  }
}

// Compiled code counts in 32 bits.
TEST_F(BaselineTest, CountsMoreGasThanItsRegisterHolds) {
  constexpr std::uint32_t kFenceI = 0x0000100F;  // 200 gas
  constexpr std::uint64_t kAnIteration = 4 * 200 + 1 + 2, kIterations = 6'000'000;
  const std::uint32_t words[] = {kFenceI, kFenceI, kFenceI, kFenceI, addi(10, 10, -1), bne(10, 0, -20), kEbreakWord};
  map_both(kCode, words);
  static_assert(kAnIteration * kIterations > std::uint64_t{1} << 32);
  for (const std::uint64_t gas : {kAnIteration * kIterations + 100, kAnIteration * kIterations - 100}) {
    for (HartState* const hart : {&hart_, &other_}) hart->grant_gas(gas);
    set(10, kIterations);
    set_pc(kCode);
    run_both(std::uint64_t{1} << 40);
    EXPECT_EQ(hart_.trap.kind, gas > kAnIteration * kIterations ? TrapKind::kEbreak : TrapKind::kOutOfGas);
    EXPECT_GT(hart_.gas_used(), std::uint64_t{1} << 32);
  }
}

TEST_F(BaselineTest, LeavesColdCodeToTheCaller) {
  const std::uint32_t words[] = {addi(10, 10, 1), kEbreakWord};
  map_code(*memory_, kCode, words);
  std::uint64_t slice = 1000;
  EXPECT_EQ(baseline_->run(hart_, &slice, Baseline::Cold::kReturn), Baseline::End::kCold);
  EXPECT_EQ(slice, 1000u);
  EXPECT_EQ(hart_.pc, kCode);
  EXPECT_EQ(hart_.gas_used(), 0u);
  EXPECT_FALSE(baseline_->has_code(kCode));
  EXPECT_TRUE(baseline_->compile(kCode));
  EXPECT_TRUE(baseline_->has_code(kCode));
  EXPECT_FALSE(baseline_->compile(kData));
  EXPECT_EQ(baseline_->run(hart_, &slice, Baseline::Cold::kReturn), Baseline::End::kTrap);
  EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
}

TEST_F(BaselineTest, ChoosesOtherRegistersWithoutChangingResults) {
  const std::uint32_t words[] = {addi(20, 20, 1), addi(21, 21, 2),  0x02628253 /* fadd.d f4, f5, f6 */,
                                 addi(22, 22, 3), addi(23, 23, -1), bne(23, 0, -20),
                                 kEbreakWord};
  map_both(kCode, words);
  set(23, 300'000);
  for (HartState* const hart : {&hart_, &other_}) hart->f.fill(0x3FF8000000000000);
  run_both(50'000);
  EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
  EXPECT_GT(baseline_->stats().remaps, 0u);
}

// The directory of regions has a byte a page; more islands of code than that take turns.
TEST_F(BaselineTest, RunsMoreIslandsOfCodeThanItHasRegions) {
  constexpr std::uint32_t kIslands = 600, kDistance = 2 * kPageSize, kBase = 0x1000000;
  const std::uint32_t callee[] = {addi(10, 10, 1), addi(riscv::kT0, riscv::kRa, 0), kReturnWord};
  const std::uint32_t words[] = {lui(22, 2), jalr(riscv::kRa, 20, 0), 0x016A0A33 /* add s4, s4, s6 */, bne(20, 21, -8),
                                 kEbreakWord};
  for (std::uint32_t island = 0; island < kIslands; ++island) map_both(kBase + island * kDistance, callee);
  map_both(kCode, words);
  for (int round = 0; round < 3; ++round) {
    set(20, kBase);
    set(21, kBase + kIslands * kDistance);
    set_pc(kCode);
    run_both(50'000);
    EXPECT_EQ(hart_.x[10], std::uint64_t{kIslands} * static_cast<unsigned>(round + 1));
  }
}

// A change of the rounding mode to one that the host has not makes the rest of the block other code, whatever is left of it.
TEST_F(BaselineTest, ChangesTheRoundingModeInTheMiddleOfABlock) {
  for (const memory::Permissions permissions : {kRead | kExecute, kRead | kWrite | kExecute}) {
    for (const std::uint32_t mode : {4u, 0u, 5u, 1u}) {
      const std::uint32_t words[] = {addi(10, 10, 1), 0x00205073 | mode << 15 /* csrrwi zero, frm, mode */,
                                     addi(10, 10, 2), 0x02628253 /* fadd.d f4, f5, f6 */,
                                     jal(0, 8),       0,
                                     kEbreakWord};
      map_both(kCode, words, static_cast<memory::Permissions>(permissions));
      for (HartState* const hart : {&hart_, &other_}) hart->f.fill(0x3FF5555555555555);
      set_pc(kCode);
      run_both();
    }
  }
}

// What is given back of a block's price is what was taken, where the block ends in an encoding that is no instruction, too.
TEST_F(BaselineTest, PricesABlockThatEndsInAnIllegalEncoding) {
  // csrrwi zero, frm, 4
  const std::uint32_t words[] = {addi(10, 10, 1), 0x00225073, addi(10, 10, 1), 0, addi(10, 10, 1), kEbreakWord};
  map_both(kCode, words);
  run_both();
  for (HartState* const hart : {&hart_, &other_}) hart->frm = 0;
  // Less than the block costs: nothing is paid.
  for (std::uint64_t gas = 0; gas < 8; ++gas) {
    for (HartState* const hart : {&hart_, &other_}) hart->grant_gas(gas);
    set_pc(kCode);
    run_both();
    for (HartState* const hart : {&hart_, &other_}) hart->frm = 0;
  }
}

// The block that runs changes behind the point where its rest becomes other code: what was paid for is what runs.
TEST_F(BaselineTest, PaysForABlockThatChangesAndThenItsRoundingMode) {
  std::vector<std::uint32_t> words(102, addi(10, 10, 1));
  words[0] = store(2, 11, 12, 0);
  words[1] = 0x00225073;  // csrrwi zero, frm, 4
  words[2] = jal(0, 396);
  words[101] = kEbreakWord;
  map_both(kCode, words, kRead | kWrite | kExecute);
  set(11, addi(0, 0, 0));
  set(12, kCode + 8);
  set_pc(kCode);
  run_both();
}

// Executable mappings far from each other have an entry table each, of twice their size: none is kept for ever.
TEST_F(BaselineTest, DropsTheOldestRegionsPastItsShareOfTables) {
  constexpr std::uint32_t kFirst = 0x1000'0000, kDistance = 0x200'0000, kLength = 0x100'0000;
  constexpr std::uint32_t kMappings = 24;
  constexpr std::uint64_t kShare = std::uint64_t{128} << 20;
  const auto middle = [](std::uint32_t number) { return kFirst + number * kDistance + kLength / 2; };
  for (std::uint32_t number = 0; number < kMappings; ++number) {
    const std::uint32_t words[] = {addi(10, 0, static_cast<std::int32_t>(number)), kEbreakWord};
    ASSERT_EQ(memory_->map_anonymous(kFirst + number * kDistance, kLength, kRead | kWrite), MapStatus::kOk);
    ASSERT_EQ(memory_->write(middle(number), words, sizeof words), sizeof words);
    ASSERT_EQ(memory_->protect(kFirst + number * kDistance, kLength, kRead | kExecute), MapStatus::kOk);
  }
  const auto run_all = [&] {
    for (std::uint32_t number = 0; number < kMappings; ++number) {
      hart_.pc = middle(number);
      run();
      ASSERT_EQ(hart_.trap.kind, TrapKind::kEbreak);
      ASSERT_EQ(hart_.x[10], number);
      ASSERT_LE(baseline_->stats().table_bytes, kShare);
      ASSERT_TRUE(baseline_->has_code(middle(number)));
    }
  };
  run_all();
  const BaselineStats stats = baseline_->stats();
  EXPECT_GT(stats.table_bytes, kShare / 2);
  EXPECT_EQ(stats.regions_dropped, kMappings - kShare / (2 * kLength));
  EXPECT_EQ(stats.compiled.units, kMappings);
  EXPECT_FALSE(baseline_->has_code(middle(0)));
  // What was dropped is compiled again.
  run_all();
  // Nobody else notices.
  auto memory = memory::AddressSpace::create(windows_, memory::kWindowSize).value();
  auto other = Baseline::create(*memory, {}).value();
  map_code(*memory, kCode, std::vector<std::uint32_t>{kEbreakWord});
  EXPECT_TRUE(other->compile(kCode));
}

// Blocks of writable code are compiled anew with every change, and what was is given back only with its region.
TEST_F(BaselineTest, ReplacesARegionWhoseBudgetIsUsedUp) {
  std::vector<std::uint32_t> words(kPageSize / 4, addi(20, 20, 1));
  words.back() = kEbreakWord;
  map_code(*memory_, kCode, words, kRead | kWrite | kExecute);
  std::int32_t round = 0;
  for (; round < 20'000 && baseline_->stats().regions_replaced == 0; ++round) {
    ASSERT_TRUE(memory_->write_value(kCode, addi(10, 0, round % 2000)));
    hart_.x[20] = 0;
    hart_.pc = kCode;
    run();
    ASSERT_EQ(hart_.x[10], static_cast<std::uint64_t>(round % 2000));
    ASSERT_EQ(hart_.x[20], words.size() - 2);
  }
  EXPECT_EQ(baseline_->stats().regions_replaced, 1u);
  EXPECT_LT(ExecutableMemory::process().value()->code_in_use(), std::size_t{2} * CodeRegion::kCodeLimit);
}

TEST(BaselineMemory, IsGivenBackWithTheInstances) {
  if (!Baseline::is_supported()) GTEST_SKIP() << "this processor lacks x86-64-v3";
  ExecutableMemory& executable = *ExecutableMemory::process().value();
  const std::size_t before = executable.code_in_use();
  for (int round = 0; round < 3; ++round) {
    auto windows = std::make_shared<memory::WindowPool>();
    std::vector<std::unique_ptr<memory::AddressSpace>> memories;
    std::vector<std::unique_ptr<Baseline>> instances;
    SharedCode shared;
    for (int index = 0; index < 4; ++index) {
      memories.push_back(memory::AddressSpace::create(windows, memory::kWindowSize).value());
      instances.push_back(Baseline::create(*memories.back(), {.time = no_time}).value());
      const std::uint32_t words[] = {addi(10, 10, 1), kEbreakWord};
      map_code(*memories.back(), kCode, words);
      map_code(*memories.back(), kCode + 16 * kPageSize, words);
      instances.back()->adopt(shared, kCode, kPageSize);
      HartState hart;
      for (const std::uint64_t pc : {std::uint64_t{kCode}, kCode + 16 * kPageSize}) {
        hart.grant_gas(1000);
        hart.pc = pc;
        std::uint64_t slice = 1000;
        EXPECT_EQ(instances.back()->run(hart, &slice), Baseline::End::kTrap);
        EXPECT_EQ(hart.trap.kind, TrapKind::kEbreak);
      }
    }
    EXPECT_GT(executable.code_in_use(), before);
  }
  EXPECT_EQ(executable.code_in_use(), before);
}

// What is given back is kept up to a bound, is no code any more, and tables come back as zeros.
TEST(BaselineMemory, KeepsALittleOfWhatIsGivenBack) {
  if (!Baseline::is_supported()) GTEST_SKIP() << "this processor lacks x86-64-v3";
  ExecutableMemory& executable = *ExecutableMemory::process().value();
  std::vector<CodeBlock> blocks;
  std::vector<TableBlock> tables;
  for (int index = 0; index < 24; ++index) {
    blocks.push_back(executable.allocate_code(std::size_t{1} << 20).value());
    std::memset(blocks.back().write, 0x90, blocks.back().size);
    tables.push_back(executable.allocate_table(std::size_t{1} << 20).value());
    for (std::size_t offset = 0; offset < tables.back().size; offset += ExecutableMemory::kTablePart) {
      ExecutableMemory::commit(tables.back(), offset);
      std::memset(static_cast<std::uint8_t*>(tables.back().memory) + offset, 0xFF, ExecutableMemory::kTablePart);
    }
  }
  for (const CodeBlock& block : blocks) executable.free_code(block);
  for (TableBlock& table : tables) executable.free_table(std::move(table));
  EXPECT_LE(executable.kept(), 2 * ExecutableMemory::kMostKept);
  EXPECT_GT(executable.kept(), ExecutableMemory::kMostKept);
  for (int index = 0; index < 24; ++index) {
    blocks[index] = executable.allocate_code(std::size_t{1} << 20).value();
    for (std::size_t offset = 0; offset < blocks[index].size; offset += 1021)
      ASSERT_NE(blocks[index].execute[offset], 0x90);
    tables[index] = executable.allocate_table(std::size_t{1} << 20).value();
    const auto* const bytes = static_cast<const std::uint8_t*>(tables[index].memory);
    ASSERT_TRUE(std::all_of(bytes, bytes + tables[index].size, [](std::uint8_t byte) { return byte == 0; }));
  }
  for (const CodeBlock& block : blocks) executable.free_code(block);
  for (TableBlock& table : tables) executable.free_table(std::move(table));
}

TEST(BaselineMemory, IsNeverWritableAndExecutable) {
  ExecutableMemory& executable = *ExecutableMemory::process().value();
  const CodeBlock block = executable.allocate_code(4096).value();
  std::ifstream maps("/proc/self/maps");
  const auto code_begin = reinterpret_cast<std::uintptr_t>(executable.code_begin());
  const auto code_end = reinterpret_cast<std::uintptr_t>(executable.code_end());
  const auto written = reinterpret_cast<std::uintptr_t>(block.write);
  std::size_t executable_bytes = 0;
  bool found_write = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char permissions[5] = {};
    ASSERT_EQ(std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, permissions), 3) << line;
    EXPECT_FALSE(permissions[1] == 'w' && permissions[2] == 'x') << line;
    if (begin < code_end && end > code_begin) {
      EXPECT_EQ(std::string_view(permissions).substr(0, 3), "r-x") << line;
      executable_bytes += std::min(end, code_end) - std::max(begin, code_begin);
    }
    if (begin <= written && written < end) {
      EXPECT_EQ(std::string_view(permissions).substr(0, 3), "rw-") << line;
      found_write = true;
    }
  }
  EXPECT_EQ(executable_bytes, ExecutableMemory::kCodeCapacity);
  EXPECT_TRUE(found_write);
  block.write[0] = 0xC3;
  EXPECT_EQ(block.execute[0], 0xC3);
  executable.free_code(block);
}

}  // namespace
}  // namespace caisson::baseline
