// Emits host code for the instructions of a page scan, in one pass.
//
// Every guest register has one home, a host register or its place in HartState, and holds its value there between any two guest
// instructions: a fault, an exit or a jump into the middle finds exact state. Within straight-line code the scratch registers
// keep copies of what was last read or written in memory, and values that are known are folded; both are forgotten wherever paths
// meet. Long stretches of it lend host registers out (local_registers.h), which only faults can see. What is rare stands behind the
// unit's hot code (Stub).
//
// The parts: unit_emitter.cpp (the pass, stubs), emit_departures.cpp, emit_local.cpp, emit_integer.cpp, emit_memory.cpp, emit_control.cpp,
// emit_float.cpp.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "baseline/code_sources.h"
#include "baseline/departures.h"
#include "baseline/growing_list.h"
#include "baseline/guest_registers.h"
#include "baseline/local_registers.h"
#include "baseline/op_facts.h"
#include "baseline/page_scan.h"
#include "baseline/thunks.h"
#include "baseline/x86_assembler.h"
#include "isa/riscv/row_operands.h"

namespace caisson::baseline {

// Where the code of an instruction begins, kept for as long as the code: tells pcs at faults and serves entries into the middle.
struct InstructionPlace {
  std::uint32_t native;  // offset in the unit
  std::uint16_t half_word_and_flags;
  std::uint16_t cost;  // from here to the block's terminator

  static constexpr std::uint16_t kSelfContained =
      1 << 15;  // depends on nothing that was emitted before it, for who joins there
  static constexpr std::uint16_t kFaultsAsStore = 1 << 14;  // an AMO, whose load counts as a store
  static constexpr std::uint16_t kUsesFloats = 1 << 13;  // something from here to the terminator does
  static InstructionPlace of(const PageScan::Instruction& instruction, std::uint32_t native) {
    // Members that both have, in one store.
    static_assert(std::endian::native == std::endian::little && offsetof(PageScan::Instruction, half_word) == 0 &&
                  offsetof(PageScan::Instruction, cost) == 2 && offsetof(InstructionPlace, native) == 0 &&
                  offsetof(InstructionPlace, half_word_and_flags) == 4 && offsetof(InstructionPlace, cost) == 6);
    std::uint32_t half_word_and_cost;
    std::memcpy(&half_word_and_cost, &instruction, sizeof half_word_and_cost);
    return std::bit_cast<InstructionPlace>(std::uint64_t{half_word_and_cost} << 32 | native);
  }
  std::uint32_t half_word() const { return half_word_and_flags % kHalfWords; }
  bool has(std::uint16_t flag) const { return (half_word_and_flags & flag) != 0; }
};

// Float registers that may hold a NaN other than the canonical one while an instruction that can fault executes: their values were
// computed before in the block and are made canonical where they are looked at.
struct UnsettledFloats {
  std::uint32_t native = 0;  // of the instruction, as in its InstructionPlace
  std::uint32_t registers = 0;  // by number
  std::uint32_t singles = 0;  // of these
};

struct UnitEntry {
  std::uint16_t half_word = 0;
  std::uint32_t native = 0;
};

// The region that the unit is part of.
struct RegionLayout {
  std::uint32_t base = 0, size = 0;  // guest addresses, whole pages
  void* table = nullptr;  // an EntrySlot for each half-word
};

class UnitEmitter : private GuestRegisters {
 public:
  UnitEmitter(const Thunks& thunks, const RegionLayout& region)
      : GuestRegisters(thunks.map()), thunks_(thunks), map_(thunks.map()), region_(region) {
    for (const std::uint8_t reg : map_.integers) pinned_ |= std::uint32_t{1} << reg;
    float_hosts_.fill(kNoHost);
    for (std::size_t i = 0; i < kFloatHosts.size(); ++i)
      float_hosts_[map_.floats[i]] = static_cast<std::uint8_t>(number(kFloatHosts[i]));
  }

  enum class Places : std::uint8_t { kAccesses, kAll };
  // Emits the scan's instructions into `space`, and to `places`, which has room for scan.instruction_count(), where instructions are: those
  // that access memory, which can fault, or all. Where instructions overlap it is all of them.
  // `mixed`: the code may change unnoticed, so the block compares its bytes when it is entered. False where the space does not suffice.
  bool emit(const PageScan& scan, const PageBytes& bytes, bool mixed, const CodeBlock& space, InstructionPlace* places,
            Places kept, const CodeSources& sources = {});

