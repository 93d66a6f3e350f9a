// Where units are worth beginning: loops and entries, in code by hand and in random bytes.
#include "runtime/code_places.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "memory/window_pool.h"
#include "runtime/unit_candidates.h"
#include "runtime/unit_source.h"
#include "support/guest_words.h"

namespace caisson::runtime {
namespace {

using namespace caisson::tests;

constexpr std::uint32_t kBase = 0x10000;

// Words at kBase; places are named by the number of the word.
struct Code {
  explicit Code(const std::vector<std::uint32_t>& words) : bytes(words.size() * 4) {
    std::memcpy(bytes.data(), words.data(), bytes.size());
  }
  optimized::GuestCode from(std::uint32_t word) const {
    return {.base = at(word), .bytes = std::span(bytes).subspan(std::size_t{word} * 4)};
  }
  std::optional<std::uint32_t> loop_around(std::uint32_t word, std::uint32_t lowest = 0) const {
    return find_loop_header(from(word), at(word), lowest);
  }
  std::optional<std::uint32_t> loop_in_all(std::uint32_t word) const { return find_loop_header(from(0), at(word), 0); }
  static std::uint32_t at(std::uint32_t word) { return kBase + word * 4; }
  std::vector<std::uint8_t> bytes;
};

constexpr std::uint32_t kNop = addi(0, 0, 0), kWork = addi(5, 5, 1);

// 0: two loops in one, then code in none.
const Code& nested() {
  static const Code kCode({kWork, kWork, /* 2: outer */ kWork, /* 3: inner */ kWork, bne(5, 6, -4), kWork,
                           bne(5, 7, -16), kWork, kReturnWord});
  return kCode;
}

TEST(CodePlaces, EveryPcOfALoopLeadsToTheHeaderOfTheInnermost) {
  for (const std::uint32_t word : {3U, 4U}) EXPECT_EQ(nested().loop_around(word), Code::at(3)) << word;
  for (const std::uint32_t word : {2U, 5U, 6U}) EXPECT_EQ(nested().loop_around(word), Code::at(2)) << word;
  for (const std::uint32_t word : {0U, 1U, 7U, 8U}) EXPECT_EQ(nested().loop_around(word), std::nullopt) << word;
}

TEST(CodePlaces, JumpsCloseLoopsAndCallsDoNot) {
  EXPECT_EQ(Code({kWork, kWork, jal(0, -8)}).loop_around(1), Code::at(0));
  EXPECT_EQ(Code({kWork, kWork, jal(1, -8), kReturnWord}).loop_around(1), std::nullopt);
}

TEST(CodePlaces, ALoopBeginsWhereItIsEntered) {
  // 0 jumps over 1 and 2, which are of the loop, or past it.
  const auto code = [](std::int32_t over) {
    return Code({jal(0, over), kWork, kWork, /* 3 */ kWork, kWork, bne(5, 6, -16), kReturnWord});
  };
  for (const std::uint32_t word : {1U, 3U, 5U}) EXPECT_EQ(code(12).loop_in_all(word), Code::at(3)) << word;
  EXPECT_EQ(code(4).loop_in_all(4), Code::at(1));
  EXPECT_EQ(code(24).loop_in_all(4), Code::at(1));
}

TEST(CodePlaces, ALoopIsWithinItsFunction) {
  EXPECT_EQ(nested().loop_around(5, Code::at(2)), Code::at(2));
  EXPECT_EQ(nested().loop_around(5, Code::at(3)), std::nullopt);
}

TEST(CodePlaces, LongLoopsAndOtherThanCodeAreNotFollowed) {
  std::vector<std::uint32_t> words(CodePlaces::kLongestLoop, kWork);
  words.back() = bne(5, 6, -4 * static_cast<std::int32_t>(words.size() - 1));
  EXPECT_EQ(Code(words).loop_around(0), Code::at(0));
  words.insert(words.begin() + 1, kWork);
  words.back() = bne(5, 6, -4 * static_cast<std::int32_t>(words.size() - 1));
  EXPECT_EQ(Code(words).loop_around(0), std::nullopt);
  EXPECT_EQ(Code({kWork, 0, bne(5, 6, -8)}).loop_around(0), std::nullopt);
  EXPECT_EQ(Code({kWork}).loop_around(0), std::nullopt);
}

TEST(CodePlaces, EntriesStandBehindReturnsAndAreNoTargets) {
  // 2 is a function, behind padding; 4 is the target of a branch, 6 of nothing.
  const Code code({kWork, kReturnWord, kNop, /* 3 */ beq(5, 6, 8), kReturnWord, /* 5 */ kWork, kReturnWord, 0,
                   /* 8 */ kWork, jal(0, -8)});
  EXPECT_EQ(find_entries(code.from(0)), (std::vector<std::uint32_t>{Code::at(3), Code::at(8)}));
}

TEST(CodePlaces, RandomBytesStayWithinBounds) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    Code code(std::vector<std::uint32_t>(round % 64 + 1));
    for (std::uint8_t& byte : code.bytes) byte = static_cast<std::uint8_t>(random());
    code.bytes.resize(code.bytes.size() - round % 4);
    const optimized::GuestCode all{.base = kBase, .bytes = code.bytes};
    for (std::uint32_t offset = 0; offset < code.bytes.size() + 4; offset += 2) {
      const auto header = find_loop_header(all, kBase + offset, kBase);
      if (header) EXPECT_TRUE(*header >= kBase && *header < kBase + code.bytes.size() && *header % 2 == 0);
    }
    const auto entries = find_entries(all);
    EXPECT_TRUE(std::ranges::is_sorted(entries));
    for (const std::uint32_t entry : entries) EXPECT_LT(entry - kBase, code.bytes.size());
  }
}

