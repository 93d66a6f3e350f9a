#include "baseline/page_scan.h"

#include <algorithm>

#include "baseline/op_facts.h"
#include "gas/gas_schedule.h"

namespace caisson::baseline {

using riscv::Decoded;
using riscv::Op;

void PageScan::scan(const PageBytes& bytes, std::uint32_t entry, Reach reach, const CompiledPage* earlier) {
  flags_.fill(0);
  visited_.fill(0);
  entries_.clear();
  bytes_ = &bytes;
  earlier_ = earlier;
  reach_ = reach;
  straddles_ = false;
  instruction_count_ = 0;
  flags_[entry] = kEntry;
  entries_.push_back(static_cast<std::uint16_t>(entry));
  walk_entries();
  if (reach == Reach::kPage) sweep();
}

void PageScan::walk_entries() {
  while (!entries_.empty()) {
    const std::uint32_t next = entries_.back();
    entries_.pop_back();
    if ((flags_[next] & kVisited) == 0) walk(next);
  }
}

// What lies between the code that was reached is mostly functions that are called from other pages. Where it is data, some code is made
// in vain.
void PageScan::sweep() {
  const std::uint32_t end = std::min(bytes_->count, kHalfWords);
  for (std::uint32_t half_word = 0; half_word < end;) {
    if ((flags_[half_word] & kVisited) == 0) {
      const std::uint16_t low = bytes_->half_words[half_word];
      const bool is_long = riscv::instruction_length(low) == 4;
      const bool is_cut_off = is_long && half_word + 1 >= bytes_->count;
      const std::uint32_t high = is_long && !is_cut_off ? bytes_->half_words[half_word + 1] : 0;
      if (low == 0) {  // padding, and much data
        ++half_word;
        continue;
      }
      if (!is_cut_off && riscv::decode(high << 16 | low).op != Op::kIllegal) {
        add_entry(half_word);
        walk_entries();
      }
    }
    const bool is_decoded = (flags_[half_word] & (kVisited | kCutOff | kMiddleElsewhere)) == kVisited;
    half_word += is_decoded ? decoded_[half_word].length / 2 : 1;
  }
}

void PageScan::visit(std::uint32_t half_word, std::uint8_t flags) {
  flags_[half_word] |= kVisited | flags;
  visited_[half_word / 64] |= std::uint64_t{1} << half_word % 64;
  ++instruction_count_;
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

// Adds the entries that a terminator leads to.
void PageScan::follow(const Decoded& decoded, std::uint32_t half_word) {
  const bool branches = has_fact(decoded.op, kBranches);
  const std::uint32_t next = half_word + decoded.length / 2;
  if (branches || decoded.op == Op::kJal) {
    const std::int64_t target = std::int64_t{half_word} * 2 + decoded.imm;
    if (target >= 0 && target < kGuestPage) add_entry(static_cast<std::uint32_t>(target) / 2);
  }
  const bool goes_on = branches || decoded.op == Op::kEcall || decoded.op == Op::kFenceI ||
                       (has_fact(decoded.op, kJumps) && decoded.rd != 0);
  if (goes_on && next < kHalfWords) add_entry(next);
}

void PageScan::walk(std::uint32_t half_word) {
  path_.clear();
  std::uint32_t cost = 0;
  std::uint8_t floats = 0;
  for (;;) {
    if ((flags_[half_word] & kVisited) != 0) {
      flags_[half_word] |= kMeeting;
      cost = cost_[half_word];
      floats = flags_[half_word] & kFloats;
      break;
    }
    if (const auto* const middle = earlier_ == nullptr ? nullptr : earlier_->middle(half_word); middle != nullptr) {
      floats = middle->uses_floats ? kFloats : 0;
      cost = middle->cost;
      visit(half_word, kMiddleElsewhere | floats);
      middle_elsewhere_[half_word] = middle->native;
      cost_[half_word] = middle->cost;
      break;
    }
    const std::uint16_t low = half_word < bytes_->count ? bytes_->half_words[half_word] : 0;
    const bool is_long = riscv::instruction_length(low) == 4;
    straddles_ |= is_long && half_word + 1 == kHalfWords;
    visit(half_word, 0);
    path_.push_back(static_cast<std::uint16_t>(half_word));
    if (half_word + (is_long ? 1 : 0) >= bytes_->count) {
      flags_[half_word] |= kCutOff;
      decoded_[half_word] = Decoded{};
      break;
    }
    const std::uint32_t high = is_long ? bytes_->half_words[half_word + 1] : 0;
    bits_[half_word] = high << 16 | low;
    const Decoded decoded = riscv::decode(bits_[half_word]);
    decoded_[half_word] = decoded;
    if (has_fact(decoded.op, kEnds)) {
      if (reach_ != Reach::kMixedBlock) follow(decoded, half_word);
      break;
    }
    half_word += decoded.length / 2;
    if (half_word >= kHalfWords) break;
  }
  for (std::size_t index = path_.size(); index-- > 0;) {
    const std::uint32_t at = path_[index];
    if ((flags_[at] & kCutOff) == 0) {
      cost += gas::weight(decoded_[at].op);
      if (has_fact(decoded_[at].op, kUsesFloats)) floats = kFloats;
    }
    cost_[at] = static_cast<std::uint16_t>(cost);
    flags_[at] |= floats;
  }
}

}  // namespace caisson::baseline
