// The instructions of one page that a compilation covers.
//
// Finds block entries, what each costs (the sum of weights to its terminator), and where straight-line paths meet, so that
// the emitter can go through the page once in the order of addresses. Reused from compilation to compilation, since it is large.
#pragma once

#include <emmintrin.h>

#include <array>
#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "isa/riscv/decoder.h"

namespace caisson::baseline {

inline constexpr std::uint32_t kGuestPage = 4096;
inline constexpr std::uint32_t kHalfWords = kGuestPage / 2;  // places in a page where an instruction may begin

// The bytes of a page, and of the half-word behind it where that can be fetched.
struct PageBytes {
  std::uint32_t address = 0;
  std::uint32_t count = 0;  // half-words that could be fetched, from the page's first one on
  std::array<std::uint16_t, kHalfWords + 1> half_words;
};

// What earlier compilations of the same page have, by half-word.
class CompiledPage {
 public:
  // Native code of the block entry there; null where there is none.
  virtual const void* entry(std::uint32_t half_word) const = 0;
  // Native code of the instruction there for who has paid for its block.
  struct Middle {
    const void* native = nullptr;
    std::uint16_t cost = 0;  // from there to the terminator
    bool uses_floats = false;  // the same
  };
  // Null where there is no code that depends on nothing before it.
  virtual const Middle* middle(std::uint32_t half_word) const = 0;

 protected:
  ~CompiledPage() = default;
};

enum class Reach : std::uint8_t {
  kMixedBlock,  // the block at the entry alone, since the page's bytes may change
  kReached,  // what is reached from the entry without leaving the page
  kPage,  // that, and what else looks like code, so that one compilation serves the page
};

class PageScan {
  static constexpr unsigned kEntryBit = 1, kStopsBit = 7;  // of kEntry and kStops

 public:
  enum Flag : std::uint8_t {
    kVisited = 1,
    kEntry = 2,  // a block begins here
    kMeeting = 4,  // reached in more ways than from the instruction before
    kCutOff = 8,  // the second half of the instruction cannot be fetched
    kEntryElsewhere = 16,  // an earlier compilation has the block that begins here: entry_elsewhere()
    kMiddleElsewhere = 32,  // and the instruction, for who has paid: middle_elsewhere(); not decoded here
    kFloats = 64,  // from here to the terminator something uses float registers or the floating-point CSRs
    kStops = 128,  // execution does not come from here to what follows
  };

  // From `entry` (a half-word) on. `earlier` may be null.
  void scan(const PageBytes& bytes, std::uint32_t entry, Reach reach, const CompiledPage* earlier);

  // What a pass in the order of addresses needs of an instruction, in a word: two thousand of them should stay near.
  struct Instruction {
    std::uint16_t half_word = 0;
    std::uint16_t cost = 0;  // gas from here to its block's terminator, inclusive
    riscv::RowNumber row = riscv::kIllegalWord;
    bool ends = false;  // its block
    std::uint8_t length = 1;  // in half-words
    bool uses_floats = false;  // has(kFloats)

