// Writes x86-64 instructions: what the baseline tier emits, and no more.
//
// A general assembler library takes 14 ns an instruction (design: measured.md), which alone exceeds what this tier may spend on a
// guest instruction; these are a few stores each. tests/unit/x86_assembler_test.cpp compares every form with llvm-mc.
// Encodings: Intel SDM volume 2 ("Instruction Format", and each instruction's page).
//
// The caller checks remaining() now and then: a guest instruction needs at most kLongestSequence bytes.
// Not thread-safe.
#pragma once

#include <bit>
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
// that the instruction pointer reaches.
struct Place {
  enum class Kind : std::uint8_t { kRegister, kBase, kIndexed, kAbsolute };
  Kind kind = Kind::kRegister;
  std::uint8_t base = 0, index = 0, scale = 0;  // scale: log2
  std::int32_t displacement = 0;
  const void* address = nullptr;

  // NOLINTNEXTLINE(google-explicit-constructor): a register is a place
  constexpr Place(Gp reg) : base(static_cast<std::uint8_t>(reg)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr Place(Xmm reg) : base(static_cast<std::uint8_t>(reg)) {}
  static constexpr Place at(Gp base, std::int32_t displacement) {
    Place place(base);
    place.kind = Kind::kBase;
    place.displacement = displacement;
    return place;
  }
  static constexpr Place indexed(Gp base, Gp index, unsigned scale = 0, std::int32_t displacement = 0) {
    Place place(base);
    place.kind = Kind::kIndexed;
    place.index = static_cast<std::uint8_t>(index);
    place.scale = static_cast<std::uint8_t>(scale);
    place.displacement = displacement;
    return place;
  }
  static Place absolute(const void* address) {
    Place place(Gp::rax);
    place.kind = Kind::kAbsolute;
    place.address = address;
    return place;
  }
  constexpr bool is_register() const { return kind == Kind::kRegister; }
  constexpr bool is(Gp reg) const { return kind == Kind::kRegister && base == number(reg); }
  constexpr Gp gp() const { return static_cast<Gp>(base); }
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

class X86Assembler {
 public:
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
  void mov(Width width, Gp to, const Place& from) {
    if (from.is(to) && width == Width::k64) return;
    op(0x8B, width, number(to), from);
  }
  void store(Width width, const Place& to, Gp from) { op(0x89, width, number(from), to); }
  void store8(const Place& to, Gp from) { op_byte(0x88, number(from), to); }
  void store16(const Place& to, Gp from) {
    put8(0x66);
    op(0x89, Width::k32, number(from), to);
  }
  void store_immediate(Width width, const Place& to, std::int32_t value) {
    op(0xC7, width, 0, to, 4);
    put32(static_cast<std::uint32_t>(value));
  }
  void store8_immediate(const Place& to, std::uint8_t value) {
    op(0xC6, Width::k32, 0, to, 1);
    put8(value);
  }
  void load_immediate(Gp to, std::uint64_t value) {
    if (value == 0) {
      alu(Alu::kXor, Width::k32, to, to);
    } else if (value >> 32 == 0) {
      rex(false, 0, 0, number(to));
      put8(static_cast<std::uint8_t>(0xB8 | (number(to) & 7)));
      put32(static_cast<std::uint32_t>(value));
    } else if (static_cast<std::int64_t>(value) == static_cast<std::int32_t>(value)) {
      op(0xC7, Width::k64, 0, to);
      put32(static_cast<std::uint32_t>(value));
    } else {
      rex(true, 0, 0, number(to));
      put8(static_cast<std::uint8_t>(0xB8 | (number(to) & 7)));
      put64(value);
    }
  }
  // Keeps the flags, where load_immediate() may not.
  void load_immediate_keeping_flags(Gp to, std::uint32_t value) {
    rex(false, 0, 0, number(to));
    put8(static_cast<std::uint8_t>(0xB8 | (number(to) & 7)));
    put32(value);
  }
  void lea(Width width, Gp to, const Place& from) { op(0x8D, width, number(to), from); }
  void movsxd(Gp to, const Place& from) { op(0x63, Width::k64, number(to), from); }
  void movsx8(Gp to, const Place& from) { op_byte_source(0xBE, Width::k64, number(to), from); }
  void movsx16(Gp to, const Place& from) { op(0xBF, Width::k64, number(to), from, 0, Map::k0F); }
  void movzx8(Gp to, const Place& from) { op_byte_source(0xB6, Width::k32, number(to), from); }
  void movzx16(Gp to, const Place& from) { op(0xB7, Width::k32, number(to), from, 0, Map::k0F); }
  void cmov(Condition condition, Gp to, const Place& from) {
    op(static_cast<std::uint8_t>(0x40 | static_cast<unsigned>(condition)), Width::k64, number(to), from, 0, Map::k0F);
  }
  void cmov32(Condition condition, Gp to, const Place& from) {
    op(static_cast<std::uint8_t>(0x40 | static_cast<unsigned>(condition)), Width::k32, number(to), from, 0, Map::k0F);
  }
  void set(Condition condition, Gp to) {
    op_byte(static_cast<std::uint8_t>(0x90 | static_cast<unsigned>(condition)), 0, to, Map::k0F);
  }
  void push(Gp reg) {
    rex(false, 0, 0, number(reg));
    put8(static_cast<std::uint8_t>(0x50 | (number(reg) & 7)));
  }
  void push(const Place& from) { op(0xFF, Width::k32, 6, from); }
  void pop(Gp reg) {
    rex(false, 0, 0, number(reg));
    put8(static_cast<std::uint8_t>(0x58 | (number(reg) & 7)));
  }

  // --- arithmetic ---
  void alu(Alu operation, Width width, Gp to, const Place& from) {
    op(static_cast<std::uint8_t>(static_cast<unsigned>(operation) * 8 + 3), width, number(to), from);
  }
  // The other direction: memory (or a register) is the destination.
  void alu_to(Alu operation, Width width, const Place& to, Gp from) {
    op(static_cast<std::uint8_t>(static_cast<unsigned>(operation) * 8 + 1), width, number(from), to);
  }
  void alu_immediate(Alu operation, Width width, const Place& to, std::int32_t value) {
    const bool is_short = value == static_cast<std::int8_t>(value);
    op(is_short ? 0x83 : 0x81, width, static_cast<unsigned>(operation), to, is_short ? 1 : 4);
    if (is_short) {
      put8(static_cast<std::uint8_t>(value));
    } else {
      put32(static_cast<std::uint32_t>(value));
    }
  }
  void test(Width width, Gp a, Gp b) { op(0x85, width, number(b), a); }
  void test_immediate8(Gp reg, std::uint8_t value) {
    op_byte(0xF6, 0, reg);
    put8(value);
  }
  void imul(Width width, Gp to, const Place& from) { op(0xAF, width, number(to), from, 0, Map::k0F); }
  void invert(Width width, Gp reg) { op(0xF7, width, 2, reg); }
  void neg(Width width, Gp reg) { op(0xF7, width, 3, reg); }
  void imul_wide(Width width, const Place& by) { op(0xF7, width, 5, by); }  // rdx:rax = rax × by, signed
  void div(Width width, const Place& by) { op(0xF7, width, 6, by); }  // rax, rdx = rdx:rax / by, unsigned
  void idiv(Width width, const Place& by) { op(0xF7, width, 7, by); }
  void sign_extend_rax(Width width) {  // cdq, cqo: into rdx
    rex(width == Width::k64, 0, 0, 0);
    put8(0x99);
  }
  void shift_immediate(Shift operation, Width width, Gp reg, std::uint8_t amount) {
    op(0xC1, width, static_cast<unsigned>(operation), reg);
    put8(amount);
  }
  void shift_by_cl(Shift operation, Width width, Gp reg) { op(0xD3, width, static_cast<unsigned>(operation), reg); }
  void bswap(Gp reg) {
    rex(true, 0, 0, number(reg));
    put8(0x0F);
    put8(static_cast<std::uint8_t>(0xC8 | (number(reg) & 7)));
  }
  void lzcnt(Width width, Gp to, const Place& from) { counted(0xBD, width, to, from); }
  void tzcnt(Width width, Gp to, const Place& from) { counted(0xBC, width, to, from); }
  void popcnt(Width width, Gp to, const Place& from) { counted(0xB8, width, to, from); }
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
  void shlx(Width width, Gp to, const Place& from, Gp amount) {
    vex(Prefix::k66, Map::k0F38, width == Width::k64, 0xF7, number(to), number(amount), from);
  }
  void shrx(Width width, Gp to, const Place& from, Gp amount) {
    vex(Prefix::kF2, Map::k0F38, width == Width::k64, 0xF7, number(to), number(amount), from);
  }
  void sarx(Width width, Gp to, const Place& from, Gp amount) {
    vex(Prefix::kF3, Map::k0F38, width == Width::k64, 0xF7, number(to), number(amount), from);
  }
  void rorx(Width width, Gp to, const Place& from, std::uint8_t amount) {
    vex(Prefix::kF2, Map::k0F3A, width == Width::k64, 0xF0, number(to), 0, from, 1);
    put8(amount);
  }
  void andn(Width width, Gp to, Gp inverted, const Place& other) {
    vex(Prefix::kNone, Map::k0F38, width == Width::k64, 0xF2, number(to), number(inverted), other);
  }
  void mulx(Gp high, Gp low, const Place& by) {  // high:low = rdx × by, unsigned
    vex(Prefix::kF2, Map::k0F38, true, 0xF6, number(high), number(low), by);
  }

  // --- atomics ---
  void lock_xadd(Width width, const Place& memory, Gp reg) {
    put8(0xF0);
    op(0xC1, width, number(reg), memory, 0, Map::k0F);
  }
  void lock_cmpxchg(Width width, const Place& memory, Gp desired) {  // rax is what is expected
    put8(0xF0);
    op(0xB1, width, number(desired), memory, 0, Map::k0F);
  }
  void xchg(Width width, const Place& memory, Gp reg) { op(0x87, width, number(reg), memory); }
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
  void jmp(const Place& target) { op(0xFF, Width::k32, 4, target); }
  void call(Gp target) { op(0xFF, Width::k32, 2, target); }
  void call(const Place& memory) { op(0xFF, Width::k32, 2, memory); }
  void ret() { put8(0xC3); }
  void int3() { put8(0xCC); }

  // Forward jumps: the offset of their displacement, to be bound later.
  std::uint32_t jmp_forward() {
    put8(0xE9);
    put32(0);
    return offset() - 4;
  }
  std::uint32_t call_forward() {
    put8(0xE8);
    put32(0);
    return offset() - 4;
  }
  std::uint32_t jcc_forward(Condition condition) {
    put8(0x0F);
    put8(static_cast<std::uint8_t>(0x80 | static_cast<unsigned>(condition)));
    put32(0);
    return offset() - 4;
  }
  std::uint32_t jmp_short_forward() {
    put8(0xEB);
    put8(0);
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
  void avx(Prefix prefix, std::uint8_t opcode, Xmm to, Xmm first, const Place& second) {
    vex(prefix, Map::k0F, false, opcode, number(to), number(first), second);
  }
  void avx(Prefix prefix, Map map, bool w, std::uint8_t opcode, Xmm to, Xmm first, const Place& second) {
    vex(prefix, map, w, opcode, number(to), number(first), second);
  }
  void vmovsd_load(Xmm to, const Place& from) { vex(Prefix::kF2, Map::k0F, false, 0x10, number(to), 0, from); }
  void vmovsd_store(const Place& to, Xmm from) { vex(Prefix::kF2, Map::k0F, false, 0x11, number(from), 0, to); }
  void vmovss_load(Xmm to, const Place& from) { vex(Prefix::kF3, Map::k0F, false, 0x10, number(to), 0, from); }
  void vmovss_store(const Place& to, Xmm from) { vex(Prefix::kF3, Map::k0F, false, 0x11, number(from), 0, to); }
  void vmovapd(Xmm to, Xmm from) {
    if (to != from) vex(Prefix::kNone, Map::k0F, false, 0x28, number(to), 0, from);
  }
  void vmovq(Xmm to, Gp from) { vex(Prefix::k66, Map::k0F, true, 0x6E, number(to), 0, from); }
  void vmovq(Gp to, Xmm from) { vex(Prefix::k66, Map::k0F, true, 0x7E, number(from), 0, to); }
  void vmovd(Xmm to, Gp from) { vex(Prefix::k66, Map::k0F, false, 0x6E, number(to), 0, from); }
  void vmovd(Gp to, Xmm from) { vex(Prefix::k66, Map::k0F, false, 0x7E, number(from), 0, to); }
  // Conversion to an integer register: opcode 0x2C truncates, 0x2D rounds.
  void convert_to_integer(Prefix prefix, std::uint8_t opcode, Width width, Gp to, const Place& from) {
    vex(prefix, Map::k0F, width == Width::k64, opcode, number(to), 0, from);
  }
  void convert_from_integer(Prefix prefix, Width width, Xmm to, Xmm upper, const Place& from) {
    vex(prefix, Map::k0F, width == Width::k64, 0x2A, number(to), number(upper), from);
  }
  void stmxcsr(const Place& to) { op(0xAE, Width::k32, 3, to, 0, Map::k0F); }
  void ldmxcsr(const Place& from) { op(0xAE, Width::k32, 2, from, 0, Map::k0F); }

 private:
  void put8(std::uint8_t value) { *cursor_++ = value; }
  void put32(std::uint32_t value) {
    std::memcpy(cursor_, &value, sizeof value);
    cursor_ += sizeof value;
  }
  void put64(std::uint64_t value) {
    std::memcpy(cursor_, &value, sizeof value);
    cursor_ += sizeof value;
  }
  void put_relative(const void* target) {
    put32(static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(target) - (here() + 4)));
  }

  void rex(bool w, unsigned reg, unsigned index, unsigned base) { cursor_ = with_rex(cursor_, w, reg, index, base); }

  // What follows writes through a pointer of its own, since any store of a byte might change *this for all that a compiler knows.
  static std::uint8_t* with8(std::uint8_t* at, unsigned value) {
    *at = static_cast<std::uint8_t>(value);
    return at + 1;
  }
  static std::uint8_t* with32(std::uint8_t* at, std::uint32_t value) {
    std::memcpy(at, &value, sizeof value);
    return at + sizeof value;
  }
  static std::uint8_t* with_rex(std::uint8_t* at, bool w, unsigned reg, unsigned index, unsigned base,
                                bool always = false) {
    const unsigned bits = (w ? 8u : 0u) | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1);
    // Written in any case, which is cheaper than a branch.
    with8(at, 0x40 | bits);
    return at + (bits != 0 || always ? 1 : 0);
  }

  // ModRM and what follows it; `immediate_bytes` come behind.
  std::uint8_t* with_operand(std::uint8_t* at, unsigned reg, const Place& place, unsigned immediate_bytes) const {
    const unsigned base = place.base & 7u, modrm = (reg & 7) << 3;
    if (place.kind == Place::Kind::kRegister) return with8(at, 0xC0 | modrm | base);
    const std::int32_t displacement = place.displacement;
    if (place.kind == Place::Kind::kAbsolute) {
      at = with8(at, modrm | 5);
      return with32(at, static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(place.address) -
                                                   (at + delta_ + 4 + immediate_bytes)));
    }
    // A base of rbp or r13 has no form without displacement.
    const unsigned mod = displacement == 0 && base != 5                           ? 0
                         : displacement == static_cast<std::int8_t>(displacement) ? 1
                                                                                  : 2;
    if (place.kind == Place::Kind::kIndexed) {
      at = with8(at, mod << 6 | modrm | 4);
      at = with8(at, static_cast<unsigned>(place.scale) << 6 | (place.index & 7u) << 3 | base);
    } else {
      at = with8(at, mod << 6 | modrm | base);
      if (base == 4) at = with8(at, 0x24);
    }
    with32(at, static_cast<std::uint32_t>(displacement));
    return at + (mod == 2 ? 4 : mod);
  }

