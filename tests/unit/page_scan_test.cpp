// Page scans against the definition: one instruction after the other, decoded by the decoder, priced by adding up weights.
#include "baseline/page_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "gas/gas_schedule.h"
#include "isa/riscv/row_finder.h"
#include "support/random_page.h"

namespace caisson::baseline {
namespace {

using riscv::Decoded;
using riscv::Op;

constexpr std::uint64_t kSeed = 20261128;

struct Expected {
  std::array<std::uint8_t, kHalfWords> flags{};
  std::array<std::uint32_t, kHalfWords> cost{};
  std::vector<std::uint32_t> in_order;
  std::uint32_t count = 0, guest_bytes = 0;
  bool straddles = false;
};

class Definition {
 public:
  Definition(const PageBytes& bytes, std::uint32_t entry, Reach reach) : bytes_(bytes) {
    if (reach == Reach::kPage) sweep();
    flags(entry) |= PageScan::kEntry;
    entries_.push_back(entry);
    while (!entries_.empty()) {
      const std::uint32_t next = entries_.back();
      entries_.pop_back();
      if ((flags(next) & PageScan::kVisited) == 0) walk(next, reach != Reach::kMixedBlock);
    }
    for (std::uint32_t at = kHalfWords; at-- > 0;) price(at);
    std::uint32_t behind = 0;
    for (std::uint32_t at = 0; at < kHalfWords; ++at) {
      if ((flags(at) & PageScan::kVisited) == 0 || at < behind) continue;
      expected.in_order.push_back(at);
      behind = at + ((flags(at) & PageScan::kCutOff) != 0 ? 1 : length(at));
    }
  }

  Expected expected;

 private:
  std::uint8_t& flags(std::uint32_t at) { return expected.flags[at]; }
  std::uint32_t bits(std::uint32_t at) const {
    return bytes_.half_words[at] | (at < kHalfWords ? std::uint32_t{bytes_.half_words[at + 1]} << 16 : 0);
  }
  Decoded decoded(std::uint32_t at) const { return riscv::decode(bits(at)); }
  std::uint32_t length(std::uint32_t at) const { return riscv::instruction_length(bytes_.half_words[at]) / 2U; }
  static bool ends(const Decoded& decoded) { return riscv::info(decoded.op).has(riscv::traits::kTerminator); }
  static bool stops(const Decoded& decoded) {
    const bool is_jump = decoded.op == Op::kJal || decoded.op == Op::kJalr;
    return decoded.op == Op::kIllegal || decoded.op == Op::kEbreak || (is_jump && decoded.rd == 0);
  }
  void visit(std::uint32_t at) {
    flags(at) |= PageScan::kVisited | (stops(decoded(at)) ? PageScan::kStops : 0);
    expected.count += 1;
    expected.straddles |= at + length(at) > kHalfWords;
  }
  void cut_off(std::uint32_t at) {
    flags(at) |= PageScan::kVisited | PageScan::kCutOff;
    expected.count += 1;
    expected.straddles |= at + 1 == kHalfWords && at < bytes_.count;
  }
  std::uint32_t target(std::uint32_t at) const {
    const Decoded instruction = decoded(at);
    if (riscv::info(instruction.op).form != riscv::Form::kB && instruction.op != Op::kJal) return kHalfWords;
    const std::int64_t target = std::int64_t{at} + instruction.imm / 2;
    return target < 0 || target >= kHalfWords ? kHalfWords : static_cast<std::uint32_t>(target);
  }

  void sweep() {
    const std::uint32_t end = std::min(bytes_.count, kHalfWords);
    bool is_open = true, begins_block = true;
    std::uint32_t at = 0;
    std::vector<std::uint32_t> swept;
    while (at < end) {
      if (bytes_.half_words[at] == 0 && is_open) {
        ++at;
        continue;
      }
      if (at + length(at) > bytes_.count) break;
      const Decoded instruction = decoded(at);
      if (instruction.op == Op::kIllegal && is_open) {
        ++at;
        continue;
      }
      visit(at);
      if (begins_block) flags(at) |= PageScan::kEntry;
      begins_block = ends(instruction);
      is_open = stops(instruction);
      expected.guest_bytes += length(at) * 2;
      swept.push_back(at);
      at += length(at);
    }
    if (at < kHalfWords && !is_open) cut_off(at);
    for (const std::uint32_t from : swept) {
      const std::uint32_t to = target(from);
      if (to == kHalfWords) continue;
      if ((flags(to) & (PageScan::kVisited | PageScan::kEntry)) == 0) entries_.push_back(to);
      flags(to) |= PageScan::kEntry;
    }
  }