    std::uint32_t next() const { return std::uint32_t{half_word} + length; }
  };
  static_assert(sizeof(Instruction) == 8);
  // All instructions but those that begin within others before them. One more follows them, behind the page, which is none.
  std::span<const Instruction> in_order() const { return {in_order_.data(), in_order_count_}; }
  // The one at a half-word; where none was visited, and behind the page, none that is decoded.
  Instruction instruction(std::uint32_t half_word) const;
  // How many blocks begin at the 16 half-words from `half_word` on, up to where execution does not go on.
  std::uint32_t blocks_behind(std::uint32_t half_word) const {
    static_assert(kEntry == 1 << kEntryBit && kStops == 1 << 7);
    const __m128i flags = _mm_loadu_si128(reinterpret_cast<const __m128i*>(flags_.data() + half_word));
    const auto stops = static_cast<std::uint32_t>(_mm_movemask_epi8(flags));
    const auto entries = static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_slli_epi16(flags, 7 - kEntryBit)));
    const std::uint32_t up_to_stop = stops ^ (stops - 1);
    return static_cast<std::uint32_t>(std::popcount(entries & up_to_stop));
  }
  // Whether straight-line code from `half_word` on ends, or is met, within its first `count` half-words (at most 16). May say no near the
  // end of the page, and yes where it is overlapping code that ends.
  bool is_met_within(std::uint32_t half_word, std::uint32_t count) const {
    constexpr std::uint64_t kBreaks =
        std::uint64_t{0x0101010101010101} * (kEntry | kMeeting | kMiddleElsewhere | kCutOff | kStops);
    if (half_word + 16 > kHalfWords) return false;
    std::array<std::uint64_t, 2> flags;
    std::memcpy(&flags, flags_.data() + half_word, sizeof flags);
    return ((flags[0] >> 8 | flags[1] << (16 - count) * 8) & kBreaks) != 0;
  }
  // Calls function(half_word) for each instruction, in the order of addresses.
  template <class Function>
  void for_each(Function&& function) const {
    for (std::uint32_t first = 0; first < kHalfWords; first += 8) {
      std::uint64_t flags;
      std::memcpy(&flags, flags_.data() + first, sizeof flags);
      for (flags &= 0x0101010101010101 * kVisited; flags != 0; flags &= flags - 1)
        function(first + static_cast<std::uint32_t>(std::countr_zero(flags)) / 8);
    }
  }
  Reach reach() const { return reach_; }
  std::uint32_t instruction_count() const { return instruction_count_; }
  // Of the instructions that were decoded.
  std::uint32_t guest_bytes() const { return guest_bytes_; }
  std::uint8_t flags(std::uint32_t half_word) const { return flags_[half_word]; }
  bool has(std::uint32_t half_word, std::uint8_t flag) const { return (flags_[half_word] & flag) != 0; }
  const void* entry_elsewhere(std::uint32_t half_word) const { return entry_elsewhere_[half_word]; }
  const void* middle_elsewhere(std::uint32_t half_word) const { return middle_elsewhere_[half_word]; }
  // Of the instruction; behind those of a short one is anything.
  std::uint32_t bits(std::uint32_t half_word) const {
    std::uint32_t bits;
    std::memcpy(&bits, bytes_->half_words.data() + half_word, sizeof bits);
    return bits;
  }
  // Any instruction that depends on the next page's first bytes.
  bool straddles() const { return straddles_; }

  // Of an instruction: ends its block; execution does not go on behind it; leads to a known place; uses floats, which may be added up for a
  // page of instructions; below, its weight, the same.
  static constexpr std::uint32_t kFactEnds = std::uint32_t{1} << 31, kFactStops = 1 << 30, kFactDirect = 1 << 28,
                                 kFactFloats = 1 << 16, kFactSum = kFactDirect - 1;

 private:
  struct Begins;

  bool walk_entries();
  void put_in_order();
  void sweep();
  void walk(std::uint32_t half_word);
  void add_entry(std::uint32_t half_word);
  void follow(const Instruction& terminator, std::uint32_t facts);
  void cut_off(std::uint32_t half_word);
  void price(std::uint32_t cost);
  // Where a branch or a direct jump leads, as a half-word; kHalfWords or more: elsewhere.
  static std::uint32_t target_of(riscv::RowNumber row, std::uint32_t bits, std::uint32_t half_word);

  const PageBytes* bytes_ = nullptr;
  const CompiledPage* earlier_ = nullptr;
  Reach reach_ = Reach::kReached;
  bool straddles_ = false;
  std::uint32_t instruction_count_ = 0, guest_bytes_ = 0;
  std::vector<std::uint16_t> entries_;  // to walk from
  std::array<Instruction, kHalfWords + 1> in_order_;  // while a path is walked, that
  std::uint32_t in_order_count_ = 0;
  std::array<std::uint16_t, kHalfWords> keys_;  // riscv::RowKey
  std::array<std::uint64_t, kHalfWords / 64> words_;  // a bit for each of keys_ that is a word's
  std::array<std::uint16_t, kHalfWords + 1> direct_;  // instructions that lead to known places
  // Who runs behind the page's end finds that paths meet there; blocks_behind() finds nothing else.
  std::array<std::uint8_t, kHalfWords + 16> flags_;
  std::array<std::uint16_t, kHalfWords> cost_;  // of a sweep's instructions, only where more was found behind it
  std::array<const void*, kHalfWords> entry_elsewhere_, middle_elsewhere_;  // where the flags say so
};

}  // namespace caisson::baseline
