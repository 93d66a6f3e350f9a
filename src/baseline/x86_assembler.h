// Writes x86-64 instructions: what the baseline tier emits, and no more.
//
// A general assembler library takes 14 ns an instruction (design: measured.md), which alone exceeds what this tier may spend on a
// guest instruction; these are a few stores each. tests/unit/x86_assembler_test.cpp compares every form with llvm-mc.
// Encodings: Intel SDM volume 2 ("Instruction Format", and each instruction's page).
//
// The caller checks remaining() now and then: a guest instruction needs at most kLongestSequence bytes.
// Not thread-safe.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>

namespace caisson::baseline {

// NOLINTBEGIN(readability-identifier-naming): the processor's names
enum class Gp : std::uint8_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };
enum class Xmm : std::uint8_t {
  xmm0,
  xmm1,
  xmm2,
  xmm3,
  xmm4,
  xmm5,
  xmm6,
  xmm7,
  xmm8,
  xmm9,
  xmm10,
  xmm11,
  xmm12,
  xmm13,
  xmm14,
  xmm15
};
// NOLINTEND(readability-identifier-naming)

constexpr unsigned number(Gp reg) { return static_cast<unsigned>(reg); }
constexpr unsigned number(Xmm reg) { return static_cast<unsigned>(reg); }

enum class Width : std::uint8_t { k32, k64 };

