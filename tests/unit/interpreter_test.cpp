// What the spec cases cannot say of the interpreter: that every instruction has handlers for every choice of pins, and how the
// decode cache behaves when code changes, moves and outgrows it.
#include "interp/interpreter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

#include "gas/gas_schedule.h"
#include "interp/lowering.h"
#include "memory/window_pool.h"
#include "support/guest_words.h"

namespace caisson::interp {
namespace {

using memory::kExecute;
using memory::kPageSize;
using memory::kRead;
using memory::kWrite;
using riscv::Op;
using riscv::TrapKind;
using tests::addi;
using tests::bne;
using tests::jal;
using tests::kEbreakWord;
using tests::no_time;

constexpr std::uint32_t kCode = 0x100000;

class InterpreterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    memory_ = memory::AddressSpace::create(windows_, memory::kWindowSize).value();
    interpreter_ = Interpreter::create(*memory_, CacheMode::kOn, no_time, nullptr).value();
    hart_.grant_gas(std::uint64_t{1} << 40);
    hart_.pc = kCode;
  }

  void map_code(std::uint64_t address, std::span<const std::uint32_t> words,
                memory::Permissions permissions = kRead | kExecute) {
    tests::map_code(*memory_, address, words, permissions);
  }

  void run(std::uint64_t slice = kLongestSlice) {
    do {
      interpreter_->run(hart_, slice);
    } while (hart_.trap.kind == TrapKind::kNone);
  }

  std::shared_ptr<memory::WindowPool> windows_ = std::make_shared<memory::WindowPool>();
  std::unique_ptr<memory::AddressSpace> memory_;
  std::unique_ptr<Interpreter> interpreter_;
  riscv::HartState hart_;
};

// Timers are looked at where slices end, so that must not depend on what the interpreter has yet to learn about the guest.
TEST_F(InterpreterTest, EndsASliceWhereTheNextBlockDoesNotFit) {
  const std::uint32_t words[] = {addi(10, 10, 1), jal(0, -4)};
  map_code(kCode, words);
  constexpr std::uint64_t kSlice = 1'000'000;
  interpreter_->run(hart_, 1);  // lengthened to one block of any price
  const std::uint64_t iterations_before = hart_.x[10], used_before = hart_.gas_used();
  const std::uint64_t cost = used_before / iterations_before;
  for (int slice = 1; slice < 20; ++slice) {
    const std::uint64_t used = hart_.gas_used();
    interpreter_->run(hart_, kSlice);
    ASSERT_EQ(hart_.trap.kind, TrapKind::kNone);
    ASSERT_EQ(hart_.gas_used() - used, kSlice / cost * cost) << "slice " << slice;
  }
}

TEST(Lowering, GivesEveryInstructionAHandlerUnderAnyChoiceOfPins) {
  std::mt19937 random(1);
  for (int choice = 0; choice < 64; ++choice) {
    std::array<std::uint8_t, 31> registers;
    for (unsigned index = 0; index < registers.size(); ++index) registers[index] = static_cast<std::uint8_t>(index + 1);
    std::shuffle(registers.begin(), registers.end(), random);
    Pins pins;
    std::copy_n(registers.begin(), kPinCount, pins.integers.begin());
    std::copy_n(registers.begin() + kPinCount, kFloatPinCount, pins.floats.begin());
    const ClassMap classes(pins);
    EXPECT_EQ(classes[0], kMemoryClass);
    EXPECT_EQ(classes[riscv::kDiscardSlot], kMemoryClass);
    for (std::size_t number = 1; number < riscv::kBaseOpCount; ++number) {
      riscv::Decoded decoded;
      decoded.op = decoded.row = static_cast<Op>(number);
      decoded.rd = static_cast<std::uint8_t>(random() % 32);
      decoded.rs1 = static_cast<std::uint8_t>(random() % 32);
      decoded.rs2 = static_cast<std::uint8_t>(random() % 32);
      decoded.rm = static_cast<std::uint8_t>(random() % 5);
      std::array<Record, kMostRecordsPerInstruction> records;
      Lowered lowered{records.data()};
      lower(decoded, kCode, classes, lowered);
      ASSERT_GE(lowered.count, 1u);
      for (unsigned part = 0; part < lowered.count; ++part) {
        EXPECT_NE(lowered.records[part].handler, nullptr) << riscv::info(decoded.op).mnemonic;
      }
    }
  }
}

