#include "baseline/page_scan.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstring>

#include "baseline/op_facts.h"
#include "gas/gas_schedule.h"
#include "isa/riscv/row_finder.h"

namespace caisson::baseline {

using riscv::Op;
using riscv::RowNumber;

namespace {

// What the passes ask of an instruction.
constexpr std::uint32_t facts_of_row(RowNumber row, bool is_unlinked) {
  const Op op = base_of(row);
  std::uint32_t facts = gas::weight(op);
  if (has_fact(row, kUsesFloats)) facts |= PageScan::kFactFloats;
  if (!has_fact(row, kEnds)) return facts;
  facts |= PageScan::kFactEnds;
  if (has_fact(row, kBranches) || op == Op::kJal) facts |= PageScan::kFactDirect;
  if (has_fact(row, kBranches) || op == Op::kEcall || op == Op::kFenceI) return facts;
  if (!has_fact(row, kJumps)) return facts | PageScan::kFactStops;
  // Short jumps have no field of rd.
  const bool goes_on = riscv::kInstructions[row].has(riscv::traits::kCompressed)
                           ? riscv::kInstructions[row].op == Op::kCJalr
                           : !is_unlinked;
  return goes_on ? facts : facts | PageScan::kFactStops;
}
// Behind those of all rows those of the same where the field of rd is 0. Of a row that is not decided there are none.
constexpr std::size_t kUnlinked = 255;
static_assert(kUnlinked > riscv::kRowCount);
constexpr std::array<std::uint32_t, 2 * kUnlinked> kFacts = [] {
  static_assert(riscv::kUndecidedRow == riscv::kRowCount);
  std::array<std::uint32_t, 2 * kUnlinked> facts{};
  for (std::size_t row = 0; row < riscv::kRowCount; ++row) {
    facts[row] = facts_of_row(static_cast<RowNumber>(row), false);
    facts[kUnlinked + row] = facts_of_row(static_cast<RowNumber>(row), true);
  }
  return facts;
}();
std::uint32_t facts_of(RowNumber row, std::uint32_t bits) {
  constexpr std::uint32_t kRd = 31 << 7;
  return kFacts[row + (((bits & kRd) - 1) >> 24)];  // 255 where it is 0
}
// An Instruction as a word, at half-word 0.
static_assert(std::endian::native == std::endian::little && offsetof(PageScan::Instruction, half_word) == 0);
constexpr std::array<std::uint64_t, riscv::kRowCount> kWordsOfInstructions = [] {
  std::array<std::uint64_t, riscv::kRowCount> words{};
  for (std::size_t row = 0; row < riscv::kRowCount; ++row) {
    const bool is_short = row == riscv::kIllegalCompressed || riscv::kInstructions[row].has(riscv::traits::kCompressed);
    words[row] =
        std::bit_cast<std::uint64_t>(PageScan::Instruction{.row = static_cast<RowNumber>(row),
                                                           .ends = (kFacts[row] & PageScan::kFactEnds) != 0,
                                                           .length = static_cast<std::uint8_t>(is_short ? 1 : 2)});
  }
  return words;
}();
// The longest block is a page of the dearest instruction that does not end one.
static_assert([] {
  std::uint32_t dearest = 0;
  for (std::size_t index = 0; index < kFacts.size(); ++index) {
    if ((kFacts[index] & PageScan::kFactEnds) == 0) dearest = std::max(dearest, kFacts[index] % PageScan::kFactFloats);
  }
  return dearest * kHalfWords + std::ranges::max(gas::kWeights) < PageScan::kFactFloats;
}());

}  // namespace

void PageScan::scan(const PageBytes& bytes, std::uint32_t entry, Reach reach, const CompiledPage* earlier) {
  flags_.fill(0);
  flags_[kHalfWords] = flags_[kHalfWords + 1] = kMeeting;
  entries_.clear();
  bytes_ = &bytes;
  earlier_ = earlier;
  reach_ = reach;
  straddles_ = false;
  instruction_count_ = 0;
  guest_bytes_ = 0;
  in_order_count_ = 0;
  if (reach == Reach::kPage) sweep();
  flags_[entry] |= kEntry;
  entries_.push_back(static_cast<std::uint16_t>(entry));
  if (walk_entries() || reach != Reach::kPage) put_in_order();
}

bool PageScan::walk_entries() {
  bool found_more = false;
  while (!entries_.empty()) {
    const std::uint32_t next = entries_.back();
    entries_.pop_back();
    if ((flags_[next] & kVisited) != 0) continue;
    if (!found_more) {  // a sweep's costs, which paths may meet
      for (const Instruction& instruction : in_order()) cost_[instruction.half_word] = instruction.cost;
      in_order_count_ = 0;
      found_more = true;
    }
    walk(next);
  }
  return found_more;
}

PageScan::Instruction PageScan::instruction(std::uint32_t half_word) const {
  Instruction instruction{.half_word = static_cast<std::uint16_t>(half_word)};
  if (half_word >= kHalfWords || !has(half_word, kVisited)) return instruction;
  instruction.cost = cost_[half_word];
  instruction.uses_floats = has(half_word, kFloats);
  if (has(half_word, kMiddleElsewhere | kCutOff)) return instruction;
  const std::uint32_t bits = this->bits(half_word);
  instruction.row = riscv::find_row(bits);
  instruction.ends = (kFacts[instruction.row] & kFactEnds) != 0;
  instruction.length = riscv::instruction_length(static_cast<std::uint16_t>(bits)) / 2;
  return instruction;
}

void PageScan::put_in_order() {
  in_order_count_ = 0;
  std::uint32_t behind = 0;
  for_each([this, &behind](std::uint32_t half_word) {
    if (half_word < behind) return;
    const Instruction& added = in_order_[in_order_count_++] = instruction(half_word);
    behind = added.next();
  });
  in_order_[in_order_count_] = instruction(kHalfWords);
}

// Of 64 half-words, those at which instructions begin that follow each other from `first` on, where `words` would begin one of two
// half-words; and whether the last of them reaches beyond.
struct PageScan::Begins {
  std::uint64_t set;
  bool reach_beyond;