// Where an operand lies: a register, [base + displacement], [base + index × scale + displacement], or an absolute host address
// that the instruction pointer reaches. It is kept as the bytes that say so in an instruction of a REX prefix and a one-byte opcode, so
// that writing one is adding the rest, and a store.
class Place {
 public:
  constexpr Place() : Place(Gp::rax) {}
  // NOLINTNEXTLINE(google-explicit-constructor): a register is a place
  constexpr Place(Gp reg) : Place(number(reg)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr Place(Xmm reg) : Place(number(reg)) {}
  static constexpr Place at(Gp base, std::int32_t displacement) {
    const unsigned low = number(base) & 7;
    const bool has_scale_byte = low == 4;  // rsp and r12 have no form without
    const std::uint64_t head = has_scale_byte ? 4u | 0x2400u : low;
    const unsigned head_bytes = has_scale_byte ? 2 : 1;
    return Place(head | std::uint64_t{static_cast<std::uint32_t>(displacement)} << head_bytes * 8, number(base) >> 3,
                 head_bytes | kMemory)
        .with_displacement(low, displacement);
  }
  static constexpr Place indexed(Gp base, Gp index, unsigned scale = 0, std::int32_t displacement = 0) {
    const unsigned low = number(base) & 7;
    const std::uint64_t head = 4u | (scale << 6 | (number(index) & 7) << 3 | low) << 8;
    return Place(head | std::uint64_t{static_cast<std::uint32_t>(displacement)} << 16,
                 number(index) >> 3 << 1 | number(base) >> 3, 2 | kMemory)
        .with_displacement(low, displacement);
  }
  // The distance is known where the instruction is written; the low half of the address tells it.
  static Place absolute(const void* address) {
    return Place(5 | (std::bit_cast<std::uint64_t>(address) & 0xFFFFFFFF) << 8, 0, 5 | kMemory | kAbsolute);
  }

  constexpr bool is_register() const { return (about_ & kMemory) == 0; }
  constexpr unsigned in_memory() const { return about_ / kMemory & 1; }  // 1 or 0, to be calculated with
  constexpr bool is_absolute() const { return (about_ & kAbsolute) != 0; }
  constexpr bool is(Gp reg) const { return word_ == Place(reg).word_; }
  constexpr Gp gp() const { return static_cast<Gp>((word_ >> kModRmShift & 7) | (word_ & 1) << 3); }

  // REX.X and REX.B in the first byte, nothing in the second, behind them ModRM with a register field of 0, and what follows it. The
  // bytes behind are anything.
  constexpr std::uint64_t word() const { return word_; }
  // From ModRM on.
  constexpr unsigned length() const { return about_ & kLength; }
  constexpr std::uint64_t bytes() const { return word_ >> kModRmShift; }
  // What a register says where an instruction names it beside a place: REX.R and the field of ModRM, as in word().
  constexpr std::uint32_t register_fields() const {
    return static_cast<std::uint32_t>((word_ & 1) << 2 | (word_ >> kModRmShift & 7) << (kModRmShift + 3));
  }
  constexpr unsigned rex() const { return static_cast<unsigned>(word_ & 0xFF); }

  // Two bytes that go with the place and mean what their owner says; 0 unless they were set.
  constexpr Place with_tags(unsigned first, unsigned second) const {
    Place place = *this;
    place.about_ = (about_ & ((1u << kFirstTagShift) - 1)) | std::uint64_t{first} << kFirstTagShift |
                   std::uint64_t{second} << kSecondTagShift;
    return place;
  }
  constexpr unsigned first_tag() const { return static_cast<std::uint32_t>(about_) >> kFirstTagShift; }
  constexpr unsigned second_tag() const { return static_cast<unsigned>(about_ >> kSecondTagShift); }
  // Of which all bits are in the result, if not as they are in the tags; 0: there is none.
  constexpr std::uint64_t tags() const { return about_ >> kFirstTagShift; }

 private:
  static constexpr unsigned kModRmShift = 16, kFirstTagShift = 24, kSecondTagShift = 32;
  static constexpr std::uint32_t kLength = 0xFF, kMemory = 1 << 8, kAbsolute = 1 << 9;

  constexpr explicit Place(unsigned reg) : Place(0xC0 | (reg & 7), reg >> 3, 1) {}
  constexpr Place(std::uint64_t bytes, unsigned rex, std::uint32_t about)
      : word_(bytes << kModRmShift | rex), about_(about) {}

  // With the mod field and the length of a displacement that is in place. A base of rbp or r13 has no form without.
  constexpr Place with_displacement(unsigned base, std::int32_t displacement) const {
    const bool is_long = displacement != static_cast<std::int8_t>(displacement);
    const unsigned mod = static_cast<unsigned>(displacement != 0 || base == 5) + static_cast<unsigned>(is_long);
    Place place = *this;
    place.word_ += std::uint64_t{mod} << (kModRmShift + 6);
    place.about_ += mod + (mod & 2);
    return place;
  }

  friend Place choose(bool first, Place one, Place other);

  std::uint64_t word_;
  // The length, of what kind it is, the tags; as long as the word, so that a place is copied at once.
  std::uint64_t about_;
};

enum class Alu : std::uint8_t { kAdd, kOr, kAdc, kSbb, kAnd, kSub, kXor, kCmp };  // as the opcode field says
enum class Shift : std::uint8_t { kRol = 0, kRor = 1, kShl = 4, kShr = 5, kSar = 7 };
enum class Condition : std::uint8_t {
  kOverflow,
  kNoOverflow,
  kBelow,
  kAboveEqual,
  kEqual,
  kNotEqual,
  kBelowEqual,
  kAbove,
  kSign,
  kNoSign,
  kParity,
  kNoParity,
  kLess,
  kGreaterEqual,
  kLessEqual,
  kGreater
};
constexpr Condition negated(Condition condition) {
  return static_cast<Condition>(static_cast<unsigned>(condition) ^ 1);
}

// An opcode: its bytes behind 0F maps, and a mandatory prefix.
enum class Map : std::uint8_t { kOneByte = 0, k0F = 1, k0F38 = 2, k0F3A = 3 };
enum class Prefix : std::uint8_t { kNone = 0, k66 = 1, kF3 = 2, kF2 = 3 };

// An opcode of one byte, or of two behind 0F, of an instruction with one register and one place.
struct AccessOpcode {
  std::uint16_t bytes;
  std::uint8_t bits;  // as many as these bytes have
  std::uint8_t rex;  // with REX.W or without

  constexpr bool is_long() const { return bits == 16; }
  constexpr Width width() const { return (rex & 8) != 0 ? Width::k64 : Width::k32; }
};
constexpr std::uint8_t rex_of(Width width) { return width == Width::k64 ? 0x48 : 0x40; }
constexpr AccessOpcode one_byte_opcode(std::uint8_t opcode, Width width) { return {opcode, 8, rex_of(width)}; }
constexpr AccessOpcode two_byte_opcode(std::uint8_t opcode, Width width) {
  return {static_cast<std::uint16_t>(0x0F | opcode << 8), 16, rex_of(width)};
}

// One of two without a branch. A compiler that is not told so makes branches of selections, and several of a condition with several parts:
// an `if` of __builtin_unpredictable() stays one, and whether it is taken may be predicted all the same.
template <class T>
[[gnu::always_inline]] inline T choose(bool first, T one, T other) {
  return __builtin_unpredictable(first) ? one : other;
}
[[gnu::always_inline]] inline Place choose(bool first, Place one, Place other) {
  one.word_ = choose(first, one.word_, other.word_);
  one.about_ = choose(first, one.about_, other.about_);
  return one;
}

class X86Assembler {
 public:
  X86Assembler() = default;
  // Writes at `write`, for code that will run at `write` + `execute_delta`; at most `capacity` bytes.
  X86Assembler(std::uint8_t* write, std::ptrdiff_t execute_delta, std::size_t capacity)
      : begin_(write), cursor_(write), end_(write + capacity), delta_(execute_delta) {}