  static std::uint8_t* with_escape(std::uint8_t* at, Map map) {
    if (map != Map::kOneByte) at = with8(at, 0x0F);
    if (map == Map::k0F38) at = with8(at, 0x38);
    return at;
  }
  static unsigned index_of(const Place& place) { return place.kind == Place::Kind::kIndexed ? place.index : 0; }
  static unsigned base_of(const Place& place) { return place.kind == Place::Kind::kAbsolute ? 0 : place.base; }

  void op(std::uint8_t opcode, Width width, unsigned reg, const Place& place, unsigned immediate_bytes = 0,
          Map map = Map::kOneByte) {
    std::uint8_t* at = with_rex(cursor_, width == Width::k64, reg, index_of(place), base_of(place));
    at = with8(with_escape(at, map), opcode);
    cursor_ = with_operand(at, reg, place, immediate_bytes);
  }
  // A byte register as operand: spl … dil need a REX prefix, whichever of the two they are.
  void op_byte(std::uint8_t opcode, unsigned reg, const Place& place, Map map = Map::kOneByte) {
    std::uint8_t* at = with_rex(cursor_, false, reg, index_of(place), base_of(place),
                                reg >= 4 || (place.is_register() && place.base >= 4));
    at = with8(with_escape(at, map), opcode);
    cursor_ = with_operand(at, reg, place, opcode == 0xF6 ? 1 : 0);
  }
  void op_byte_source(std::uint8_t opcode, Width width, unsigned reg, const Place& place) {
    std::uint8_t* at = with_rex(cursor_, width == Width::k64, reg, index_of(place), base_of(place),
                                place.is_register() && place.base >= 4);
    at = with8(with_escape(at, Map::k0F), opcode);
    cursor_ = with_operand(at, reg, place, 0);
  }
  void counted(std::uint8_t opcode, Width width, Gp to, const Place& from) {
    put8(0xF3);
    op(opcode, width, number(to), from, 0, Map::k0F);
  }

  void vex(Prefix prefix, Map map, bool w, std::uint8_t opcode, unsigned reg, unsigned second, const Place& place,
           unsigned immediate_bytes = 0) {
    const unsigned index = index_of(place), base = base_of(place);
    const unsigned low = (~second & 15) << 3 | static_cast<unsigned>(prefix);
    std::uint8_t* at = cursor_;
    if (map == Map::k0F && !w && index < 8 && base < 8) {
      at = with8(at, 0xC5);
      at = with8(at, (reg < 8 ? 0x80u : 0u) | low);
    } else {
      at = with8(at, 0xC4);
      at = with8(
          at, (reg < 8 ? 0x80u : 0u) | (index < 8 ? 0x40u : 0u) | (base < 8 ? 0x20u : 0u) | static_cast<unsigned>(map));
      at = with8(at, (w ? 0x80u : 0u) | low);
    }
    at = with8(at, opcode);
    cursor_ = with_operand(at, reg, place, immediate_bytes);
  }

  std::uint8_t* const begin_;
  std::uint8_t* cursor_;
  std::uint8_t* const end_;
  const std::ptrdiff_t delta_;
};

}  // namespace caisson::baseline
