#include "baseline/page_scan.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "baseline/op_facts.h"
#include "gas/gas_schedule.h"
#include "isa/riscv/row_finder.h"

namespace caisson::baseline {

using riscv::Op;
using riscv::RowNumber;

namespace {

// What the passes ask of an instruction: Step::what.
constexpr std::uint32_t what_of(RowNumber row) {
  const Op op = base_of(row);
  std::uint32_t what = gas::weight(op);
  if (has_fact(row, kUsesFloats)) what |= PageScan::kStepFloats;
  if (!has_fact(row, kEnds)) return what;
  what |= PageScan::kStepEnds;
  if (has_fact(row, kBranches) || op == Op::kJal) what |= PageScan::kStepDirect;
  if (has_fact(row, kBranches) || op == Op::kEcall || op == Op::kFenceI) return what;
  if (!has_fact(row, kJumps)) return what | PageScan::kStepStops;
  // Short jumps have no field of rd.
  if (!riscv::kInstructions[row].has(riscv::traits::kCompressed)) return what | PageScan::kStepStopsUnlinked;
  return riscv::kInstructions[row].op == Op::kCJalr ? what : what | PageScan::kStepStops;
}
constexpr std::array<std::uint32_t, riscv::kRowCount> kSteps = [] {
  std::array<std::uint32_t, riscv::kRowCount> steps{};
  for (std::size_t row = 0; row < steps.size(); ++row) steps[row] = what_of(static_cast<RowNumber>(row));
  return steps;
}();
// The longest block is a page of the dearest instruction that does not end one.
static_assert([] {
  std::uint32_t dearest = 0;
  for (std::size_t index = 0; index < kSteps.size(); ++index) {
    if ((kSteps[index] & PageScan::kStepEnds) == 0) dearest = std::max(dearest, kSteps[index] % PageScan::kStepFloats);
  }
  return dearest * kHalfWords + std::ranges::max(gas::kWeights) < PageScan::kStepFloats;
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
  if (reach == Reach::kPage) sweep();
  flags_[entry] |= kEntry;
  entries_.push_back(static_cast<std::uint16_t>(entry));
  walk_entries();
}

void PageScan::walk_entries() {
  while (!entries_.empty()) {
    const std::uint32_t next = entries_.back();
    entries_.pop_back();
    if ((flags_[next] & kVisited) == 0) walk(next);
  }
}

// Everything on the page that looks like code, in one pass over its bytes, without asking what is reached: what lies between the code
// that is entered first is mostly functions that are called from other pages. Where it is data, some code is made in vain.
void PageScan::sweep() {
  assert(earlier_ == nullptr);
  const std::uint32_t available = std::min(bytes_->count, kHalfWords + 1), end = std::min(available, kHalfWords);
  const std::uint16_t* const half_words = bytes_->half_words.data();
  // Of instructions that would begin there: many at a time are less work than those alone that do.
  for (std::uint32_t at = 0; at < end; ++at) keys_[at] = riscv::row_key(half_words[at], half_words[at + 1]);
  Step* step = path_.data();
  std::uint16_t* direct = direct_.data();
  std::uint32_t half_word = 0, skipped = 0;
  std::uint32_t flags = kVisited | kEntry;  // of the next instruction
  static_assert(kStepEnds == 1u << 31 && kEntry == 1 << kEntryBit && kStops == 1 << kStopsBit);
  bool is_open = true;  // a block begins that nothing is known to reach
  while (half_word < end) {
    std::uint32_t bits;
    std::memcpy(&bits, half_words + half_word, sizeof bits);
    if ((bits & 0xFFFF) == 0 && is_open) {  // most padding, and the rest of most pages
      ++half_word;
      ++skipped;
      continue;
    }
    // Not from what is decoded, so that the next instruction can be fetched before this one is done.
    const std::uint32_t next = half_word + riscv::instruction_length(static_cast<std::uint16_t>(bits)) / 2;
    if (next > available) [[unlikely]]
      break;
    const RowNumber row = riscv::find_row(keys_[half_word], bits);
    const std::uint32_t what = kSteps[row];
    if ((what & kStepSum) == 0 && is_open) [[unlikely]] {
      ++half_word;  // padding, or data
      ++skipped;
      continue;
    }
    rows_[half_word] = row;
    *step++ = {half_word, what};
    // Without branches, which would be taken every few instructions, nobody knows when.
    const std::uint32_t stops = stops_at(what, bits) ? 1 : 0;
    flags_[half_word] = static_cast<std::uint8_t>(flags | stops << kStopsBit);
    is_open = stops != 0;
    flags = kVisited | what >> 31 << kEntryBit;
    *direct = static_cast<std::uint16_t>(half_word);
    direct += (what & kStepDirect) != 0 ? 1 : 0;
    half_word = next;
  }
  straddles_ |= half_word > kHalfWords;
  const auto count = static_cast<std::uint32_t>(step - path_.data());
  instruction_count_ += count;
  guest_bytes_ += (half_word - skipped) * 2;
  if (half_word < kHalfWords && !is_open) cut_off(half_word);
  price_path(count, 0);
  // Targets elsewhere mark what stands behind the page.
  flags_[kHalfWords] = kVisited | kMeeting;
  for (const std::uint16_t* at = direct_.data(); at != direct; ++at) {
    const std::uint32_t target = std::min(target_of(rows_[*at], *at), kHalfWords);
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
  rows_[half_word] = riscv::kIllegalWord;
  cost_[half_word] = 0;
  ++instruction_count_;
}

// The costs of instructions that follow each other, the last of which ends its block or is followed by what costs `cost`, with kStepFloats
// where that uses floats.
void PageScan::price_path(std::uint32_t count, std::uint32_t cost) {
  static_assert(kStepEnds == 1u << 31, "its place is that of a sign");
  while (count-- > 0) {
    const Step step = path_[count];
    const auto is_within_block = ~static_cast<std::uint32_t>(static_cast<std::int32_t>(step.what) >> 31);
    cost = (cost & is_within_block) + (step.what & kStepSum);
    cost_[step.half_word] = static_cast<std::uint16_t>(cost);
    if (cost >= kStepFloats) flags_[step.half_word] |= kFloats;
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

// Where a branch or a direct jump at `half_word` leads, as a half-word; kHalfWords or more: elsewhere.
std::uint32_t PageScan::target_of(RowNumber row, std::uint32_t half_word) const {
  return static_cast<std::uint32_t>(std::int64_t{half_word} * 2 + riscv::immediate_of(row, bits(half_word))) / 2;
}

// Whether execution goes from a terminator to a known place only, or nowhere.
bool PageScan::stops_at(std::uint32_t what, std::uint32_t bits) {
  constexpr std::uint32_t kRd = 31 << 7;
  return (what & ((bits & kRd) == 0 ? kStepStops | kStepStopsUnlinked : kStepStops)) != 0;
}

// Adds the entries that a terminator leads to; `next` is behind it.
void PageScan::follow(std::uint32_t what, RowNumber row, std::uint32_t half_word, std::uint32_t next) {
  if ((what & kStepDirect) != 0) {
    if (const std::uint32_t target = target_of(row, half_word); target < kHalfWords) add_entry(target);
  }
  if ((flags_[half_word] & kStops) == 0 && next < kHalfWords) add_entry(next);
}

void PageScan::walk(std::uint32_t half_word) {
  const std::uint32_t begin = half_word;
  std::uint32_t count = 0, cost = 0;
  while (half_word < kHalfWords) {
    const std::uint8_t flags = flags_[half_word];
    if ((flags & kVisited) != 0) {
      flags_[half_word] = flags | kMeeting;
      cost = cost_[half_word] | ((flags & kFloats) != 0 ? kStepFloats : 0);
      break;
    }
    if (earlier_ != nullptr) {
      if (const auto* const middle = earlier_->middle(half_word); middle != nullptr) {
        cost = middle->cost | (middle->uses_floats ? kStepFloats : 0);
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
    rows_[half_word] = row;
    flags_[half_word] = flags | kVisited;
    const std::uint32_t what = kSteps[row];
    path_[count++] = {half_word, what};
    if ((what & kStepEnds) != 0) {
      if (stops_at(what, bits)) flags_[half_word] |= kStops;
      if (reach_ != Reach::kMixedBlock) follow(what, row, half_word, next);
      half_word = next;
      break;
    }
    half_word = next;
  }
  straddles_ |= half_word > kHalfWords;
  instruction_count_ += count;
  guest_bytes_ += (half_word - begin) * 2;
  price_path(count, cost);
}

}  // namespace caisson::baseline
