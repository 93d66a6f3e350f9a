// Where the guest's integer registers are while code is emitted.
//
// Every guest register has one home, a host register or its place in HartState. Within straight-line code the scratch registers keep
// copies of what was last read from or written to memory, or of its low half, and values that are known are folded.
//
// All of it is inline: a guest instruction asks for three registers, and the questions must cost a few host instructions each.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstdint>
#include <optional>

#include "baseline/register_map.h"
#include "baseline/x86_assembler.h"

// Most emitters need more registers than a callee may have without saving them, and who calls them needs none kept. Frames as
// AddressSanitizer makes them cannot be had with that convention.
#if __has_feature(address_sanitizer)
#define CAISSON_EMITTER
#else
#define CAISSON_EMITTER __attribute__((preserve_none))
#endif
// What emitters of many encodings go on in, with operands in registers: which comes next cannot be predicted, so all of them should fit
// in the host's cache of instructions.
#define CAISSON_SHARED [[gnu::noinline]] CAISSON_EMITTER

namespace caisson::baseline {

class GuestRegisters {
 protected:
  explicit GuestRegisters(const RegisterMap& map) {
    map_hosts_.fill(kNoHost);
    map_places_ = kIntegerHomes;
    for (std::size_t index = 0; index < kIntegerHosts.size(); ++index) {
      map_hosts_[map.integers[index]] = static_cast<std::uint8_t>(number(kIntegerHosts[index]));
      map_places_[map.integers[index]] = kIntegerHosts[index];
    }
    use_homes();
  }

  X86Assembler& code() { return code_; }

  // Every register is at home, as the map says.
  void use_homes() {
    hosts_ = map_hosts_;
    places_ = homes_ = map_places_;
    cached_ = 0;
    cached_mask_ = 0;
    next_scratch_ = 0;  // the same code for the same page, whatever was compiled before
    known_ = kKnownZero;
  }
  // The register's home is `host` from here on, or HartState again; who calls moves the value.
  void move_home(unsigned reg, Gp host) {
    drop_copy(reg);
    hosts_[reg] = static_cast<std::uint8_t>(number(host));
    set_home(reg, host);
  }
  void move_home_to_memory(unsigned reg) {
    hosts_[reg] = kNoHost;
    set_home(reg, integer_home(reg));
  }
  // Only what is written to the register goes to `host` for now; it is read where it was.
  void redirect_result(unsigned reg, Gp host) { hosts_[reg] = static_cast<std::uint8_t>(number(host)); }

  bool is_pinned(unsigned reg) const { return hosts_[reg] != kNoHost; }
  // All bits, or none; without a branch.
  unsigned mask_unless_pinned(unsigned reg) const {
    static_assert(kNoHost == 0xFF);
    return 0U - (hosts_[reg] >> 7U);
  }
  Gp host(unsigned reg) const { return static_cast<Gp>(hosts_[reg]); }

  // Where the register can be read now.
  [[gnu::always_inline]] Place operand(unsigned reg) {
    const Place place = places_[reg];
    const bool is_absolute = place.is_absolute();
    [[assume(!is_absolute)]];
    busy_ |= place.first_tag();
    return place;
  }
  // A register that holds it.
  [[gnu::always_inline]] Gp use(unsigned reg) {
    const Place place = operand(reg);
    if (place.is_register()) return place.gp();
    const Gp into = scratch();
    if (reg == 0) {
      code_.load_immediate(into, 0);
    } else {
      code_.mov(Width::k64, into, place);
      cache(reg, into);
    }
    return into;
  }
  // A scratch register with the zero-extended low half of `base`.
  [[gnu::always_inline]] Gp use_low_half(unsigned base) {
    if (const unsigned kept = places_[base].second_tag(); kept != 0) {
      busy_ |= kept;
      return scratch_of(kept);
    }
    const Place from = operand(base);
    const unsigned bit = scratch_bit();
    const Gp at = scratch_of(bit);
    code_.mov(Width::k32, at, from);
    cached_ |= (base | kLowHalf) << number(at) * 8;
    cached_mask_ |= bit;
    places_[base] = from.with_tags(from.first_tag(), bit);
    return at;
  }