  // Of the last emit().
  std::uint32_t size() const { return size_; }
  std::span<const InstructionPlace> places() const { return {places_, place_count()}; }
  const std::vector<UnsettledFloats>& unsettled() const { return unsettled_; }
  const GrowingList<UnitEntry>& entries() const { return entries_; }
  Departures departures() const { return {departure_calls_.to_vector(), departures_.to_vector()}; }
  const GrowingList<HostChange>& host_changes() const { return host_changes_; }

  // True where there is an emitter for `op`; a test asks for all.
  static bool has_emitter(riscv::Op op);

  // No guest instruction needs more bytes inline, or in its stubs.
  static constexpr std::size_t kLongestSequence = 512;
  static constexpr std::size_t kLongestStub = 64;

 private:
  using Decoded = riscv::Decoded;
  using Emit = CAISSON_EMITTER void (*)(UnitEmitter&, std::uint32_t bits);
  // Of an instruction: how its word is emitted, and its compressed encodings, in the order of the table.
  struct EmitterRow {
    riscv::Op op;
    Emit word;
    std::array<Emit, riscv::kMostCompressedEncodings> compressed{};
  };
  // A function for each encoding, since that is where operands are decoded: what is always 0, or the same register twice, is known to
  // the compiler.
  template <auto member, riscv::Op row>
  [[gnu::flatten]] CAISSON_EMITTER static void emit_by(UnitEmitter& emitter, std::uint32_t bits) {
    (emitter.*member)(riscv::decode_as<row>(bits));
  }
  template <riscv::Op op, auto member>
  static constexpr EmitterRow emits = [] {
    EmitterRow row{.op = op, .word = &emit_by<member, op>};
    constexpr auto kCompressed = riscv::compressed_encodings_of(op);
    [&]<std::size_t... index>(std::index_sequence<index...>) {
      const auto add = [&]<std::size_t at>() {
        if constexpr (kCompressed[at] != riscv::Op::kIllegal) row.compressed[at] = &emit_by<member, kCompressed[at]>;
      };
      (add.template operator()<index>(), ...);
    }(std::make_index_sequence<kCompressed.size()>());
    return row;
  }();
  using Emitters = std::array<Emit, riscv::kRowCount>;
  static const Emitters& all_emitters();
  static std::span<const EmitterRow> integer_rows();
  static std::span<const EmitterRow> memory_rows();
  static std::span<const EmitterRow> control_rows();
  static std::span<const EmitterRow> float_rows();

  // Code that stands out of the way. `jump` is the jump to it, `back` where it goes on.
  struct Stub {
    enum class Kind : std::uint8_t {
      kFarTransfer,
      kLookup,
      kForgetCalls,
      kLoadFloats,
      kLoadConstant,
      kCanonicalPair,
      kPerform,
      kMisalignedAtomic,
      kStale,
    };
    Kind kind;
    std::uint8_t reg = 0;
    std::uint8_t other = 0;
    bool is_double = false;
    std::uint32_t jump = 0;
    std::uint32_t back = 0;  // behind the jump, unless said otherwise
    std::uint32_t pc = 0;
    std::uint32_t bits = 0;
    const void* constant = nullptr;
  };