TEST_F(InterpreterTest, ForgetsCodeThatIsMappedOver) {
  const std::uint32_t first[] = {addi(10, 0, 1), kEbreakWord}, second[] = {addi(10, 0, 2), kEbreakWord};
  map_code(kCode, first);
  run();
  EXPECT_EQ(hart_.x[10], 1u);
  map_code(kCode, second);
  hart_.pc = kCode;
  run();
  EXPECT_EQ(hart_.x[10], 2u);
}

TEST_F(InterpreterTest, FetchesAgainWhenThePageOfASecondHalfAppearsAndChanges) {
  // The first half of a 4-byte instruction ends one page, the second half begins the next.
  const std::uint32_t last = kCode + kPageSize - 2;
  const std::uint32_t word = addi(10, 10, 5);
  std::uint32_t page[kPageSize / 4];
  std::fill(std::begin(page), std::end(page), addi(0, 0, 0));
  std::memcpy(reinterpret_cast<std::uint8_t*>(page) + kPageSize - 2, &word, 2);
  map_code(kCode, page);
  hart_.pc = last;
  const std::uint64_t before = hart_.gas;
  run();
  EXPECT_EQ(hart_.trap.kind, TrapKind::kFetchFault);
  EXPECT_EQ(hart_.trap.address, kCode + kPageSize);
  EXPECT_EQ(hart_.gas, before);

  const std::uint32_t next[] = {word >> 16 | (kEbreakWord & 0xFFFF) << 16, kEbreakWord >> 16};
  map_code(kCode + kPageSize, next);
  run();
  EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
  EXPECT_EQ(hart_.x[10], 5u);

  const std::uint32_t changed = addi(10, 10, 7);
  const std::uint32_t next_changed[] = {changed >> 16 | (kEbreakWord & 0xFFFF) << 16, kEbreakWord >> 16};
  map_code(kCode + kPageSize, next_changed);
  hart_.pc = last;
  run();
  EXPECT_EQ(hart_.x[10], 12u);
}

TEST_F(InterpreterTest, StopsExecutingAPageThatLosesX) {
  const std::uint32_t words[] = {addi(10, 10, 1), kEbreakWord};
  map_code(kCode, words);
  run();
  ASSERT_EQ(memory_->protect(kCode, kPageSize, kRead), memory::MapStatus::kOk);
  hart_.pc = kCode;
  run();
  EXPECT_EQ(hart_.trap.kind, TrapKind::kFetchFault);
  EXPECT_EQ(hart_.x[10], 1u);
}

TEST_F(InterpreterTest, SeesEveryChangeOfAMixedPageAtTheNextBlock) {
  const std::uint32_t words[] = {addi(10, 10, 1), kEbreakWord};
  map_code(kCode, words, kRead | kWrite | kExecute);
  for (std::int32_t step = 1; step <= 100; ++step) {
    ASSERT_TRUE(memory_->write_value(kCode, addi(10, 0, step)));
    hart_.pc = kCode;
    run();
    ASSERT_EQ(hart_.x[10], static_cast<std::uint64_t>(step));
  }
}