  void add_entry(std::uint32_t at) {
    if (at >= kHalfWords || (flags(at) & PageScan::kEntry) != 0) return;
    flags(at) |= PageScan::kEntry;
    entries_.push_back(at);
  }

  void walk(std::uint32_t at, bool follows) {
    while (at < kHalfWords) {
      if ((flags(at) & PageScan::kVisited) != 0) {
        flags(at) |= PageScan::kMeeting;
        return;
      }
      if (at + length(at) > bytes_.count) return cut_off(at);
      visit(at);
      expected.guest_bytes += length(at) * 2;
      if (ends(decoded(at))) {
        if (!follows) return;
        add_entry(target(at));
        if (!stops(decoded(at))) add_entry(at + length(at));
        return;
      }
      at += length(at);
    }
  }

  // Those behind it are priced.
  void price(std::uint32_t at) {
    if ((flags(at) & PageScan::kVisited) == 0 || (flags(at) & PageScan::kCutOff) != 0) return;
    const Decoded instruction = decoded(at);
    const riscv::InstructionInfo& row = riscv::info(instruction.op);
    expected.cost[at] = gas::weight(instruction.op);
    if (row.gas_class == riscv::GasClass::kCsr || row.has(riscv::traits::kFloatRd) ||
        row.has(riscv::traits::kFloatRs1) || row.has(riscv::traits::kFloatRs2))
      flags(at) |= PageScan::kFloats;
    const std::uint32_t next = at + length(at);
    if (ends(instruction) || next >= kHalfWords) return;
    expected.cost[at] += expected.cost[next];
    flags(at) |= flags(next) & PageScan::kFloats;
  }