  // --- unit_emitter.cpp: the pass ---
  template <bool keeps_all>
  class InOrder;
  class Overlapping;
  template <class Instructions>
  void emit_run(Instructions at);
  void begin_run();
  void emit_overlapping();
  void end_in_code_elsewhere(std::uint32_t half_word, std::uint8_t flags);
  // How execution comes to an instruction from the one before in memory.
  enum class FallsIn : std::uint8_t { kNever, kPaid, kUnpaid };
  bool goes_on_behind(const PageScan::Instruction& terminator);
  [[gnu::always_inline]] void enter_block(std::uint32_t half_word);
  template <bool mixed>
  [[gnu::always_inline]] void charge(std::uint32_t half_word);
  [[gnu::always_inline]] void look_for_stretch(std::uint32_t half_word);
  void emit_entry(std::uint32_t half_word);
  void emit_byte_check(std::uint32_t half_word);
  void join_emitted(std::uint32_t half_word);
  void prepare(std::uint32_t half_word, std::uint8_t flags);
  [[gnu::always_inline]] void emit_instruction(std::uint32_t bits, Emit emit);
  [[gnu::always_inline]] void emit_and_keep_place(std::uint32_t bits, Emit emit, std::uint32_t native);
  [[clang::preserve_most]] void emit_specially(std::uint32_t bits, Emit emit);
  void emit_in_stretch(std::uint32_t bits, Emit emit);
  bool is_out_of_space() { return here() > limit_; }
  std::uint32_t place_count() const { return static_cast<std::uint32_t>(next_place_ - places_); }
  // Of the instruction, which accesses memory and begins here.
  [[gnu::always_inline]] void keep_place() { *next_place_++ = InstructionPlace::of(*now_, code().offset()); }
  // Of the instruction.
  std::uint32_t pc() const { return bytes_->address + now_->half_word * 2; }
  // The instruction's.
  std::uint32_t bits() const {
    const std::uint32_t bits = scan_->bits(now_->half_word);
    return now_->length == 1 ? bits & 0xFFFF : bits;
  }
  void emit_stubs();
  void emit_stub(const Stub& stub);
  void bind_jumps();
  Stub& add_stub(Stub::Kind kind, std::uint32_t jump);

  // --- emit_departures.cpp ---
  static constexpr std::uint32_t kDepartureBytes = 5;  // of one behind the code
  void open_island(std::uint32_t half_word);
  // Whether there is a free way into the last one for a short jump so many bytes further on.
  bool reaches_island(std::uint32_t bytes) {
    constexpr std::size_t kShortJump = 2, kShortReach = 128;
    return (next_way_ >= last_way_) & (here() + bytes + kShortJump - next_way_ <= kShortReach);
  }
  std::uintptr_t here() { return std::bit_cast<std::uintptr_t>(code().cursor()); }
  // Both are prepared and one is kept: which one it is cannot be predicted.
  [[gnu::always_inline]] void depart_if(Condition condition, const Departure& departure) {
    const bool is_near = reaches_island(0);
    departures_.push_back_if(is_near, departure);
    const std::uint32_t jump = code().jcc_back_short_or_forward(condition, is_near, next_way_ - here());
    far_departures_.push_back_if(!is_near, {jump, departure});
    next_way_ -= is_near ? 1 : 0;  // each is a byte before the one behind it
    limit_ -= kDepartureBytes;
  }
  void emit_far_departures();

  // --- emit_local.cpp ---
  void leave_stretch();
  void begin_stretch(std::uint32_t half_word);
  // In instructions. Shorter ones have nothing to gain: with 12, `caisson bench compute` was no faster, and compilation took an eighth longer.
  // Every instruction costs gas, so little gas is few instructions; and no stretch goes on where paths meet, or execution does not.
  static constexpr std::uint32_t kShortestStretch = 32, kMostLookedAt = 16;
  bool may_begin_stretch(std::uint32_t half_word) const {
    return now_->cost >= kShortestStretch && in_stretch_ == 0 && !is_second_pass_ &&
           !scan_->is_met_within(half_word, kMostLookedAt);
  }
  void bring_operands(Decoded decoded);
  void step_stretch(Decoded decoded);
  void end_stretch();
  std::optional<unsigned> vacate(std::uint32_t needed_in, std::uint32_t operands);
  void assign_host(unsigned index, unsigned guest);

  void forget_everything();

