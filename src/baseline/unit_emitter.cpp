#include "baseline/unit_emitter.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstring>

#include "baseline/op_facts.h"

namespace caisson::baseline {

using riscv::Op;

namespace {

// In half-words.
constexpr std::uint32_t kFarthestMeeting = 96;
// Bytes of the subtraction that charges a block.
constexpr std::uint32_t kLongestCharge = 6;
// Of an instruction to which execution may come from elsewhere than from the one before, or that stands for other code.
constexpr std::uint8_t kMet = PageScan::kEntry | PageScan::kMeeting | PageScan::kMiddleElsewhere | PageScan::kCutOff;

}  // namespace

// --- the pass ---

// Where a pass over instructions is. `keeps_all`: of every instruction it is told where it is.
template <bool keeps_all>
class UnitEmitter::InOrder {
 public:
  explicit InOrder(const PageScan::Instruction* now) : now_(now) {}
  const PageScan::Instruction& operator*() const { return *now_; }
  const PageScan::Instruction& next() const { return now_[1]; }
  void operator++() { ++now_; }
  // The half-word behind the instruction before.
  std::uint32_t behind_last() const { return now_[-1].next(); }
  static constexpr bool kMayOverlap = false, kKeepsAll = keeps_all;

 private:
  const PageScan::Instruction* now_;
};
// Begun anywhere, over what the first pass left.
class UnitEmitter::Overlapping {
 public:
  Overlapping(const PageScan& scan, std::uint32_t half_word)
      : scan_(&scan), now_(scan.instruction(half_word)), next_(scan.instruction(now_.next())) {}
  const PageScan::Instruction& operator*() const { return now_; }
  const PageScan::Instruction& next() const { return next_; }
  void operator++() {
    now_ = next_;
    next_ = scan_->instruction(now_.next());
  }
  std::uint32_t behind_last() const { return now_.half_word; }
  static constexpr bool kMayOverlap = true, kKeepsAll = true;