// More code than the cache's budget: chains of one instruction and a jump in each KiB, twice around.
TEST_F(InterpreterTest, StartsAnewWhenItsBudgetIsUsedUp) {
  constexpr std::uint32_t kPieces = 20'000, kDistance = 1024;
  std::vector<std::uint32_t> words(kPieces * kDistance / 4, 0);
  for (std::uint32_t piece = 0; piece < kPieces; ++piece) {
    words[piece * kDistance / 4] = addi(10, 10, 1);
    words[piece * kDistance / 4 + 1] = piece + 1 < kPieces ? jal(0, kDistance - 4) : kEbreakWord;
  }
  map_code(kCode, words);
  for (int round = 1; round <= 2; ++round) {
    hart_.pc = kCode;
    run();
    EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
    EXPECT_EQ(hart_.x[10], std::uint64_t{kPieces} * static_cast<unsigned>(round));
  }
  EXPECT_GT(interpreter_->stats().flushes, 0u);
  const std::uint64_t per_round =
      kPieces * (gas::weight(Op::kAddi) + gas::weight(Op::kJal)) - gas::weight(Op::kJal) + gas::weight(Op::kEbreak);
  EXPECT_EQ(hart_.gas_used(), 2 * per_round);
}

// A loop on registers that are not pinned at first: the choice changes, state and gas do not care.
TEST_F(InterpreterTest, PinsWhatRunsWithoutChangingResults) {
  constexpr std::uint32_t kRounds = 1'000'000;
  const std::uint32_t words[] = {addi(20, 20, 1),  addi(21, 21, 2), addi(22, 22, 3),
                                 addi(23, 23, -1), bne(23, 0, -16), kEbreakWord};
  map_code(kCode, words);
  hart_.x[23] = kRounds;
  run(10'000);
  EXPECT_EQ(hart_.trap.kind, TrapKind::kEbreak);
  EXPECT_EQ(hart_.x[20], kRounds);
  EXPECT_EQ(hart_.x[21], 2 * kRounds);
  EXPECT_EQ(hart_.x[22], 3 * kRounds);
  EXPECT_EQ(hart_.x[23], 0u);
  EXPECT_EQ(hart_.gas_used(),
            std::uint64_t{kRounds} * (4 * gas::weight(Op::kAddi) + gas::weight(Op::kBne)) + gas::weight(Op::kEbreak));
  EXPECT_GT(interpreter_->stats().repins, 0u);
}

// A hint between additions is no addition: x0 stays 0.
TEST_F(InterpreterTest, FusesNoPairThatWouldWriteX0) {
  const std::uint32_t words[] = {addi(10, 10, 1), addi(0, 0, 5), addi(11, 0, 0), kEbreakWord};
  map_code(kCode, words);
  run();
  EXPECT_EQ(hart_.x[0], 0u);
  EXPECT_EQ(hart_.x[10], 1u);
  EXPECT_EQ(hart_.x[11], 0u);
}

TEST_F(InterpreterTest, StopsAnEndlessLoopWhenInterrupted) {
  const std::uint32_t words[] = {jal(0, 0)};
  map_code(kCode, words);
  std::thread other([&] { hart_.interrupt.store(1); });
  run(50'000);
  other.join();
  EXPECT_EQ(hart_.trap.kind, TrapKind::kInterrupted);
  EXPECT_EQ(hart_.pc, kCode);
}

TEST_F(InterpreterTest, ReturnsToTheTrampolineFree) {
  const std::uint32_t words[] = {0x00008067};  // jalr x0, 0(ra)
  map_code(kCode, words);
  hart_.x[riscv::kRa] = riscv::kTrampolineAddress;
  run();
  EXPECT_EQ(hart_.trap.kind, TrapKind::kTrampoline);
  EXPECT_EQ(hart_.gas_used(), gas::weight(Op::kJalr));
}

TEST_F(InterpreterTest, ReportsAddressesOutsideTheWindowAsFetchFaults) {
  const std::uint32_t words[] = {0x00050067};  // jalr x0, 0(a0)
  map_code(kCode, words);
  for (const std::uint64_t target :
       {std::uint64_t{0}, std::uint64_t{1} << 32, std::uint64_t{kCode} + (std::uint64_t{1} << 32), ~std::uint64_t{1}}) {
    hart_.pc = kCode;
    hart_.x[10] = target;
    run();
    EXPECT_EQ(hart_.trap.kind, TrapKind::kFetchFault);
    EXPECT_EQ(hart_.trap.address, target);
    EXPECT_EQ(hart_.pc, target);
  }
}

}  // namespace
}  // namespace caisson::interp