  // --- emit_integer.cpp ---
  template <Alu operation, Width width>
  void binary(Decoded decoded) {
    if (decoded.rd != 0) binary_with(decoded.rd, decoded.rs1, decoded.rs2, operation, width);
  }
  CAISSON_SHARED void binary_with(unsigned rd, unsigned rs1, unsigned rs2, Alu operation, Width width);
  template <Alu operation>
  void immediate(Decoded decoded) {
    if (decoded.rd != 0) immediate_with(decoded.rd, decoded.rs1, decoded.imm, operation);
  }
  CAISSON_SHARED void immediate_with(unsigned rd, unsigned rs1, std::int32_t immediate, Alu operation);
  void add(Decoded decoded);
  CAISSON_SHARED void add_registers(unsigned rd, unsigned rs1, unsigned rs2);
  CAISSON_SHARED void move(unsigned rd, unsigned from);
  void add_immediate(Decoded decoded);
  CAISSON_SHARED void add_immediate_to(unsigned rd, unsigned rs1, std::int32_t immediate);
  void add_word_immediate(Decoded decoded) {
    if (decoded.rd != 0) add_word_immediate_to(decoded.rd, decoded.rs1, decoded.imm);
  }
  CAISSON_SHARED void add_word_immediate_to(unsigned rd, unsigned rs1, std::int32_t immediate);
  void subtract(Decoded decoded);
  bool is_completed_next(Decoded decoded) const;
  void load_upper_part(Decoded decoded, std::uint64_t value);
  void load_upper(Decoded decoded);
  void add_upper_to_pc(Decoded decoded);
  template <Shift operation, Width width>
  void shift(Decoded decoded);
  template <Shift operation, Width width>
  void shift_immediate(Decoded decoded) {
    if (decoded.rd != 0) shift_by(decoded.rd, decoded.rs1, decoded.imm, operation, width);
  }
  CAISSON_SHARED void shift_by(unsigned rd, unsigned rs1, std::int32_t amount, Shift operation, Width width);
  template <Shift operation, Width width>
  void rotate(Decoded decoded);
  template <Width width>
  void rotate_immediate(Decoded decoded);
  template <Condition condition>
  void set_if(Decoded decoded) {
    if (decoded.rd != 0) set_if_compared(decoded.rd, decoded.rs1, decoded.rs2, condition);
  }
  CAISSON_SHARED void set_if_compared(unsigned rd, unsigned rs1, unsigned rs2, Condition condition);
  template <Condition condition>
  void set_if_immediate(Decoded decoded) {
    if (decoded.rd != 0) set_if_compared_with(decoded.rd, decoded.rs1, decoded.imm, condition);
  }
  CAISSON_SHARED void set_if_compared_with(unsigned rd, unsigned rs1, std::int32_t immediate, Condition condition);
  template <unsigned amount, bool zero_extends>
  void shift_add(Decoded decoded);
  void shift_zero_extended(Decoded decoded);
  void and_not(Decoded decoded);
  void or_not(Decoded decoded);
  void xor_not(Decoded decoded);
  template <Condition takes_second>
  void select(Decoded decoded);
  template <auto count, Width width>
  void count_bits(Decoded decoded);
  template <auto extend_from>
  void extend(Decoded decoded);
  void or_combine(Decoded decoded);
  void reverse_bytes(Decoded decoded);
  template <X86Assembler::Bit operation>
  void change_bit(Decoded decoded);
  template <X86Assembler::Bit operation>
  void change_bit_immediate(Decoded decoded);
  void extract_bit(Decoded decoded);
  void extract_bit_immediate(Decoded decoded);
  template <Condition keeps>
  void conditional_zero(Decoded decoded);
  template <Width width>
  void multiply(Decoded decoded);
  void multiply_high(Decoded decoded);
  void multiply_high_unsigned(Decoded decoded);
  void multiply_high_mixed(Decoded decoded);
  template <Width width, bool is_signed, bool remainder>
  void divide(Decoded decoded);

  // --- emit_memory.cpp ---
  [[gnu::always_inline]] Place guest_address(unsigned base, std::int32_t offset) {
    if (known(base)) [[unlikely]]
      return known_address(base, offset);
    return Place::indexed(kWindowRegister, use_low_half(base), 0, offset);
  }
  [[clang::preserve_most]] Place known_address(unsigned base, std::int32_t offset);
  Gp atomic_address(Decoded decoded, unsigned width);
  template <AccessOpcode opcode>
  void load(Decoded decoded) {
    load_with(decoded.rd, decoded.rs1, decoded.imm, opcode);
  }
  CAISSON_SHARED void load_with(unsigned rd, unsigned base, std::int32_t offset, AccessOpcode opcode);
  CAISSON_SHARED void load_from_known(unsigned rd, unsigned base, std::int32_t offset, AccessOpcode opcode);
  template <unsigned bytes>
  void store(Decoded decoded) {
    store_with(decoded.rs1, decoded.rs2, decoded.imm, bytes);
  }
  CAISSON_SHARED void store_with(unsigned base, unsigned value, std::int32_t offset, unsigned bytes);
  CAISSON_SHARED void store_elsewhere(unsigned base, unsigned value, std::int32_t offset, unsigned bytes);
  template <Width width>
  void load_reserved(Decoded decoded);
  template <Width width>
  void store_conditional(Decoded decoded);
  template <Width width>
  void atomic_swap(Decoded decoded);
  template <Width width>
  void atomic_add(Decoded decoded);
  template <Width width, Alu operation>
  void atomic_logic(Decoded decoded);
  template <Width width, Condition takes_operand>
  void atomic_select(Decoded decoded);
  template <Width width, class Combine>
  void atomic_loop(Decoded decoded, const Combine& combine);
  void finish_atomic(Decoded decoded, Width width, Gp old);
  void fence(Decoded decoded);