class MappedPlaces : public testing::Test {
 protected:
  static std::unique_ptr<memory::AddressSpace> map(const std::vector<std::uint32_t>& words) {
    auto memory = memory::AddressSpace::create(std::make_shared<memory::WindowPool>(1), std::uint64_t{1} << 24);
    EXPECT_TRUE(memory);
    map_code(**memory, kBase, words);
    return *std::move(memory);
  }
};

TEST_F(MappedPlaces, AreRememberedUntilCodeChanges) {
  const auto memory = map({kWork, kReturnWord, /* 2 */ kWork, kWork, bne(5, 6, -4), kReturnWord});
  CodePlaces places(*memory);
  EXPECT_EQ(places.loop_header(Code::at(4), 0), Code::at(3));
  EXPECT_EQ(places.entry_before(Code::at(4)), Code::at(2));
  EXPECT_EQ(places.entry_before(Code::at(1)), std::nullopt);
  ASSERT_EQ(memory->unmap(kBase, memory::kPageSize), memory::MapStatus::kOk);
  places.forget();
  EXPECT_EQ(places.loop_header(Code::at(4), 0), std::nullopt);
  EXPECT_EQ(places.entry_before(Code::at(4)), std::nullopt);
  EXPECT_EQ(places.loop_header(0xFFFF'FFFE, 0), std::nullopt);
  EXPECT_EQ(unit_source(*memory, Code::at(4)), std::nullopt);
}

TEST_F(MappedPlaces, CandidatesAreWhatPromotionAsksFor) {
  // 0 calls 5, which has a loop at 6; 9 is called by nothing and has one at 10.
  const auto memory = map({kWork, jal(1, 16), kReturnWord, kNop, kNop, /* 5 */ kWork, kWork, bne(5, 6, -4), kReturnWord,
                           /* 9 */ kWork, kWork, bne(5, 6, -4), kReturnWord});
  const std::vector<std::uint32_t> functions = {Code::at(9), Code::at(0)}, roots = {Code::at(0)};
  std::vector<std::uint32_t> found;
  for (const UnitCandidate& candidate : find_unit_candidates(*memory, functions, roots)) found.push_back(candidate.pc);
  EXPECT_EQ(found, (std::vector<std::uint32_t>{Code::at(0), Code::at(6), Code::at(5), Code::at(10), Code::at(9)}));
  CodePlaces places(*memory);
  EXPECT_EQ(places.loop_header(Code::at(7), Code::at(5)), Code::at(6));
  EXPECT_EQ(places.loop_header(Code::at(11), Code::at(9)), Code::at(10));
}

TEST_F(MappedPlaces, AUnitsSourceIsItsKey) {
  const auto memory = map({kWork, kReturnWord});
  const auto one = unit_source(*memory, Code::at(0)), same = unit_source(*memory, Code::at(0)),
             other = unit_source(*memory, Code::at(1));
  ASSERT_TRUE(one && same && other);
  EXPECT_EQ(one->input.key, same->input.key);
  EXPECT_NE(one->input.key, other->input.key);
  EXPECT_EQ(one->first_page, kBase / memory::kPageSize);
  EXPECT_EQ(one->end_page, one->first_page + 1);
}

}  // namespace
}  // namespace caisson::runtime