  // In a run of half-words that would each begin a word, every second one does, from its first one on, since what is before is none.
  Begins(std::uint64_t words, unsigned first) {
    constexpr std::uint64_t kEven = 0x5555'5555'5555'5555;
    const std::uint64_t from_first = ~std::uint64_t{0} << first;
    words &= from_first;
    const std::uint64_t even_firsts = words & ~(words << 1) & kEven;
    const std::uint64_t even_runs = words & ~(words + even_firsts);  // a carry clears those that it runs through
    const std::uint64_t begins = (even_runs & kEven) | (words & ~even_runs & ~kEven);
    set = ~(begins << 1) & from_first;
    reach_beyond = begins >> 63 != 0;
  }
};

// Everything on the page that looks like code, in one pass over its bytes, without asking what is reached: what lies between the code
// that is entered first is mostly functions that are called from other pages. Where it is data, some code is made in vain.
void PageScan::sweep() {
  assert(earlier_ == nullptr);
  const std::uint32_t available = std::min(bytes_->count, kHalfWords + 1), end = std::min(available, kHalfWords);
  const std::uint16_t* const half_words = bytes_->half_words.data();
  // Of instructions that would begin there: many at a time are less work than those alone that do.
  riscv::make_row_keys(half_words, end, keys_.data(), words_.data());
  // At which a word begins whose rest cannot be fetched.
  const std::uint32_t too_long =
      available <= kHalfWords && end != 0 && keys_[end - 1] < riscv::kFirstCompressedKey ? end - 1 : end;
  // Of 64 half-words from `base` on, those before that.
  const auto limit = [too_long](std::uint64_t set, std::uint32_t base) {
    return base + 64 <= too_long ? set : base >= too_long ? 0 : set & ~(~std::uint64_t{0} << (too_long - base));
  };
  Instruction* added = in_order_.data();
  std::uint16_t* direct = direct_.data();
  std::uint32_t skipped = 0, behind_skipped = 0;
  std::uint32_t flags = kVisited | kEntry;  // of the next instruction
  static_assert(kFactEnds == 1u << 31 && kFactStops == 1 << 30 && kEntry == 1 << kEntryBit && kStops == 1 << kStopsBit);
  // Whether a block begins that nothing is known to reach.
  const auto is_open = [&] { return added == in_order_.data() || has(added[-1].half_word, kStops); };
  for (std::uint32_t base = 0, first = 0; base < end; base += 64) {
    const std::uint64_t words = words_[base / 64];
    Begins begins(words, first);
    for (std::uint64_t set = limit(begins.set, base); set != 0;) {
      const std::uint32_t half_word = base | static_cast<std::uint32_t>(std::countr_zero(set));
      set &= set - 1;
      std::uint32_t bits;
      std::memcpy(&bits, half_words + half_word, sizeof bits);
      RowNumber row = riscv::kRowsByKey[keys_[half_word]];
      std::uint32_t facts = facts_of(row, bits);
      if ((facts & kFactSum) == 0) [[unlikely]] {
        if (row == riscv::kUndecidedRow) {
          row = riscv::find_undecided_row(bits);
          facts = facts_of(row, bits);
        }
        if ((facts & kFactSum) == 0 && is_open()) {
          // Padding, or data, of which a half-word is passed; of zeros, which are most of it, as many as there are.
          std::uint32_t passed = 1;
          if ((bits & 0xFFFF) == 0) {
            const std::uint32_t behind = std::min(base + 64, too_long);
            for (std::uint64_t four; half_word + passed + 4 <= behind; passed += 4) {
              std::memcpy(&four, half_words + half_word + passed, sizeof four);
              if (four != 0) break;
            }
            set &= ~std::uint64_t{1} << (half_word + passed - 1 - base);
          }
          skipped += passed;
          behind_skipped = half_word + passed;
          if (row == riscv::kIllegalCompressed) continue;
          if (half_word - base == 63) {
            begins.reach_beyond = false;
          } else {
            begins = Begins(words, behind_skipped - base);
            set = limit(begins.set, base);
          }
          continue;
        }
      }
      // Without branches, which would be taken every few instructions, nobody knows when.
      flags_[half_word] = static_cast<std::uint8_t>(flags | (facts >> (30 - kStopsBit) & kStops));
      flags = kVisited | facts >> 31 << kEntryBit;
      *direct = static_cast<std::uint16_t>(half_word);
      direct += (facts & kFactDirect) != 0 ? 1 : 0;
      *added++ = std::bit_cast<Instruction>(kWordsOfInstructions[row] | half_word);
    }
    first = begins.reach_beyond ? 1 : 0;
  }
  const auto count = static_cast<std::uint32_t>(added - in_order_.data());
  const std::uint32_t behind = std::max(behind_skipped, count == 0 ? 0 : in_order_[count - 1].next());
  straddles_ |= behind > kHalfWords;
  instruction_count_ += count;
  guest_bytes_ += (behind - skipped) * 2;
  in_order_count_ = count;
  price(0);
  if (behind < kHalfWords && !is_open()) {
    cut_off(behind);
    in_order_[in_order_count_++] = instruction(behind);
  }
  in_order_[in_order_count_] = instruction(kHalfWords);
  // Targets elsewhere mark what stands behind the page.
  flags_[kHalfWords] = kVisited | kMeeting;
  for (const std::uint16_t* at = direct_.data(); at != direct; ++at) {
    const std::uint32_t bits = this->bits(*at);
    const std::uint32_t target = std::min(target_of(riscv::find_row(keys_[*at], bits), bits, *at), kHalfWords);
    if ((flags_[target] & (kVisited | kEntry)) == 0) [[unlikely]]
      entries_.push_back(static_cast<std::uint16_t>(target));
    flags_[target] |= kEntry;
  }
  flags_[kHalfWords] = kMeeting;
}

// An instruction at `half_word` begins, but its rest cannot be fetched.
void PageScan::cut_off(std::uint32_t half_word) {
  straddles_ |= half_word + 1 == kHalfWords && half_word < bytes_->count;
  flags_[half_word] |= kVisited | kCutOff;
  cost_[half_word] = 0;
  ++instruction_count_;
}

// The costs of in_order_, the last of which ends its block or is followed by what costs `cost`, with kFactFloats where that uses floats.
void PageScan::price(std::uint32_t cost) {
  static_assert(kFactEnds == 1u << 31, "its place is that of a sign");
  for (std::uint32_t index = in_order_count_; index-- > 0;) {
    Instruction& instruction = in_order_[index];
    const std::uint32_t facts = kFacts[instruction.row];
    const auto is_within_block = ~static_cast<std::uint32_t>(static_cast<std::int32_t>(facts) >> 31);
    cost = (cost & is_within_block) + (facts & kFactSum);
    instruction.cost = static_cast<std::uint16_t>(cost);
    if (cost >= kFactFloats) {
      flags_[instruction.half_word] |= kFloats;
      instruction.uses_floats = true;
    }
  }
}

void PageScan::add_entry(std::uint32_t half_word) {
  if ((flags_[half_word] & (kEntry | kEntryElsewhere)) != 0) return;
  if (const void* const native = earlier_ == nullptr ? nullptr : earlier_->entry(half_word); native != nullptr) {
    flags_[half_word] |= kEntryElsewhere;
    entry_elsewhere_[half_word] = native;
    return;
  }
  flags_[half_word] |= kEntry;
  entries_.push_back(static_cast<std::uint16_t>(half_word));
}

std::uint32_t PageScan::target_of(RowNumber row, std::uint32_t bits, std::uint32_t half_word) {
  return static_cast<std::uint32_t>(std::int64_t{half_word} * 2 + riscv::immediate_of(row, bits)) / 2;
}

// Adds the entries that a terminator leads to.
void PageScan::follow(const Instruction& terminator, std::uint32_t facts) {
  const std::uint32_t half_word = terminator.half_word, next = terminator.next();
  if ((facts & kFactDirect) != 0) {
    const std::uint32_t target = target_of(terminator.row, bits(half_word), half_word);
    if (target < kHalfWords) add_entry(target);
  }
  if (!has(half_word, kStops) && next < kHalfWords) add_entry(next);
}

void PageScan::walk(std::uint32_t half_word) {
  const std::uint32_t begin = half_word;
  std::uint32_t cost = 0;
  in_order_count_ = 0;
  while (half_word < kHalfWords) {
    const std::uint8_t flags = flags_[half_word];
    if ((flags & kVisited) != 0) {
      flags_[half_word] = flags | kMeeting;
      cost = cost_[half_word] | ((flags & kFloats) != 0 ? kFactFloats : 0);
      break;
    }
    if (earlier_ != nullptr) {
      if (const auto* const middle = earlier_->middle(half_word); middle != nullptr) {
        cost = middle->cost | (middle->uses_floats ? kFactFloats : 0);
        flags_[half_word] = flags | kVisited | kMiddleElsewhere | (middle->uses_floats ? kFloats : 0);
        middle_elsewhere_[half_word] = middle->native;
        cost_[half_word] = middle->cost;
        ++instruction_count_;
        break;
      }
    }
    const std::uint32_t bits = this->bits(half_word);
    const std::uint32_t next = half_word + riscv::instruction_length(static_cast<std::uint16_t>(bits)) / 2;
    if (next > bytes_->count) [[unlikely]] {
      cut_off(half_word);
      break;
    }
    const RowNumber row = riscv::find_row(bits);
    flags_[half_word] = flags | kVisited;
    Instruction& added = in_order_[in_order_count_++];
    const std::uint32_t facts = facts_of(row, bits);
    added = {.half_word = static_cast<std::uint16_t>(half_word),
             .row = row,
             .ends = (facts & kFactEnds) != 0,
             .length = static_cast<std::uint8_t>(next - half_word)};
    if (added.ends) {
      if ((facts & kFactStops) != 0) flags_[half_word] |= kStops;
      if (reach_ != Reach::kMixedBlock) follow(added, facts);
      half_word = next;
      break;
    }
    half_word = next;
  }
  straddles_ |= half_word > kHalfWords;
  instruction_count_ += in_order_count_;
  guest_bytes_ += (half_word - begin) * 2;
  price(cost);
  for (const Instruction& instruction : in_order()) cost_[instruction.half_word] = instruction.cost;
}

}  // namespace caisson::baseline