  // --- emit_control.cpp ---
  template <Condition condition>
  void branch(Decoded decoded) {
    branch_if(condition, decoded.rs1, decoded.rs2, decoded.imm);
  }
  CAISSON_SHARED void branch_if(Condition holds, unsigned rs1, unsigned rs2, std::int32_t offset);
  void jump(Decoded decoded);
  void jump_register(Decoded decoded);
  void environment_call(Decoded decoded);
  void breakpoint(Decoded decoded);
  void fence_instruction(Decoded decoded);
  void illegal(Decoded decoded);
  void nothing(Decoded) {}
  void csr(Decoded decoded);
  void cut_off();
  void fall_off_page(std::uint32_t half_word);
  void transfer_to(std::uint32_t target);  // a jump to a known guest address
  void transfer_outside(std::uint64_t target);  // which may be no address at all
  void jump_through_table(std::uint64_t target);
  void call_direct(std::uint64_t target);
  void call_through_table(std::uint64_t target);
  void drop_return_address();
  void load_slot(Place slot);  // rcx = the code that it leads to
  void find_entry(bool is_call);  // rcx = code of the guest address rax, or the look-up
  void remember_call(unsigned rd, std::uint32_t return_pc);
  void link(unsigned rd, std::uint32_t return_pc);
  bool is_in_unit(std::uint64_t target) const;
  Place table_slot(std::uint32_t target) const;
  bool is_in_region(std::uint64_t target) const { return target - region_.base < region_.size; }

  // --- emit_float.cpp ---
  bool is_float_pinned(unsigned reg) const { return float_hosts_[reg] != kNoHost; }
  Xmm float_host(unsigned reg) const { return static_cast<Xmm>(float_hosts_[reg]); }
  Place float_operand(unsigned reg) const;
  Xmm float_use(unsigned reg, Xmm into);
  Xmm float_target(unsigned reg) const { return is_float_pinned(reg) ? float_host(reg) : Xmm::xmm0; }
  void float_finish(unsigned reg, Xmm value, bool boxed);
  Xmm single_use(unsigned reg, Xmm into);
  void make_canonical(Xmm value, bool is_double);
  // A computed value: canonical at once, or later where its register can wait.
  void float_finish_computed(unsigned reg, Xmm value, bool is_double);
  void settle(std::uint32_t registers) {
    if ((registers & pending_) != 0) [[unlikely]]
      settle_pending(registers & pending_);
  }
  void settle_pending(std::uint32_t registers);
  void settle_pair(Xmm first, Xmm second, bool is_double);
  void perform(Decoded decoded);
  void perform_if(Condition condition, Decoded decoded);
  void bind_performed(Decoded decoded);
  bool needs_software(Decoded decoded) const;
  template <bool is_double, std::uint8_t opcode>
  void float_binary(Decoded decoded);
  template <bool is_double>
  void float_root(Decoded decoded);
  template <bool is_double, std::uint8_t opcode>
  void float_fused(Decoded decoded);
  enum class Sign : std::uint8_t { kCopy, kNegate, kMultiply };
  template <bool is_double, Sign sign>
  void float_sign(Decoded decoded);
  template <bool is_double, bool maximum>
  void float_select(Decoded decoded);
  enum class Comparison : std::uint8_t { kEqual, kLess, kLessOrEqual };
  template <bool is_double, Comparison comparison>
  void float_compare(Decoded decoded);
  template <bool is_double, Width width, bool is_signed>
  void float_to_integer(Decoded decoded);
  template <bool is_double, Width width, bool is_signed>
  void integer_to_float(Decoded decoded);
  void widen(Decoded decoded);
  void narrow(Decoded decoded);
  template <bool is_double>
  void bits_to_integer(Decoded decoded);
  template <bool is_double>
  void bits_to_float(Decoded decoded);
  template <bool is_double>
  void float_load(Decoded decoded);
  template <bool is_double>
  void float_store(Decoded decoded);