  std::uint8_t* cursor() const { return cursor_; }
  std::uint32_t offset() const { return static_cast<std::uint32_t>(cursor_ - begin_); }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - cursor_); }
  // Where what is written next will run.
  const std::uint8_t* here() const { return cursor_ + delta_; }
  const std::uint8_t* executable(std::uint32_t offset) const { return begin_ + offset + delta_; }

  // --- moves ---
  void mov(Width width, Gp to, Place from) {
    if (from.is(to) && width == Width::k64) return;
    op(0x8B, width, number(to), from);
  }
  void store(Width width, Place to, Gp from) { op(0x89, width, number(from), to); }
  // `mov reg, place` or `mov place, reg`, of 64 bits; which of them is not branched on.
  void mov_or_store(bool is_store, Gp reg, Place place) {
    assert(!place.is_absolute());
    put_word(place.word() | kRegisterFields[number(reg)] | (is_store ? 0x8948 : 0x8B48), 2 + place.length());
  }
  void store8(Place to, Gp from) { op_byte(0x88, number(from), to); }
  void operand_size_prefix() { put8(0x66); }
  void store16(Place to, Gp from) {
    operand_size_prefix();
    op(0x89, Width::k32, number(from), to);
  }
  void store_immediate(Width width, Place to, std::int32_t value) {
    op(0xC7, width, 0, to, 4);
    put32(static_cast<std::uint32_t>(value));
  }
  void store8_immediate(Place to, std::uint8_t value) {
    op(0xC6, Width::k32, 0, to, 1);
    put8(value);
  }
  void load_immediate(Gp to, std::uint64_t value) { load_or_store_immediate(false, to, to, value); }
  // Into a register, or to a place with a displacement of a byte what is a sign-extended word; which of them is not branched on.
  void load_or_store_immediate(bool is_store, Gp to, Place place, std::uint64_t value) {
    const bool is_word = value >> 32 == 0;
    const bool is_signed_word = static_cast<std::int64_t>(value) == static_cast<std::int32_t>(value);
    assert(!is_store || (is_signed_word && place.length() == 2));
    if (!is_word && !is_signed_word) [[unlikely]] {
      rex(true, number(to));
      put8(static_cast<std::uint8_t>(0xB8 | (number(to) & 7)));
      return put64(value);
    }
    // As kImmediateForms counts.
    const unsigned form = unsigned{value != 0} + (is_word ? 0 : 2) - unsigned{value == ~std::uint64_t{0}};
    const ImmediateForm loads = kImmediateForms[form][number(to) & 15];
    const std::uint64_t immediate = value & 0xFFFFFFFF;
    const std::uint64_t load = loads.head | immediate << loads.immediate_at;
    const std::uint64_t store = (place.word() & 0xFFFFFFFF) | 0xC748 | immediate << 32;
    put_word(choose(is_store, store, load), choose<unsigned>(is_store, 8, loads.length));
  }
  // In one form, which keeps the flags, where load_immediate() may not.
  void load_word(Gp to, std::uint32_t value) {
    const unsigned low = number(to) & 7, later = number(to) >> 3;
    put_word((0x40 | later | (0xB8 | low) << 8 | std::uint64_t{value} << 16) >> (8 - later * 8), 5 + later);
  }
  void lea(Width width, Gp to, Place from) { op(0x8D, width, number(to), from); }
  void movsxd(Gp to, Place from) { op(0x63, Width::k64, number(to), from); }
  void movsx8(Gp to, Place from) { op_byte_source(0xBE, Width::k64, number(to), from); }
  void movsx16(Gp to, Place from) { op(0xBF, Width::k64, number(to), from, 0, Map::k0F); }
  void movzx8(Gp to, Place from) { op_byte_source(0xB6, Width::k32, number(to), from); }
  void movzx16(Gp to, Place from) { op(0xB7, Width::k32, number(to), from, 0, Map::k0F); }
  void cmov(Condition condition, Gp to, Place from) {
    op(static_cast<std::uint8_t>(0x40 | static_cast<unsigned>(condition)), Width::k64, number(to), from, 0, Map::k0F);
  }
  void cmov32(Condition condition, Gp to, Place from) {
    op(static_cast<std::uint8_t>(0x40 | static_cast<unsigned>(condition)), Width::k32, number(to), from, 0, Map::k0F);
  }
  void set(Condition condition, Gp to) {
    op_byte(static_cast<std::uint8_t>(0x90 | static_cast<unsigned>(condition)), 0, to, Map::k0F);
  }
  void push(Gp reg) {
    rex(false, number(reg));
    put8(static_cast<std::uint8_t>(0x50 | (number(reg) & 7)));
  }
  // Of the first eight registers, at most so often.
  static constexpr unsigned kMostPushes = 8;
  void push_repeatedly(Gp reg, unsigned count) { put_word(0x0101010101010101 * (0x50 | number(reg)), count); }
  void push(Place from) { op(0xFF, Width::k32, 6, from); }
  void pop(Gp reg) {
    rex(false, number(reg));
    put8(static_cast<std::uint8_t>(0x58 | (number(reg) & 7)));
  }

  void load(AccessOpcode opcode, Gp to, Place from) {
    op(static_cast<std::uint8_t>(opcode.is_long() ? opcode.bytes >> 8 : opcode.bytes), opcode.width(), number(to), from,
       0, opcode.is_long() ? Map::k0F : Map::kOneByte);
  }
  // `opcode reg, [base + index + displacement]`, or the other direction: what a guest's loads and stores are. `base` is one of the later
  // registers and has a form without displacement, `index` is one of the first.
  void access(AccessOpcode opcode, Gp reg, Gp base, Gp index, std::int32_t displacement) {
    assert(number(base) >= 8 && base != Gp::r13 && number(index) < 8 && index != Gp::rsp);
    const unsigned is_long = displacement != static_cast<std::int8_t>(displacement) ? 1 : 0;
    const unsigned mod = (displacement != 0 ? 1U : 0U) + is_long;
    const std::uint32_t fields = kRegisterFields[number(reg)];
    const std::uint64_t operand = std::uint64_t{static_cast<std::uint32_t>(displacement)} << 16 |
                                  (number(index) << 11 | mod << 6 | (number(base) & 7) << 8 | fields >> 16 | 4u);
    constexpr unsigned kRexB = 1;
    reinterpret_cast<CodeWord*>(cursor_)->value = kRexB | opcode.rex | (fields & 0xFF);
    reinterpret_cast<CodeWord*>(cursor_ + 1)->value = operand << opcode.bits | opcode.bytes;
    cursor_ += 3 + opcode.bits / 8 + mod + (mod & 2);
  }

  // --- arithmetic ---
  void alu(Alu operation, Width width, Gp to, Place from) {
    op(static_cast<std::uint8_t>(static_cast<unsigned>(operation) * 8 + 3), width, number(to), from);
  }
  // The other direction: memory (or a register) is the destination.
  void alu_to(Alu operation, Width width, Place to, Gp from) {
    op(static_cast<std::uint8_t>(static_cast<unsigned>(operation) * 8 + 1), width, number(from), to);
  }
  void alu_immediate(Alu operation, Width width, Place to, std::int32_t value) {
    const bool is_short = value == static_cast<std::int8_t>(value);
    op(is_short ? 0x83 : 0x81, width, static_cast<unsigned>(operation), to, is_short ? 1 : 4);
    put_word(static_cast<std::uint32_t>(value), is_short ? 1 : 4);
  }
  // The short form for 1, which leaves all flags but the carry alike.
  void subtract_immediate(Width width, Gp from, std::int32_t value) {
    if (value == 1) {
      op(0xFF, width, 1, from);
    } else {
      alu_immediate(Alu::kSub, width, from, value);
    }
  }
  // 64 bits of `first` with those of `second`, of which one is a register, or with 0. Which of the forms it is, is not branched on: it cannot
  // be predicted.
  void compare(Place first, Place second, bool with_zero) {
    assert((with_zero || first.is_register() || second.is_register()) && !first.is_absolute() && !second.is_absolute());
    constexpr std::array<std::uint32_t, 4> kForms = {0x3B48, 0x3948, 0x8548, 0x388348};  // cmp, cmp, test, cmp
    const unsigned form = first.in_memory() + (with_zero ? 2 : 0);
    const bool names_second = form == 0, has_immediate = form == 3;
    const std::uint32_t fields = choose(first.is_register(), first.register_fields(), second.register_fields());
    put_word(choose(names_second, second.word(), first.word()) | choose(has_immediate, 0U, fields) | kForms[form],
             2 + choose(names_second, second.length(), first.length()));
    put_word(0, has_immediate ? 1 : 0);
  }
  void test(Width width, Gp a, Gp b) { op(0x85, width, number(b), a); }
  void test_immediate8(Gp reg, std::uint8_t value) {
    op_byte(0xF6, 0, reg);
    put8(value);
  }
  void imul(Width width, Gp to, Place from) { op(0xAF, width, number(to), from, 0, Map::k0F); }
  void invert(Width width, Gp reg) { op(0xF7, width, 2, reg); }
  void neg(Width width, Gp reg) { op(0xF7, width, 3, reg); }
  void imul_wide(Width width, Place by) { op(0xF7, width, 5, by); }  // rdx:rax = rax × by, signed
  void div(Width width, Place by) { op(0xF7, width, 6, by); }  // rax, rdx = rdx:rax / by, unsigned
  void idiv(Width width, Place by) { op(0xF7, width, 7, by); }
  void sign_extend_rax(Width width) {  // cdq, cqo: into rdx
    rex(width == Width::k64, 0);
    put8(0x99);
  }
  void shift_immediate(Shift operation, Width width, Gp reg, std::uint8_t amount) {
    op(0xC1, width, static_cast<unsigned>(operation), reg);
    put8(amount);
  }
  void shift_by_cl(Shift operation, Width width, Gp reg) { op(0xD3, width, static_cast<unsigned>(operation), reg); }
  void bswap(Gp reg) {
    rex(true, number(reg));
    put8(0x0F);
    put8(static_cast<std::uint8_t>(0xC8 | (number(reg) & 7)));
  }
  void lzcnt(Width width, Gp to, Place from) { counted(0xBD, width, to, from); }
  void tzcnt(Width width, Gp to, Place from) { counted(0xBC, width, to, from); }
  void popcnt(Width width, Gp to, Place from) { counted(0xB8, width, to, from); }
  // bt, bts, btr, btc of a register's bit: 4 … 7 as the opcode extension says.
  enum class Bit : std::uint8_t { kTest = 4, kSet = 5, kReset = 6, kComplement = 7 };
  void bit_immediate(Bit operation, Gp reg, std::uint8_t position) {
    op(0xBA, Width::k64, static_cast<unsigned>(operation), reg, 1, Map::k0F);
    put8(position);
  }
  void bit(Bit operation, Gp reg, Gp position) {
    op(static_cast<std::uint8_t>(0xA3 + (static_cast<unsigned>(operation) - 4) * 8), Width::k64, number(position), reg,
       0, Map::k0F);
  }
  // BMI1, BMI2
  void shlx(Width width, Gp to, Place from, Gp amount) {
    vex(Prefix::k66, Map::k0F38, width == Width::k64, 0xF7, number(to), number(amount), from);
  }
  void shrx(Width width, Gp to, Place from, Gp amount) {
    vex(Prefix::kF2, Map::k0F38, width == Width::k64, 0xF7, number(to), number(amount), from);
  }
  void sarx(Width width, Gp to, Place from, Gp amount) {
    vex(Prefix::kF3, Map::k0F38, width == Width::k64, 0xF7, number(to), number(amount), from);
  }
  void rorx(Width width, Gp to, Place from, std::uint8_t amount) {
    vex(Prefix::kF2, Map::k0F3A, width == Width::k64, 0xF0, number(to), 0, from, 1);
    put8(amount);
  }
  void andn(Width width, Gp to, Gp inverted, Place other) {
    vex(Prefix::kNone, Map::k0F38, width == Width::k64, 0xF2, number(to), number(inverted), other);
  }
  void mulx(Gp high, Gp low, Place by) {  // high:low = rdx × by, unsigned
    vex(Prefix::kF2, Map::k0F38, true, 0xF6, number(high), number(low), by);
  }

  // --- atomics ---
  void lock_xadd(Width width, Place memory, Gp reg) {
    put8(0xF0);
    op(0xC1, width, number(reg), memory, 0, Map::k0F);
  }
  void lock_cmpxchg(Width width, Place memory, Gp desired) {  // rax is what is expected
    put8(0xF0);
    op(0xB1, width, number(desired), memory, 0, Map::k0F);
  }
  void xchg(Width width, Place memory, Gp reg) { op(0x87, width, number(reg), memory); }
  void mfence() {
    put8(0x0F);
    put8(0xAE);
    put8(0xF0);
  }

  // --- control ---
  void jmp(const void* target) {
    put8(0xE9);
    put_relative(target);
  }
  void call(const void* target) {
    put8(0xE8);
    put_relative(target);
  }
  void jcc(Condition condition, const void* target) {
    put8(0x0F);
    put8(static_cast<std::uint8_t>(0x80 | static_cast<unsigned>(condition)));
    put_relative(target);
  }
  void jmp(Place target) { op(0xFF, Width::k32, 4, target); }
  void call(Gp target) { op(0xFF, Width::k32, 2, target); }
  void call(Place memory) { op(0xFF, Width::k32, 2, memory); }
  void ret() { put8(0xC3); }
  void int3() { put8(0xCC); }

  // Forward jumps: the offset of their displacement, to be bound later.
  std::uint32_t jmp_forward() {
    put_word(0xE9, 5);
    return offset() - 4;
  }
  std::uint32_t call_forward() {
    put_word(0xE8, 5);
    return offset() - 4;
  }
  std::uint32_t jcc_forward(Condition condition) {
    put_word(0x800F | static_cast<unsigned>(condition) << 8, 6);
    return offset() - 4;
  }
  std::uint32_t jmp_short_forward() {
    put_word(0xEB, 2);
    return offset() - 1;
  }
  std::uint32_t jcc_short_forward(Condition condition) {
    put8(static_cast<std::uint8_t>(0x70 | static_cast<unsigned>(condition)));
    put8(0);
    return offset() - 1;
  }
  void bind(std::uint32_t jump) { bind_to(jump, offset()); }
  void bind_to(std::uint32_t jump, std::uint32_t target) {
    const std::uint32_t distance = target - (jump + 4);
    std::memcpy(begin_ + jump, &distance, sizeof distance);
  }
  // The target must be within 127 bytes, which is for the caller to know.
  void bind_short(std::uint32_t jump) { begin_[jump] = static_cast<std::uint8_t>(offset() - (jump + 1)); }
  // To code that was written before.
  void jmp_back(std::uint32_t target) {
    const std::int32_t distance = static_cast<std::int32_t>(target) - static_cast<std::int32_t>(offset() + 2);
    if (distance >= -128) {
      put8(0xEB);
      put8(static_cast<std::uint8_t>(distance));
    } else {
      put8(0xE9);
      put32(target - (offset() + 4));
    }
  }
  // To code so near that a short jump reaches it, which is for the caller to know, so many bytes from here; or a forward jump: the offset of
  // its displacement. Both are prepared, since which one it is can hardly be predicted.
  std::uint32_t jcc_back_short_or_forward(Condition condition, bool is_short, std::size_t distance) {
    const auto number = static_cast<unsigned>(condition);
    const std::uint64_t near = 0x70 | number | ((distance - 2) & 0xFF) << 8;
    put_word(choose(is_short, near, std::uint64_t{0x800F | number << 8}), is_short ? 2 : 6);
    return offset() - 4;
  }
  // To code that was written before, or a forward jump: the offset of its displacement. The same.
  std::uint32_t jcc_back_or_forward(Condition condition, bool is_back, std::uint32_t target) {
    const auto number = static_cast<unsigned>(condition);
    const std::uint32_t distance = target - (offset() + 2);  // of the short form
    const bool is_short = is_back & (static_cast<std::int32_t>(distance) >= -128);
    const std::uint64_t near = 0x70 | number | std::uint64_t{distance & 0xFF} << 8;
    const std::uint64_t far = 0x800F | number << 8 | std::uint64_t{distance - 4} << 16;
    put_word(choose(is_short, near, far), is_short ? 2 : 6);
    return offset() - 4;
  }
  void jcc_back(Condition condition, std::uint32_t target) {
    const std::int32_t distance = static_cast<std::int32_t>(target) - static_cast<std::int32_t>(offset() + 2);
    if (distance >= -128) {
      put8(static_cast<std::uint8_t>(0x70 | static_cast<unsigned>(condition)));
      put8(static_cast<std::uint8_t>(distance));
    } else {
      put8(0x0F);
      put8(static_cast<std::uint8_t>(0x80 | static_cast<unsigned>(condition)));
      put32(target - (offset() + 4));
    }
  }
  // Rounds up with int3, which is never reached.
  void align(std::uint32_t alignment) {
    while (reinterpret_cast<std::uintptr_t>(here()) % alignment != 0) int3();
  }

  // --- AVX: scalar and logical operations on xmm registers ---
  // `op xmm1, xmm2, xmm3/m`
  void avx(Prefix prefix, std::uint8_t opcode, Xmm to, Xmm first, Place second) {
    vex(prefix, Map::k0F, false, opcode, number(to), number(first), second);
  }
  void avx(Prefix prefix, Map map, bool w, std::uint8_t opcode, Xmm to, Xmm first, Place second) {
    vex(prefix, map, w, opcode, number(to), number(first), second);
  }
  void vmovsd_load(Xmm to, Place from) { vex(Prefix::kF2, Map::k0F, false, 0x10, number(to), 0, from); }
  void vmovsd_store(Place to, Xmm from) { vex(Prefix::kF2, Map::k0F, false, 0x11, number(from), 0, to); }
  void vmovss_load(Xmm to, Place from) { vex(Prefix::kF3, Map::k0F, false, 0x10, number(to), 0, from); }
  void vmovss_store(Place to, Xmm from) { vex(Prefix::kF3, Map::k0F, false, 0x11, number(from), 0, to); }
  void vmovapd(Xmm to, Xmm from) {
    if (to != from) vex(Prefix::kNone, Map::k0F, false, 0x28, number(to), 0, from);
  }
  void vmovq(Xmm to, Gp from) { vex(Prefix::k66, Map::k0F, true, 0x6E, number(to), 0, from); }
  void vmovq(Gp to, Xmm from) { vex(Prefix::k66, Map::k0F, true, 0x7E, number(from), 0, to); }
  void vmovd(Xmm to, Gp from) { vex(Prefix::k66, Map::k0F, false, 0x6E, number(to), 0, from); }
  void vmovd(Gp to, Xmm from) { vex(Prefix::k66, Map::k0F, false, 0x7E, number(from), 0, to); }
  // Conversion to an integer register: opcode 0x2C truncates, 0x2D rounds.
  void convert_to_integer(Prefix prefix, std::uint8_t opcode, Width width, Gp to, Place from) {
    vex(prefix, Map::k0F, width == Width::k64, opcode, number(to), 0, from);
  }
  void convert_from_integer(Prefix prefix, Width width, Xmm to, Xmm upper, Place from) {
    vex(prefix, Map::k0F, width == Width::k64, 0x2A, number(to), number(upper), from);
  }
  void stmxcsr(Place to) { op(0xAE, Width::k32, 3, to, 0, Map::k0F); }
  void ldmxcsr(Place from) { op(0xAE, Width::k32, 2, from, 0, Map::k0F); }

 private:
  // All is written through words of a type of their own: were it bytes, any store might change *this for all that a compiler knows.
  struct [[gnu::packed]] CodeWord {
    std::uint64_t value;
  };
  void put_word(std::uint64_t word, unsigned length) {
    reinterpret_cast<CodeWord*>(cursor_)->value = word;
    cursor_ += length;
  }
  void put8(std::uint8_t value) { put_word(value, sizeof value); }
  void put32(std::uint32_t value) { put_word(value, sizeof value); }
  void put64(std::uint64_t value) { put_word(value, sizeof value); }
  void put_relative(const void* target) {
    put32(static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(target) - (here() + 4)));
  }

  void rex(bool w, unsigned base) { put_rex((w ? 8u : 0u) | base >> 3, false); }

  // Instructions are put together in a word and stored at once, with bytes behind them that the next one overwrites.
  // What a register says in a word as Place::word(): REX.R, and the field of ModRM.
  static constexpr std::array<std::uint32_t, 16> kRegisterFields = [] {
    std::array<std::uint32_t, 16> fields{};
    for (unsigned reg = 0; reg < fields.size(); ++reg) fields[reg] = reg >> 3 << 2 | (reg & 7) << 19;
    return fields;
  }();
  // How a register gets a value: what comes before the immediate, where in the word that is (behind the instruction, where it has none),
  // and the length of all. By form, 0, a word, -1 and another sign-extended word, and by register: which it is cannot be predicted.
  struct ImmediateForm {
    std::uint32_t head;
    std::uint8_t immediate_at;  // a bit
    std::uint8_t length;
  };
  static constexpr auto kImmediateForms = [] {
    std::array<std::array<ImmediateForm, 16>, 4> forms{};
    for (unsigned reg = 0; reg < 16; ++reg) {
      const unsigned low = reg & 7, later = reg >> 3;
      const unsigned no_rex = 8 - later * 8;  // bits
      forms[0][reg] = {(0xC03340 | later * 5 | low * 9 << 16) >> no_rex, 32, static_cast<std::uint8_t>(2 + later)};
      forms[1][reg] = {(0xB840 | later | low << 8) >> no_rex, static_cast<std::uint8_t>(16 - no_rex),
                       static_cast<std::uint8_t>(5 + later)};
      forms[2][reg] = {0xFFC88348 | later | low << 16, 32, 4};  // or
      forms[3][reg] = {0xC0C748 | later | low << 16, 24, 7};
    }
    return forms;
  }();
  // REX, where it says something or is asked for.
  void put_rex(unsigned bits, bool always) {
    put_word(0x40 | bits, bits != 0 || always ? 1 : 0);  // written in any case, which is cheaper than a branch
  }
  void put_operand(unsigned reg, Place place, unsigned immediate_bytes) {
    put_word(place.bytes() | (reg & 7) << 3, place.length());
    if (place.is_absolute()) fix_distance(immediate_bytes);
  }
  // From the low half of an address to the distance from where the instruction, with its immediate, ends.
  void fix_distance(unsigned immediate_bytes) {
    std::uint32_t distance;
    std::memcpy(&distance, cursor_ - sizeof distance, sizeof distance);
    distance -= static_cast<std::uint32_t>(std::bit_cast<std::uintptr_t>(here() + immediate_bytes));
    std::memcpy(cursor_ - sizeof distance, &distance, sizeof distance);
  }

  void op_with_rex(std::uint8_t opcode, bool w, bool always_rex, unsigned reg, Place place, unsigned immediate_bytes,
                   Map map) {
    constexpr std::uint64_t kRex = 0xFF;
    const std::uint64_t word = place.word() | kRegisterFields[reg] | (w ? 8u : 0u);
    if (map == Map::kOneByte) {
      // At most 8 bytes: REX, the opcode, and 6 of the operand.
      const bool has_rex = always_rex || w || (word & kRex) != 0;
      put_word((word | 0x40 | std::uint64_t{opcode} << 8) >> (has_rex ? 0 : 8), (has_rex ? 2 : 1) + place.length());
    } else {
      put_rex(static_cast<unsigned>(word & kRex), always_rex);
      if (map == Map::k0F38) {
        put_word(0x380F | std::uint64_t{opcode} << 16, 3);
        return put_operand(reg, place, immediate_bytes);
      }
      put_word((word & ~kRex) | 0x0F | std::uint64_t{opcode} << 8, 2 + place.length());
    }
    if (place.is_absolute()) fix_distance(immediate_bytes);
  }

  void op(std::uint8_t opcode, Width width, unsigned reg, Place place, unsigned immediate_bytes = 0,
          Map map = Map::kOneByte) {
    op_with_rex(opcode, width == Width::k64, false, reg, place, immediate_bytes, map);
  }
  // spl … dil need a REX prefix.
  static bool is_byte_of_later_register(Place place) { return place.is_register() && number(place.gp()) >= 4; }
  // A byte register as operand, whichever of the two it is.
  void op_byte(std::uint8_t opcode, unsigned reg, Place place, Map map = Map::kOneByte) {
    op_with_rex(opcode, false, reg >= 4 || is_byte_of_later_register(place), reg, place, opcode == 0xF6 ? 1 : 0, map);
  }
  void op_byte_source(std::uint8_t opcode, Width width, unsigned reg, Place place) {
    op_with_rex(opcode, width == Width::k64, is_byte_of_later_register(place), reg, place, 0, Map::k0F);
  }
  void counted(std::uint8_t opcode, Width width, Gp to, Place from) {
    put8(0xF3);
    op(opcode, width, number(to), from, 0, Map::k0F);
  }

  void vex(Prefix prefix, Map map, bool w, std::uint8_t opcode, unsigned reg, unsigned second, Place place,
           unsigned immediate_bytes = 0) {
    const unsigned low = (~second & 15) << 3 | static_cast<unsigned>(prefix);
    const unsigned inverted_reg = reg < 8 ? 0x80 : 0;
    if (map == Map::k0F && !w && place.rex() == 0) {
      put_word(0xC5 | (inverted_reg | low) << 8 | std::uint64_t{opcode} << 16, 3);
    } else {
      const unsigned inverted = (~place.rex() & 3) << 5 | inverted_reg | static_cast<unsigned>(map);
      put_word(0xC4 | inverted << 8 | ((w ? 0x80u : 0u) | low) << 16 | std::uint64_t{opcode} << 24, 4);
    }
    put_operand(reg, place, immediate_bytes);
  }

  std::uint8_t* begin_ = nullptr;
  std::uint8_t* cursor_ = nullptr;
  std::uint8_t* end_ = nullptr;
  std::ptrdiff_t delta_ = 0;
};

}  // namespace caisson::baseline