  // Scratch registers that this instruction uses are busy until begin_instruction().
  void begin_instruction() { busy_ = 0; }
  void release(Gp reg) { busy_ &= ~(1u << number(reg)); }
  [[gnu::always_inline]] Gp scratch() { return scratch_of(scratch_bit()); }
  [[gnu::always_inline]] unsigned scratch_bit() {
    assert(busy_ != kAllScratch);
    if (const unsigned empty = ~(busy_ | cached_mask_) & kAllScratch; empty != 0) {
      const unsigned bit = empty & (0 - empty);
      busy_ |= bit;
      return bit;
    }
    return 1u << number(evict());
  }
  Gp take(Gp specific) {
    forget(number(specific));
    busy_ |= 1u << number(specific);
    return specific;
  }

  // Where the result for `reg` may be put together; finish() brings it home.
  [[gnu::always_inline]] Gp target(unsigned reg) { return is_pinned(reg) ? host(reg) : scratch(); }
  [[gnu::always_inline]] void finish(unsigned reg, Gp value) {
    if (reg == 0) return;
    written(reg);
    if (hosts_[reg] != number(value)) bring_home(reg, value);
  }
  // From a scratch register that has a copy of nothing, to memory.
  [[gnu::always_inline]] void bring_home_from_scratch(unsigned reg, Gp value) {
    code_.store(Width::k64, integer_home(reg), value);
    cache(reg, value);
  }
  CAISSON_SHARED void bring_home(unsigned reg, Gp value) {
    if (is_pinned(reg)) {
      code_.mov(Width::k64, host(reg), value);
      return;
    }
    code_.store(Width::k64, integer_home(reg), value);
    if (number(value) < kScratchCount) {
      forget(number(value));
      cache(reg, value);
    }
  }
  // Copies of the register are of no use any more.
  [[gnu::always_inline]] void written(unsigned reg) {
    known_ &= ~(std::uint32_t{1} << reg);
    if (places_[reg].tags() != 0) [[unlikely]]
      forget_all(places_[reg].first_tag() | places_[reg].second_tag());
  }

  // All at once: whether there is a copy, and of what, is different each time, and a branch that is not predicted costs more than this.
  void forget_scratch() {
    for (unsigned index = 0; index < kScratchCount; ++index) {
      const unsigned reg = (cached_ >> index * 8 & 0xFF) & ~kLowHalf;  // or 0, which has no copies
      places_[reg] = homes_[reg];
    }
    cached_ = 0;
    cached_mask_ = 0;
  }
  void forget_registers() {
    forget_scratch();
    known_ = kKnownZero;
  }
  // 0: nothing is known beyond what the map says.
  unsigned what_is_kept() const { return (known_ ^ kKnownZero) | cached_mask_; }

  [[gnu::always_inline]] std::optional<std::uint64_t> known(unsigned reg) const {
    if ((known_ >> reg & 1) != 0) return known_values_[reg];
    return std::nullopt;
  }
  void set_known(unsigned reg, std::uint64_t value) {
    known_ |= std::uint32_t{1} << reg;
    known_values_[reg] = value;
  }

  CAISSON_SHARED void load_known(unsigned reg, std::uint64_t value) {
    if (reg == 0) return;
    const bool is_signed_word = static_cast<std::int64_t>(value) == static_cast<std::int32_t>(value);
    if (__builtin_unpredictable((mask_unless_pinned(reg) & (unsigned{value == 0} | unsigned{!is_signed_word})) != 0))
      return load_known_into_memory(reg, value);
    code_.load_or_store_immediate(!is_pinned(reg), host(reg), integer_home(reg), value);
    written(reg);
    set_known(reg, value);
  }
  // Of what no instruction stores as it stands.
  CAISSON_SHARED void load_known_into_memory(unsigned reg, std::uint64_t value) {
    const Gp from = scratch();
    code_.load_immediate(from, value);
    finish(reg, from);
    set_known(reg, value);
  }

  void copy(Gp to, Place from) { code_.mov(Width::k64, to, from); }