 private:
  const PageScan* scan_;
  PageScan::Instruction now_, next_;
};

const UnitEmitter::Emitters& UnitEmitter::all_emitters() {
  static const Emitters kEmitters = [] {
    Emitters emitters{};
    for (const std::span<const EmitterRow> rows : {integer_rows(), memory_rows(), control_rows(), float_rows()}) {
      for (const EmitterRow& row : rows) {
        emitters[static_cast<std::size_t>(row.op)] = row.word;
        const auto compressed = riscv::compressed_encodings_of(row.op);
        for (std::size_t index = 0; index < compressed.size() && compressed[index] != Op::kIllegal; ++index)
          emitters[static_cast<std::size_t>(compressed[index])] = row.compressed[index];
      }
    }
    emitters[riscv::kIllegalCompressed] = emitters[riscv::kIllegalWord];
    return emitters;
  }();
  return kEmitters;
}

bool UnitEmitter::has_emitter(Op op) { return all_emitters()[static_cast<std::size_t>(op)] != nullptr; }

bool UnitEmitter::emit(const PageScan& scan, const PageBytes& bytes, bool mixed, const CodeBlock& space,
                       InstructionPlace* places, Places kept, const CodeSources& sources) {
  scan_ = &scan;
  sources_ = sources;
  bytes_ = &bytes;
  mixed_ = mixed;
  code() = X86Assembler(space.write, space.execute - space.write, space.size);
  rounding_unknown_ = false;
  ended_ = false;
  entries_.clear();
  stubs_.clear();
  departures_.clear();
  departure_calls_.clear();
  far_departures_.clear();
  next_way_ = 0;
  last_way_ = 1;
  unsettled_.clear();
  host_changes_.clear();
  in_stretch_ = 0;
  use_homes();
  entry_jumps_.clear();
  entry_native_.fill(kNotEmitted);
  places_ = next_place_ = places;
  joined_.clear();
  is_second_pass_ = false;
  tied_ = mixed ? 1 : 0;
  // With a flag that all have, there is none.
  plain_entry_mask_ =
      static_cast<std::uint8_t>(PageScan::kEntry | PageScan::kMiddleElsewhere | PageScan::kCutOff | PageScan::kFloats |
                                (mixed || sources.elsewhere != nullptr ? PageScan::kVisited : 0));
  limit_ = here() + code().remaining() - (kLongestSequence + 8 * kLongestStub);
  // In the order of addresses. Only instructions that overlap others are left over.
  const std::span<const PageScan::Instruction> instructions = scan.in_order();
  const bool has_overlapping = instructions.size() != scan.instruction_count();
  if (kept == Places::kAccesses && !has_overlapping) {
    emit_run(InOrder<false>(instructions.data()));
  } else {
    emit_run(InOrder<true>(instructions.data()));
  }
  if (has_overlapping && !ended_) emit_overlapping();
  if (!ended_) emit_stubs();
  if (!ended_) bind_jumps();
  size_ = code().offset();
  return !ended_;
}

// What the first pass went past, in the middle of other instructions.
void UnitEmitter::emit_overlapping() {
  is_second_pass_ = true;
  std::fill_n(middle_native_.begin(), kHalfWords, kNotEmitted);
  for (const InstructionPlace& place : this->places()) middle_native_[place.half_word()] = place.native;
  for (const UnitEntry& joined : joined_) middle_native_[joined.half_word] = joined.native;
  scan_->for_each([this](std::uint32_t half_word) {
    if (!ended_ && middle_native_[half_word] == kNotEmitted) emit_run(Overlapping(*scan_, half_word));
  });
}

// Where nothing is to be done but to forget and to charge.
inline void UnitEmitter::enter_block(std::uint32_t half_word) {
  forget_everything();
  meeting_due_ = half_word + kFarthestMeeting;
  const bool is_paid = falls_in_ == FallsIn::kPaid;
  const std::uint32_t pass = is_paid ? code().jmp_short_forward() : 0;
  charge<false>(half_word);
  if (is_paid) code().bind_short(pass);
  look_for_stretch(half_word);
}

inline void UnitEmitter::look_for_stretch(std::uint32_t half_word) {
  stretch_due_ = kHalfWords;  // the next block asks again
  if (may_begin_stretch(half_word)) [[unlikely]]
    begin_stretch(half_word);
  event_due_ = std::min(meeting_due_, stretch_due_);
}

// The block's price.
template <bool mixed>
inline void UnitEmitter::charge(std::uint32_t half_word) {
  assert(mixed == mixed_ && entry_native_[half_word] == kNotEmitted);
  const std::uint32_t cost = now_->cost;
  if (!mixed && cost != 0 && falls_in_ != FallsIn::kUnpaid && !reaches_island(kLongestCharge)) open_island(half_word);
  const std::uint32_t native = code().offset();
  entry_native_[half_word] = native;
  entries_.push_back({static_cast<std::uint16_t>(half_word), native});
  if constexpr (mixed) emit_byte_check(half_word);
  if (cost == 0) [[unlikely]]
    return;
  code().subtract_immediate(Width::k32, kGasRegister, static_cast<std::int32_t>(cost));
  depart_if(Condition::kLess, {.half_word = half_word, .cost = cost});
}

// Execution that runs into an entry in mid-block has paid already and passes by.
void UnitEmitter::emit_entry(std::uint32_t half_word) {
  assert(entry_native_[half_word] == kNotEmitted);
  const bool is_paid = falls_in_ == FallsIn::kPaid;
  const std::uint32_t pass = is_paid ? code().jmp_short_forward() : 0;
  if (sources_.is_elsewhere(pc())) [[unlikely]] {
    // Not in the table, so that whoever looks it up leaves as well.
    entry_native_[half_word] = code().offset();
    code().load_word(Gp::rax, pc());
    code().jmp(thunks_.missing());
    if (is_paid) code().bind_short(pass);
    return;
  }
  if (mixed_) {
    charge<true>(half_word);
  } else {
    charge<false>(half_word);
  }
  if (scan_->has(half_word, PageScan::kFloats)) [[unlikely]] {
    code().alu_immediate(Alu::kCmp, Width::k32, tier_word(TierWord::kFloatsLive), 0);
    add_stub(Stub::Kind::kLoadFloats, code().jcc_forward(Condition::kEqual));
  }
  if (is_paid) code().bind_short(pass);
}

// What comes before an instruction that is more than the next one.
void UnitEmitter::prepare(std::uint32_t half_word, std::uint8_t flags) {
  if (in_stretch_ && half_word == stretch_.end()) [[unlikely]]
    end_stretch();
  // Now and then also in a long block, so that entries into its middle find a place to join.
  if ((flags & kMet) != 0 || half_word >= meeting_due_) {
    settle(pending_);
    forget_everything();
    meeting_due_ = half_word + kFarthestMeeting;
  }
  if ((flags & PageScan::kEntry) != 0) emit_entry(half_word);
  // What an earlier compilation has was not decoded by this scan.
  if ((flags & (PageScan::kMiddleElsewhere | PageScan::kCutOff)) != 0) return;
  if ((flags & kMet) != 0 || half_word >= stretch_due_) {
    look_for_stretch(half_word);
  } else {
    event_due_ = std::min(meeting_due_, stretch_due_);
  }
}

inline void UnitEmitter::emit_instruction(std::uint32_t bits, Emit emit) {
  [[maybe_unused]] const InstructionPlace* const place = next_place_;
  begin_instruction();
  if ((pending_ | in_stretch_) != 0) [[unlikely]] {
    emit_specially(bits, emit);
  } else {
    emit(*this, bits);
  }
  assert((next_place_ != place) == has_fact(now_->row, kUsesMemory));
}

void UnitEmitter::emit_specially(std::uint32_t bits, Emit emit) {
  // What may leave without a host fault has no place to say what is unsettled: an atomic does where it is misaligned.
  if (pending_ != 0 && has_fact(now_->row, kEnds | kIsAtomic)) settle(pending_);
  const std::uint32_t unsettled = pending_, singles = pending_singles_;
  const InstructionPlace* const place = next_place_;
  if (in_stretch_ != 0) {
    assert(unsettled == 0);  // has integers alone
    emit_in_stretch(bits, emit);
  } else {
    emit(*this, bits);
  }
  if (unsettled != 0 && next_place_ != place) unsettled_.push_back({place->native, unsettled, singles});
}

inline void UnitEmitter::emit_and_keep_place(std::uint32_t bits, Emit emit, std::uint32_t native) {
  InstructionPlace* const place = next_place_;
  const bool self_contained = (what_is_kept() | boxed_ | pending_ | tied_) == 0;
  emit_instruction(bits, emit);
  if (next_place_ == place) {
    ++next_place_;
    *place = InstructionPlace::of(*now_, native);
  }
  place->native = native;  // of what comes before the access as well
  if (now_->uses_floats) place->half_word_and_flags |= InstructionPlace::kUsesFloats;
  if (self_contained) place->half_word_and_flags |= InstructionPlace::kSelfContained;
}

void UnitEmitter::emit_in_stretch(std::uint32_t bits, Emit emit) {
  const Decoded decoded = riscv::decode(bits);
  bring_operands(decoded);
  emit(*this, bits);
  step_stretch(decoded);
}

// Instructions one after the other: all there are, or, where they may overlap, until execution cannot go on.
template <class Instructions>
void UnitEmitter::emit_run(Instructions at) {
  begin_run();
  const PageScan& scan = *scan_;
  const std::uint16_t* const half_words = bytes_->half_words.data();
  // What the next instruction is, is looked up before this one is emitted: nobody can predict it, and who goes a wrong way should find
  // out at once.
  Emit next_emit = emitters_[(*at).row];
  for (;; ++at) {
    const std::uint32_t half_word = (*at).half_word;
    if constexpr (Instructions::kMayOverlap) {
      if (middle_native_[half_word] != kNotEmitted) return join_emitted(half_word);
    }
    now_ = &*at;
    const std::uint8_t flags = scan.flags(half_word);
    if ((flags & kMet) != 0 || half_word >= event_due_) {
      if (half_word >= kHalfWords) [[unlikely]] {
        if (falls_in_ != FallsIn::kNever) join_emitted(at.behind_last());
        return;
      }
      if ((flags & plain_entry_mask_) == PageScan::kEntry && (pending_ | in_stretch_) == 0) [[likely]] {
        enter_block(half_word);
      } else {
        prepare(half_word, flags);
        if ((flags & (PageScan::kMiddleElsewhere | PageScan::kCutOff)) != 0) {
          end_in_code_elsewhere(half_word, flags);
          if (Instructions::kMayOverlap || ended_) return;
          next_emit = emitters_[at.next().row];
          begin_run();
          continue;
        }
      }
      falls_in_ = FallsIn::kPaid;
    }
    if (is_out_of_space()) [[unlikely]] {
      ended_ = true;
      return;
    }
    const Emit emit = next_emit;
    next_emit = emitters_[at.next().row];
    if constexpr (Instructions::kMayOverlap) middle_native_[half_word] = code().offset();
    std::uint32_t bits;
    std::memcpy(&bits, half_words + half_word, sizeof bits);
    if constexpr (Instructions::kKeepsAll) {
      emit_and_keep_place(bits, emit, code().offset());
    } else {
      emit_instruction(bits, emit);
    }
    if constexpr (!Instructions::kMayOverlap) at = Instructions(now_);  // no register keeps it
    assert(Instructions::kMayOverlap || (*at).ends || at.next().half_word == std::min((*at).next(), kHalfWords));
    if (!(*at).ends) [[likely]]
      continue;
    if (goes_on_behind(*at)) {
      falls_in_ = FallsIn::kUnpaid;
      continue;
    }
    if constexpr (Instructions::kMayOverlap) return;
    begin_run();
  }
}

// Nothing is known of what is emitted before.
inline void UnitEmitter::begin_run() {
  if (in_stretch_ != 0) [[unlikely]]
    leave_stretch();  // no run leaves a stretch open; a guest must gain nothing where one did
  falls_in_ = FallsIn::kNever;
  meeting_due_ = stretch_due_ = event_due_ = 0;  // the first instruction forgets everything
}

// Behind a terminator: whether execution comes to what is emitted next.
inline bool UnitEmitter::goes_on_behind(const PageScan::Instruction& terminator) {
  if (scan_->has(terminator.half_word, PageScan::kStops)) return false;
  const std::uint32_t next = terminator.next();
  if (next >= kHalfWords) {
    fall_off_page(next);
  } else if (mixed_ || scan_->has(next, PageScan::kEntryElsewhere)) {
    transfer_to(bytes_->address + next * 2);
  } else if (entry_native_[next] != kNotEmitted) {
    code().jmp_back(entry_native_[next]);
  } else {
    return true;
  }
  return false;
}

// At an instruction that cannot be fetched, or that an earlier compilation has.
void UnitEmitter::end_in_code_elsewhere(std::uint32_t half_word, std::uint8_t flags) {
  const std::uint32_t native = code().offset();
  if (is_out_of_space()) {
    ended_ = true;
    return;
  }
  if (is_second_pass_) middle_native_[half_word] = native;
  if ((flags & PageScan::kMiddleElsewhere) != 0) {
    joined_.push_back({static_cast<std::uint16_t>(half_word), native});
    code().jmp(scan_->middle_elsewhere(half_word));
  } else {
    *next_place_++ = {native, static_cast<std::uint16_t>(half_word), 0};
    cut_off();
  }
}

// Goes on in code that there is, or behind the page.
void UnitEmitter::join_emitted(std::uint32_t half_word) {
  if (in_stretch_ != 0) end_stretch();
  settle(pending_);
  if (half_word >= kHalfWords) {
    fall_off_page(half_word);
  } else {
    assert(is_second_pass_);
    code().jmp_back(middle_native_[half_word]);
  }
}

// A block of a mixed page: enters only if the bytes are still what was compiled.
void UnitEmitter::emit_byte_check(std::uint32_t half_word) {
  std::uint32_t end = half_word;
  while (end < kHalfWords && scan_->has(end, PageScan::kVisited)) {
    end += scan_->has(end, PageScan::kCutOff) ? 1 : riscv::instruction_length(bytes_->half_words[end]) / 2;
  }
  const std::uint32_t bytes = (end - half_word) * 2;
  const Gp address = Gp::rax;
  code().load_word(address, pc());
  for (std::uint32_t done = 0; done < bytes;) {
    const Place place = Place::indexed(kWindowRegister, address, 0, static_cast<std::int32_t>(done));
    const auto* const from = reinterpret_cast<const std::uint8_t*>(bytes_->half_words.data() + half_word) + done;
    if (bytes - done >= 4) {
      std::int32_t value;
      std::memcpy(&value, from, sizeof value);
      code().alu_immediate(Alu::kCmp, Width::k32, place, value);
      done += 4;
    } else {
      std::uint16_t value;
      std::memcpy(&value, from, sizeof value);
      code().movzx16(Gp::rcx, place);
      code().alu_immediate(Alu::kCmp, Width::k32, Gp::rcx, value);
      done += 2;
    }
    add_stub(Stub::Kind::kStale, code().jcc_forward(Condition::kNotEqual)).pc = pc();
    if (is_out_of_space()) {
      ended_ = true;
      return;
    }
  }
}

UnitEmitter::Stub& UnitEmitter::add_stub(Stub::Kind kind, std::uint32_t jump) {
  limit_ -= kLongestStub;
  Stub& stub = stubs_.push_back({});
  stub.kind = kind;
  stub.jump = jump;
  stub.back = code().offset();
  return stub;
}

void UnitEmitter::emit_stubs() {
  emit_far_departures();
  for (const Stub& stub : stubs_) {
    code().bind(stub.jump);
    emit_stub(stub);
  }
}

void UnitEmitter::emit_stub(const Stub& stub) {
  const auto reg = static_cast<Gp>(stub.reg);
  switch (stub.kind) {
    case Stub::Kind::kStale:
      code().load_word(Gp::rax, stub.pc);
      code().jmp(thunks_.stale());
      return;
    case Stub::Kind::kFarTransfer: {
      code().load_word(Gp::rax, stub.pc);
      if (!is_in_region(stub.pc)) {
        code().jmp(thunks_.lookup());
        return;
      }
      load_slot(table_slot(stub.pc));
      code().jmp(Gp::rcx);
      return;
    }
    case Stub::Kind::kLookup:
      code().lea(Width::k64, Gp::rcx, Place::absolute(thunks_.lookup()));
      break;
    case Stub::Kind::kForgetCalls:
      code().mov(Width::k64, Gp::rsp, tier_word(TierWord::kReturnStackBase));
      break;
    case Stub::Kind::kLoadFloats:
      code().call(thunks_.load_floats());
      break;
    case Stub::Kind::kLoadConstant:
      code().vmovsd_load(static_cast<Xmm>(stub.reg), Place::absolute(stub.constant));
      break;
    case Stub::Kind::kCanonicalPair:
      settle_pair(static_cast<Xmm>(stub.reg), static_cast<Xmm>(stub.other), stub.is_double);
      break;
    case Stub::Kind::kPerform:
      code().load_word(Gp::rax, stub.pc);
      code().load_word(Gp::rdx, stub.bits);
      code().call(thunks_.perform());
      break;
    case Stub::Kind::kMisalignedAtomic:
      code().mov(Width::k32, Gp::rdx, reg);
      code().load_word(Gp::rax, stub.pc);
      code().jmp(thunks_.misaligned_atomic());
      return;
  }
  code().jmp_back(stub.back);
}

void UnitEmitter::bind_jumps() {
  for (const EntryJump& jump : entry_jumps_) code().bind_to(jump.jump, entry_native_[jump.half_word]);
}

// --- operands ---

void UnitEmitter::forget_everything() {
  forget_registers();
  boxed_ = 0;
}

}  // namespace caisson::baseline