  const Emitters& emitters_ = all_emitters();
  const Thunks& thunks_;
  const RegisterMap& map_;
  const RegionLayout region_;
  std::uint32_t pinned_ = 1;  // integer registers that the map names, and x0, which needs no home
  std::array<std::uint8_t, 32> float_hosts_;

  // Of the unit.
  const PageScan* scan_ = nullptr;
  CodeSources sources_;
  const PageBytes* bytes_ = nullptr;
  bool mixed_ = false;
  std::uint8_t plain_entry_mask_ = 0;  // of flags, of which an entry that needs nothing unusual has kEntry alone
  bool ended_ = false;  // out of space
  std::uint32_t size_ = 0;
  // An address up to which there is room for an instruction, and behind the code for the stubs so far.
  std::uintptr_t limit_ = 0;
  InstructionPlace *places_ = nullptr, *next_place_ = nullptr;
  GrowingList<UnitEntry> joined_;  // of the scan's instructions: those that an earlier compilation has
  std::vector<UnsettledFloats> unsettled_;
  GrowingList<UnitEntry> entries_;
  GrowingList<Departures::Call> departure_calls_;
  GrowingList<Departure> departures_;
  // Addresses in the last call that was emitted for them: the next free way in, downwards to the last one; before that none is free.
  std::uintptr_t next_way_ = 0, last_way_ = 1;
  struct FarDeparture {
    std::uint32_t jump;
    Departure departure;
  };
  GrowingList<FarDeparture> far_departures_;  // that found no island near by
  GrowingList<Stub> stubs_;
  GrowingList<HostChange> host_changes_;
  std::vector<std::uint32_t> performs_;  // stubs of this instruction that go on behind it
  struct EntryJump {
    std::uint32_t jump;
    std::uint16_t half_word;
  };
  GrowingList<EntryJump> entry_jumps_;  // to entries of this unit that were not emitted yet
  static constexpr std::uint32_t kNotEmitted = ~std::uint32_t{0};
  bool is_second_pass_ = false;  // over what the first one left

  // Of the instruction.
  const PageScan::Instruction* now_ = nullptr;  // in the first pass, those behind it follow
  FallsIn falls_in_ = FallsIn::kNever;  // where it is an entry
  unsigned tied_ = 0;  // not 0: depends on what was emitted before it whatever registers hold, or is in a mixed page
  bool rounding_unknown_ = false;  // behind a CSR instruction of a mixed block

  // Of a stretch.
  std::array<std::uint8_t, kIntegerHosts.size()> guests_{};  // in each host register, 0: none
  std::uint32_t stale_homes_ = 0;  // guest registers whose home in memory is older than their host register
  unsigned arriving_ = 0;  // the host register, by index + 1, that this instruction gives to its result

  // Half-words at which straight-line code does more than emit an instruction: where paths may meet, and where a stretch ends, or
  // one may begin.
  std::uint32_t meeting_due_ = 0, stretch_due_ = 0;
  std::uint32_t event_due_ = 0;  // the nearer of the two
  std::uint32_t boxed_ = 0;  // float registers that are known to hold a boxed single
  std::uint32_t pending_singles_ = 0;
  // What makes emission more than a call.
  std::uint32_t pending_ = 0;  // see UnsettledFloats; pinned registers only
  std::uint32_t in_stretch_ = 0;  // 1: in a stretch that lends host registers out

  // Behind all that is asked for every instruction.
  LocalStretch stretch_;
  std::array<std::uint32_t, kHalfWords> entry_native_;  // of the unit's blocks
  // Of each instruction, in the second pass only. The two behind the page stand for code that is elsewhere.
  std::array<std::uint32_t, kHalfWords + 2> middle_native_{};
};

}  // namespace caisson::baseline