  static constexpr std::uint8_t kNoHost = 0xFF;

 private:
  static constexpr unsigned kRegisters = 33, kScratchCount = 3, kAllScratch = 7;  // rax, rcx and rdx are 0, 1 and 2
  static constexpr unsigned kLowHalf = 0x40;

  // 1, 2 and 4 are 0, 1 and 2.
  static Gp scratch_of(unsigned bit) {
    [[assume(bit <= 4)]];
    return static_cast<Gp>(bit >> 1);
  }
  // What is rarely needed preserves the registers of who asks, so that these functions have nothing to save.
  [[gnu::noinline, clang::preserve_most]] Gp evict() {
    next_scratch_ = kNextScratch[next_scratch_][busy_];
    [[assume(next_scratch_ < kScratchCount)]];
    forget_copy(next_scratch_);
    busy_ |= 1u << next_scratch_;
    return static_cast<Gp>(next_scratch_);
  }
  // The scratch register behind one, in turn, that is not among those that are busy.
  static constexpr auto kNextScratch = [] {
    std::array<std::array<std::uint8_t, kAllScratch + 1>, kScratchCount> next{};
    for (unsigned last = 0; last < kScratchCount; ++last) {
      for (unsigned busy = 0; busy < kAllScratch; ++busy) {
        unsigned index = (last + 1) % kScratchCount;
        while ((busy >> index & 1) != 0) index = (index + 1) % kScratchCount;
        next[last][busy] = static_cast<std::uint8_t>(index);
      }
    }
    return next;
  }();
  [[gnu::always_inline]] void cache(unsigned reg, Gp in) {
    cached_ |= reg << number(in) * 8;
    cached_mask_ |= 1u << number(in);
    places_[reg] = Place(in).with_tags(1u << number(in), places_[reg].second_tag());
  }
  void forget(unsigned index) {
    if ((cached_mask_ >> index & 1) != 0) forget_copy(index);
  }
  // Of a scratch register that has one.
  void forget_copy(unsigned index) {
    const unsigned shift = index * 8, kept = cached_ >> shift & 0xFF;
    cached_ &= ~(0xFFu << shift);
    cached_mask_ &= ~(1u << index);
    Place& place = places_[kept & ~kLowHalf];
    const Place without_copy = homes_[kept & ~kLowHalf].with_tags(0, place.second_tag());
    const Place without_low_half = place.with_tags(place.first_tag(), 0);
    place = choose((kept & kLowHalf) != 0, without_low_half, without_copy);
  }
  [[gnu::noinline, clang::preserve_most]] void forget_all(unsigned scratch_registers) {
    for (; scratch_registers != 0; scratch_registers &= scratch_registers - 1)
      forget(static_cast<unsigned>(std::countr_zero(scratch_registers)));
  }
  [[gnu::always_inline]] void drop_copy(unsigned reg) {
    if (places_[reg].first_tag() != 0) forget(number(places_[reg].gp()));
  }
  void set_home(unsigned reg, Place home) {
    homes_[reg] = home;
    places_[reg] = home.with_tags(0, places_[reg].second_tag());
  }

  X86Assembler code_;
  std::uint32_t cached_ =
      0;  // a byte for each scratch register: what it has a copy of, | kLowHalf of its low half; 0: nothing
  unsigned cached_mask_ = 0;  // which bytes are not 0
  unsigned busy_ = 0;
  unsigned next_scratch_ = 0;
  static constexpr std::uint32_t kKnownZero = 1;  // x0 always is
  std::uint32_t known_ = kKnownZero;  // registers whose value is in known_values_
  std::array<std::uint8_t, kRegisters> hosts_;
  // Where each register can be read: a scratch register's place has its bit as first tag; as second tag there is the bit of the scratch
  // register that has the low half, or 0.
  std::array<Place, kRegisters> places_;
  std::array<Place, kRegisters> homes_;
  std::array<std::uint64_t, 32> known_values_{};
  std::array<std::uint8_t, kRegisters> map_hosts_;
  std::array<Place, kRegisters> map_places_;
};

}  // namespace caisson::baseline