  const PageBytes& bytes_;
  std::vector<std::uint32_t> entries_;
};

void expect_definition(const PageBytes& bytes, std::uint32_t entry, Reach reach, PageScan& scan) {
  scan.scan(bytes, entry, reach, nullptr);
  const Expected expected = Definition(bytes, entry, reach).expected;
  ASSERT_EQ(scan.instruction_count(), expected.count);
  ASSERT_EQ(scan.guest_bytes(), expected.guest_bytes);
  ASSERT_EQ(scan.straddles(), expected.straddles);
  for (std::uint32_t at = 0; at < kHalfWords; ++at) {
    ASSERT_EQ(scan.flags(at), expected.flags[at]) << at;
    std::uint32_t blocks = 0;
    for (std::uint32_t behind = at; behind < std::min(at + 16, kHalfWords); ++behind) {
      blocks += (expected.flags[behind] & PageScan::kEntry) != 0 ? 1 : 0;
      if ((expected.flags[behind] & PageScan::kStops) != 0) break;
    }
    ASSERT_EQ(scan.blocks_behind(at), blocks) << at;
    if (!scan.has(at, PageScan::kVisited)) ASSERT_EQ(scan.instruction(at).row, riscv::kIllegalWord) << at;
  }
  const std::span<const PageScan::Instruction> in_order = scan.in_order();
  ASSERT_EQ(in_order.size(), expected.in_order.size());
  for (std::size_t index = 0; index < in_order.size(); ++index) {
    const PageScan::Instruction& instruction = in_order[index];
    const std::uint32_t at = expected.in_order[index];
    ASSERT_EQ(instruction.half_word, at);
    ASSERT_EQ(instruction.cost, expected.cost[at])
        << at << " of " << in_order.size() << ": " << index << " " << riscv::disassemble(scan.bits(at), 0);
    ASSERT_EQ(instruction.uses_floats, scan.has(at, PageScan::kFloats)) << at;
    if (scan.has(at, PageScan::kCutOff)) {
      ASSERT_EQ(instruction.row, riscv::kIllegalWord);
      continue;
    }
    const Decoded decoded = riscv::decode(scan.bits(at));
    ASSERT_EQ(instruction.row, decoded.row == Op::kIllegal && decoded.length == 2
                                   ? riscv::kIllegalCompressed
                                   : static_cast<riscv::RowNumber>(decoded.row));
    ASSERT_EQ(instruction.length * 2, decoded.length);
    ASSERT_EQ(instruction.ends != 0, riscv::info(decoded.op).has(riscv::traits::kTerminator));
  }
  ASSERT_EQ(in_order.data()[in_order.size()].half_word, kHalfWords);
}

TEST(PageScan, FindsWhatTheDefinitionFinds) {
  std::mt19937 random(kSeed);
  const auto scan = std::make_unique<PageScan>();
  for (int round = 0; round < 4000; ++round) {
    const auto page = test::random_page(random);
    const std::uint32_t entry = round % 3 == 0 ? 0 : static_cast<std::uint32_t>(random()) % kHalfWords;
    for (const Reach reach : {Reach::kPage, Reach::kReached, Reach::kMixedBlock}) {
      expect_definition(*page, entry, reach, *scan);
      if (HasFatalFailure()) FAIL() << "round " << round << ", reach " << static_cast<int>(reach);
    }
  }
}

// Runs of words of every length at every place of 64 half-words, and words that are none, behind which half-words are tried.
TEST(PageScan, FindsWordsAcrossTheUnitsOfItsSearch) {
  constexpr std::uint32_t kAddWord = 0x00B50533, kNone = 0xFFFFFFFF;
  constexpr std::uint16_t kAddShort = 0x952E, kReturn = 0x8082;
  const auto scan = std::make_unique<PageScan>();
  for (const std::uint32_t word : {kAddWord, kNone}) {
    for (std::uint32_t begin = 0; begin < 130; ++begin) {
      for (const std::uint32_t length : {1, 2, 3, 31, 32, 33, 63, 64, 65}) {
        PageBytes page;
        page.address = 0x10000;
        page.count = kHalfWords + 1;
        page.half_words.fill(kAddShort);
        if (begin != 0) page.half_words[begin - 1] = kReturn;
        for (std::uint32_t at = begin; at < begin + length * 2; ++at)
          page.half_words[at] = static_cast<std::uint16_t>((at - begin) % 2 == 0 ? word : word >> 16);
        expect_definition(page, 0, Reach::kPage, *scan);
        if (HasFatalFailure()) FAIL() << begin << ", " << length;
      }
    }
  }
}

// Every count that can be fetched, of a page that ends in a word or in a short instruction.
TEST(PageScan, EndsWhereNothingCanBeFetched) {
  std::mt19937 random(kSeed);
  const auto scan = std::make_unique<PageScan>();
  for (std::uint32_t count = 0; count <= kHalfWords + 1; ++count) {
    const auto page = test::random_page(random);
    page->count = count;
    expect_definition(*page, 0, Reach::kPage, *scan);
    if (HasFatalFailure()) FAIL() << count;
  }
}

TEST(RowKeys, AreMadeForManyAsForOne) {
  std::mt19937 random(kSeed);
  std::array<std::uint16_t, 300> half_words;
  std::array<riscv::RowKey, 300> keys;
  std::array<std::uint64_t, 5> words;
  for (int round = 0; round < 2000; ++round) {
    for (std::uint16_t& half_word : half_words) half_word = static_cast<std::uint16_t>(random());
    const std::size_t count = random() % (half_words.size() - 1);
    riscv::make_row_keys(half_words.data(), count, keys.data(), words.data());
    for (std::size_t at = 0; at < count; ++at) {
      const std::uint32_t bits = half_words[at] | std::uint32_t{half_words[at + 1]} << 16;
      ASSERT_EQ(keys[at], riscv::row_key(bits)) << std::hex << bits;
      ASSERT_EQ(words[at / 64] >> at % 64 & 1, (bits & 3) == 3 ? 1U : 0U) << at;
    }
  }
}

}  // namespace
}  // namespace caisson::baseline
