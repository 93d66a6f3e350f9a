#include "baseline/page_scan.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "baseline/op_facts.h"
#include "gas/gas_schedule.h"

namespace caisson::baseline {

using riscv::Decoded;
using riscv::Op;

namespace {

// What the passes ask of an instruction: Step::what.
constexpr std::array<std::uint16_t, riscv::kOpCount> kSteps = [] {
  std::array<std::uint16_t, riscv::kOpCount> steps{};
  for (std::size_t index = 0; index < steps.size(); ++index) {
    const unsigned facts = kOpFacts[index];
    steps[index] = static_cast<std::uint16_t>(gas::kWeights[index] | ((facts & kEnds) != 0 ? PageScan::kStepEnds : 0) |
                                              ((facts & kUsesFloats) != 0 ? PageScan::kStepFloats : 0));
  }
  return steps;
}();
static_assert(std::ranges::max(gas::kWeights) <= PageScan::kStepWeight);

}  // namespace

void PageScan::scan(const PageBytes& bytes, std::uint32_t entry, Reach reach, const CompiledPage* earlier) {
  flags_.fill(0);
#ifndef NDEBUG
  decoded_.fill({.length = 0});  // what another scan left must not be used
#endif
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
  const std::uint32_t available = std::min(bytes_->count, kHalfWords + 1);
  std::uint32_t count = 0, terminator_count = 0, half_words = 0;
  std::uint32_t begins_block = kEntry;  // 0 behind an instruction that does not end its block
  bool is_reached = false;  // although a block begins
  std::uint32_t half_word = 0;
  while (half_word < std::min(available, kHalfWords)) {
    const std::uint32_t bits = fetch(half_word);
    if ((bits & 0xFFFF) == 0 && begins_block != 0 && !is_reached) {  // most padding, and the rest of most pages
      ++half_word;
      continue;
    }
    // Not from what is decoded, so that the next instruction can be fetched before this one is done.
    const std::uint32_t length = riscv::instruction_length(static_cast<std::uint16_t>(bits)) / 2;
    if (half_word + length > available) [[unlikely]]
      break;
    const Decoded decoded = riscv::decode(bits);
    if (decoded.op == Op::kIllegal && begins_block != 0 && !is_reached) [[unlikely]] {
      ++half_word;  // padding, or data
      continue;
    }
    const std::uint16_t step = kSteps[static_cast<std::size_t>(decoded.op)];
    decoded_[half_word] = decoded;
    flags_[half_word] = static_cast<std::uint8_t>(kVisited | begins_block);
    path_[count++] = {static_cast<std::uint16_t>(half_word), step};
    half_words += length;
    begins_block = 0;
    if ((step & kStepEnds) != 0) {
      begins_block = kEntry;
      is_reached = goes_on(decoded);
      if (!is_reached) flags_[half_word] |= kStops;
      terminators_[terminator_count++] = static_cast<std::uint16_t>(half_word);
    }
    half_word += length;
  }
  straddles_ |= half_word > kHalfWords;
  instruction_count_ += count;
  guest_bytes_ += half_words * 2;
  if (half_word < kHalfWords && (begins_block == 0 || is_reached)) cut_off(half_word);
  price_path(count, 0, 0);
  for (std::uint32_t index = 0; index < terminator_count; ++index) {
    const std::uint32_t at = terminators_[index];
    const std::uint32_t target = target_of(decoded_[at], at);
    if (target < kHalfWords) add_entry(target);
  }
}

// An instruction at `half_word` begins, but its rest cannot be fetched.
void PageScan::cut_off(std::uint32_t half_word) {
  straddles_ |= half_word + 1 == kHalfWords && half_word < bytes_->count;
  flags_[half_word] |= kVisited | kCutOff;
  decoded_[half_word] = Decoded{};
  cost_[half_word] = 0;
  ++instruction_count_;
}

// The costs of instructions that follow each other, the last of which ends its block or is followed by what costs `cost`.
void PageScan::price_path(std::uint32_t count, std::uint32_t cost, std::uint8_t floats) {
  while (count-- > 0) {
    const Step step = path_[count];
    if ((step.what & kStepEnds) != 0) cost = floats = 0;
    cost += step.what & kStepWeight;
    if ((step.what & kStepFloats) != 0) floats = kFloats;
    cost_[step.half_word] = static_cast<std::uint16_t>(cost);
    flags_[step.half_word] |= floats;
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

// Where a branch or a direct jump at `half_word` leads, as a half-word; kHalfWords or more: elsewhere, or it is neither.
std::uint32_t PageScan::target_of(const Decoded& decoded, std::uint32_t half_word) {
  if (!has_fact(decoded.op, kBranches) && decoded.op != Op::kJal) return kHalfWords;
  return static_cast<std::uint32_t>(std::int64_t{half_word} * 2 + decoded.imm) / 2;
}

// Whether execution may come behind a terminator without leaving for a known place only.
bool PageScan::goes_on(const Decoded& decoded) {
  return has_fact(decoded.op, kBranches) || decoded.op == Op::kEcall || decoded.op == Op::kFenceI ||
         (has_fact(decoded.op, kJumps) && decoded.rd != 0);
}

// Adds the entries that a terminator leads to.
void PageScan::follow(const Decoded& decoded, std::uint32_t half_word) {
  if (const std::uint32_t target = target_of(decoded, half_word); target < kHalfWords) add_entry(target);
  const std::uint32_t next = half_word + decoded.length / 2;
  if (!goes_on(decoded)) {
    flags_[half_word] |= kStops;
  } else if (next < kHalfWords) {
    add_entry(next);
  }
}

void PageScan::walk(std::uint32_t half_word) {
  const std::uint32_t begin = half_word;
  std::uint32_t count = 0, cost = 0;
  std::uint8_t floats = 0;
  while (half_word < kHalfWords) {
    const std::uint8_t flags = flags_[half_word];
    if ((flags & kVisited) != 0) {
      flags_[half_word] = flags | kMeeting;
      cost = cost_[half_word];
      floats = flags & kFloats;
      break;
    }
    if (earlier_ != nullptr) {
      if (const auto* const middle = earlier_->middle(half_word); middle != nullptr) {
        floats = middle->uses_floats ? kFloats : 0;
        cost = middle->cost;
        flags_[half_word] = flags | kVisited | kMiddleElsewhere | floats;
        middle_elsewhere_[half_word] = middle->native;
        cost_[half_word] = middle->cost;
        ++instruction_count_;
        break;
      }
    }
    const std::uint32_t bits = fetch(half_word);
    const std::uint32_t next = half_word + riscv::instruction_length(static_cast<std::uint16_t>(bits)) / 2;
    if (next > bytes_->count) [[unlikely]] {
      cut_off(half_word);
      break;
    }
    const Decoded decoded = riscv::decode(bits);
    decoded_[half_word] = decoded;
    flags_[half_word] = flags | kVisited;
    const std::uint16_t step = kSteps[static_cast<std::size_t>(decoded.op)];
    path_[count++] = {static_cast<std::uint16_t>(half_word), step};
    if ((step & kStepEnds) != 0) {
      if (reach_ != Reach::kMixedBlock) follow(decoded, half_word);
      half_word = next;
      break;
    }
    half_word = next;
  }
  straddles_ |= half_word > kHalfWords;
  instruction_count_ += count;
  guest_bytes_ += (half_word - begin) * 2;
  price_path(count, cost, floats);
}

}  // namespace caisson::baseline
