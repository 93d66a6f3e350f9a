// Instances on several threads that share code: they compile and run it at the same time, leave it by changing their pages, and go in any
// order. Meant for the thread sanitizer, and right without it.
#include "baseline/shared_code.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "support/baseline_names.h"

namespace caisson::baseline {
namespace {

constexpr std::uint32_t kCode = 0x100000, kPages = 16;
constexpr std::uint32_t kFunctionsPerPage = 32, kFunctionSize = kPageSize / kFunctionsPerPage;
// Page 0 calls the functions of the others, one after the other, each of which adds one to a0 and to t3.
std::vector<std::uint32_t> program() {
  std::vector<std::uint32_t> words(kPages * kPageSize / 4, 0);
  words[0] = jalr(1, 20, 0);
  words[1] = addi(20, 20, kFunctionSize);
  words[2] = bne(20, 21, -8);
  words[3] = kEbreakWord;
  for (std::uint32_t at = kPageSize; at < kPages * kPageSize; at += kFunctionSize) {
    words[at / 4] = addi(10, 10, 1);
    words[at / 4 + 1] = addi(28, 28, 1);
    words[at / 4 + 2] = kReturnWord;
  }
  return words;
}
constexpr std::uint64_t kCalls = std::uint64_t{kPages - 1} * kFunctionsPerPage;

struct Guest {
  explicit Guest(const std::shared_ptr<memory::WindowPool>& windows)
      : memory(memory::AddressSpace::create(windows, memory::kWindowSize).value()) {
    static const std::vector<std::uint32_t> kProgram = program();
    map_code(*memory, kCode, kProgram);
    baseline = Baseline::create(*memory, {}).value();
  }

  // Calls all functions, from the one with the number `first` on. The result is what they added.
  std::uint64_t run(std::uint64_t first = 0, std::uint64_t slice_size = std::uint64_t{1} << 40) {
    HartState hart;
    hart.grant_gas(std::uint64_t{1} << 40);
    hart.pc = kCode;
    hart.x[20] = kCode + kPageSize + first * kFunctionSize;
    hart.x[21] = kCode + kPages * kPageSize;
    do {
      std::uint64_t slice = slice_size;
      if (baseline->run(hart, &slice) == Baseline::End::kNoMemory) return 0;
    } while (hart.trap.kind == TrapKind::kNone);
    EXPECT_EQ(hart.trap.kind, TrapKind::kEbreak);
    EXPECT_EQ(hart.x[10], hart.x[28]);
    return hart.x[10];
  }

  // The first function adds `value` from now on.
  void change(std::int32_t value) {
    EXPECT_EQ(memory->protect(kCode + kPageSize, kPageSize, kRead | kWrite), MapStatus::kOk);
    for (const auto& [place, reg] : {std::pair{0u, 10u}, {4u, 28u}})
      EXPECT_TRUE(memory->write_value(kCode + kPageSize + place, addi(reg, reg, value)));
    EXPECT_EQ(memory->protect(kCode + kPageSize, kPageSize, kRead | kExecute), MapStatus::kOk);
  }

  std::unique_ptr<memory::AddressSpace> memory;
  std::unique_ptr<Baseline> baseline;
};

class SharedCodeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Baseline::is_supported()) GTEST_SKIP() << "this processor lacks x86-64-v3";
  }
  std::shared_ptr<memory::WindowPool> windows_ = std::make_shared<memory::WindowPool>();
};

TEST_F(SharedCodeTest, IsCompiledOnceForAll) {
  SharedCode shared;
  Guest first(windows_), second(windows_);
  first.baseline->adopt(shared, kCode, kPages * kPageSize);
  second.baseline->adopt(shared, kCode, kPages * kPageSize);
  EXPECT_EQ(first.run(), kCalls);
  const std::uint64_t units = first.baseline->stats().compiled.units;
  EXPECT_TRUE(second.baseline->has_code(kCode));
  EXPECT_EQ(second.run(), kCalls);
  EXPECT_EQ(second.baseline->stats().compiled.units, units);
  // Who changes its pages leaves; the other does not notice.
  first.change(100);
  EXPECT_EQ(first.run(), kCalls + 99);
  EXPECT_EQ(first.baseline->stats().left_shared_code, 1u);
  EXPECT_EQ(second.run(), kCalls);
  EXPECT_EQ(second.baseline->stats().left_shared_code, 0u);
}

TEST_F(SharedCodeTest, ServesThreadsThatComeChangeAndGo) {
  constexpr unsigned kThreads = 6, kRounds = 8;
  ExecutableMemory& executable = *ExecutableMemory::process().value();
  const std::size_t before = executable.code_in_use();
  for (int repetition = 0; repetition < 3; ++repetition) {
    auto shared = std::make_shared<SharedCode>();
    std::barrier start(kThreads);
    std::vector<std::jthread> threads;
    for (unsigned index = 0; index < kThreads; ++index) {
      threads.emplace_back([&, index, shared] {
        auto guest = std::make_unique<Guest>(windows_);
        guest->baseline->adopt(*shared, kCode, kPages * kPageSize);
        start.arrive_and_wait();
        bool is_changed = false;
        for (unsigned round = 0; round < kRounds; ++round) {
          // From different functions on, so that threads compile different ones of a page at the same time.
          const std::uint64_t first = 1 + (index * 37 + round * 11) % (kCalls - 1);
          EXPECT_EQ(guest->run(first), kCalls - first);
          EXPECT_EQ(guest->run(0, 1000), kCalls + (is_changed ? 6 : 0));
          if (index % 3 == 1 && round == index) {
            guest->change(7);
            is_changed = true;
          }
          // Learns other registers, and is made anew.
          if (index % 3 == 2 && round % 3 == 2) {
            guest = std::make_unique<Guest>(windows_);
            guest->baseline->adopt(*shared, kCode, kPages * kPageSize);
          }
        }
        EXPECT_EQ(guest->baseline->stats().left_shared_code, is_changed ? 1u : 0u);
      });
    }
    shared.reset();  // the thread that ends last is the last owner
  }
  EXPECT_EQ(executable.code_in_use(), before);
}

TEST_F(SharedCodeTest, ForgetsCodeOfMapsThatNobodyNeeds) {
  SharedCode shared;
  constexpr std::uint32_t kSize = kPages * kPageSize;
  std::vector<std::shared_ptr<CodeRegion>> regions;
  for (std::uint8_t other = 16; other < 22; ++other) {
    RegisterMap map = kFirstMap;
    map.integers.back() = other;
    const auto thunks = Thunks::of(map).value();
    regions.push_back(shared.region(thunks, kCode, kSize));
    ASSERT_NE(regions.back(), nullptr);
    EXPECT_EQ(shared.region(thunks, kCode, kSize), regions.back());
  }
  EXPECT_EQ(regions.front().use_count(), 1);
  EXPECT_EQ(regions.back().use_count(), 2);
}

}  // namespace
}  // namespace caisson::baseline
