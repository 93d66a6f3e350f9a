#include "baseline/unit_emitter.h"

#include <cassert>
#include <cstring>

#include "baseline/op_facts.h"

namespace caisson::baseline {

using riscv::Op;

namespace {

constexpr unsigned kLongestWithoutMeeting = 48;

}  // namespace

// --- the pass ---

const UnitEmitter::Emitters& UnitEmitter::all_emitters() {
  static const Emitters kEmitters = [] {
    Emitters emitters{};
    for (const std::span<const EmitterRow> rows : {integer_rows(), memory_rows(), control_rows(), float_rows()}) {
      for (const EmitterRow& row : rows) emitters[static_cast<std::size_t>(row.op)] = row.emit;
    }
    return emitters;
  }();
  return kEmitters;
}

bool UnitEmitter::has_emitter(Op op) { return all_emitters()[static_cast<std::size_t>(op)] != nullptr; }

bool UnitEmitter::emit(const PageScan& scan, const PageBytes& bytes, bool mixed, const CodeBlock& space) {
  X86Assembler code(space.write, space.execute - space.write, space.size);
  scan_ = &scan;
  bytes_ = &bytes;
  code_ = &code;
  mixed_ = mixed;
  rounding_unknown_ = false;
  ended_ = false;
  places_.clear();
  entries_.clear();
  stubs_.clear();
  slice_ends_.blocks.clear();
  slice_end_jumps_.clear();
  unsettled_.clear();
  host_changes_.clear();
  use_map();
  entry_jumps_.clear();
  // Nobody asks about other half-words.
  scan.for_each(
      [this](std::uint32_t half_word) { entry_native_[half_word] = middle_native_[half_word] = kNotEmitted; });
  scan.for_each([this](std::uint32_t half_word) {
    if (!ended_ && middle_native_[half_word] == kNotEmitted) emit_run(half_word);
  });
  if (!ended_) emit_stubs();
  if (!ended_) bind_jumps();
  size_ = code.offset();
  code_ = nullptr;
  return !ended_;
}

// Straight-line code from `half_word` on, and on behind its blocks, until execution cannot go on there.
void UnitEmitter::emit_run(std::uint32_t half_word) {
  forget_everything();
  if (in_stretch_) use_map();  // no run leaves a stretch open; a guest must gain nothing where one did
  stretch_measured_to_ = 0;
  for (FallsIn falls_in = FallsIn::kNever;;) {
    if (in_stretch_ && half_word == stretch_.end()) end_stretch();
    if (half_word >= kHalfWords) {
      settle(pending_);
      return fall_off_page(half_word);
    }
    if (middle_native_[half_word] != kNotEmitted) {
      settle(pending_);
      code().jmp_back(middle_native_[half_word]);
      return;
    }
    if (is_out_of_space()) return;
    const std::uint8_t flags = scan_->flags(half_word);
    half_word_ = half_word;
    pc_ = bytes_->address + half_word * 2;
    // Now and then also in a long block, so that entries into its middle find a place to join.
    constexpr std::uint8_t kMet =
        PageScan::kEntry | PageScan::kMeeting | PageScan::kMiddleElsewhere | PageScan::kCutOff;
    if ((flags & kMet) != 0 || ++since_meeting_ == kLongestWithoutMeeting) {
      settle(pending_);
      forget_everything();
    }
    if ((flags & PageScan::kEntry) != 0) emit_entry(half_word, falls_in);
    // What an earlier compilation has was not decoded by this scan.
    const bool is_decoded = (flags & (PageScan::kMiddleElsewhere | PageScan::kCutOff)) == 0;
    if (is_decoded && !in_stretch_ && half_word >= stretch_measured_to_) begin_stretch(half_word);
    middle_native_[half_word] = code().offset();
    if ((flags & PageScan::kMiddleElsewhere) != 0) {
      code().jmp(scan_->middle_elsewhere(half_word));
      return;
    }
    emit_instruction(half_word);
    if ((flags & PageScan::kCutOff) != 0) return;
    const Decoded& decoded = scan_->decoded(half_word);
    half_word += decoded.length / 2;
    const bool is_paid = !has_fact(decoded.op, kEnds);
    falls_in = is_paid ? FallsIn::kPaid : FallsIn::kUnpaid;
    if (is_paid) continue;

    const bool is_jump = has_fact(decoded.op, kJumps);
    if (decoded.op == Op::kIllegal || decoded.op == Op::kEbreak || (is_jump && decoded.rd == 0)) return;
    if (half_word >= kHalfWords) return fall_off_page(half_word);
    if (mixed_ || scan_->has(half_word, PageScan::kEntryElsewhere)) return transfer_to(bytes_->address + half_word * 2);
    if (entry_native_[half_word] != kNotEmitted) {
      code().jmp_back(entry_native_[half_word]);
      return;
    }
  }
}

void UnitEmitter::emit_instruction(std::uint32_t half_word) {
  const bool self_contained = !mixed_ && (!in_stretch_ || stretch_.is_at_begin()) && known_ == 0 && boxed_ == 0 &&
                              pending_ == 0 && cached_ == std::array<std::uint8_t, 3>{};
  const std::uint32_t native = code().offset();
  faults_as_store_ = false;
  if (scan_->has(half_word, PageScan::kCutOff)) {
    cut_off();
  } else {
    const Decoded& decoded = scan_->decoded(half_word);
    next_pc_ = pc_ + decoded.length;
    busy_ = 0;
    // What may leave without a host fault has no place to say what is unsettled: an atomic does where it is misaligned.
    if (pending_ != 0 && has_fact(decoded.op, kEnds | kIsAtomic)) settle(pending_);
    if (pending_ != 0 && has_fact(decoded.op, kUsesMemory)) unsettled_.push_back({native, pending_, pending_singles_});
    if (in_stretch_) bring_operands(decoded);
    (this->*emitters_[static_cast<std::size_t>(decoded.op)])(decoded);
    if (in_stretch_) step_stretch(decoded);
  }
  const auto flags =
      static_cast<std::uint16_t>((self_contained ? InstructionPlace::kSelfContained : 0) |
                                 (faults_as_store_ ? InstructionPlace::kFaultsAsStore : 0) |
                                 (scan_->has(half_word, PageScan::kFloats) ? InstructionPlace::kUsesFloats : 0));
  places_.push_back(
      {native, static_cast<std::uint16_t>(half_word | flags), static_cast<std::uint16_t>(scan_->cost(half_word))});
}

// The block's price. Execution that runs into an entry in mid-block has paid already and passes by. The call for who cannot pay stands
// before the entry where nothing runs into it, else behind the unit's code.
void UnitEmitter::emit_entry(std::uint32_t half_word, FallsIn falls_in) {
  if (entry_native_[half_word] != kNotEmitted) return;
  const bool is_paid = falls_in == FallsIn::kPaid;
  const std::uint32_t pass = is_paid ? code().jmp_short_forward() : 0;
  const std::uint32_t cost = scan_->cost(half_word);
  // CodeRegion::find_slice_end() takes the block from the instruction's place, which there must be.
  const bool stands_before =
      cost != 0 && falls_in != FallsIn::kUnpaid && !mixed_ && !scan_->has(half_word, PageScan::kMiddleElsewhere);
  const std::uint32_t before = code().offset();
  if (stands_before) code().call(thunks_.slice_end());
  entry_native_[half_word] = code().offset();
  entries_.push_back({static_cast<std::uint16_t>(half_word), code().offset()});
  if (mixed_) emit_byte_check(half_word);
  if (cost != 0) {
    code().alu_immediate(Alu::kSub, Width::k64, kGasRegister, static_cast<std::int32_t>(cost));
    if (stands_before) {
      code().jcc_back(Condition::kLess, before);
    } else {
      slice_ends_.blocks.push_back({static_cast<std::uint16_t>(half_word), static_cast<std::uint16_t>(cost)});
      slice_end_jumps_.push_back(code().jcc_forward(Condition::kLess));
    }
  }
  if (scan_->has(half_word, PageScan::kFloats)) {
    code().alu_immediate(Alu::kCmp, Width::k32, tier_word(TierWord::kFloatsLive), 0);
    add_stub(Stub::Kind::kLoadFloats, code().jcc_forward(Condition::kEqual));
  }
  if (is_paid) code().bind_short(pass);
}

bool UnitEmitter::is_out_of_space() {
  const std::size_t stubs = (stubs_.size() + 8) * kLongestStub + slice_end_jumps_.size() * SliceEnds::kCallBytes;
  if (code().remaining() < kLongestSequence + stubs) ended_ = true;
  return ended_;
}

// A block of a mixed page: enters only if the bytes are still what was compiled.
void UnitEmitter::emit_byte_check(std::uint32_t half_word) {
  std::uint32_t end = half_word;
  while (end < kHalfWords && scan_->has(end, PageScan::kVisited)) {
    end += scan_->has(end, PageScan::kCutOff) ? 1 : scan_->decoded(end).length / 2;
  }
  const std::uint32_t bytes = (end - half_word) * 2;
  const Gp address = Gp::rax;
  code().load_immediate(address, pc_);
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
    add_stub(Stub::Kind::kStale, code().jcc_forward(Condition::kNotEqual)).pc = pc_;
    if (is_out_of_space()) return;
  }
}

UnitEmitter::Stub& UnitEmitter::add_stub(Stub::Kind kind, std::uint32_t jump) {
  Stub& stub = stubs_.emplace_back();
  stub.kind = kind;
  stub.jump = jump;
  stub.back = code().offset();
  return stub;
}

void UnitEmitter::emit_stubs() {
  slice_ends_.begin = code().offset();
  for (const std::uint32_t jump : slice_end_jumps_) {
    code().bind(jump);
    code().call(thunks_.slice_end());
  }
  for (const Stub& stub : stubs_) {
    code().bind(stub.jump);
    emit_stub(stub);
  }
}

void UnitEmitter::emit_stub(const Stub& stub) {
  const auto reg = static_cast<Gp>(stub.reg);
  switch (stub.kind) {
    case Stub::Kind::kStale:
      code().load_immediate(Gp::rax, stub.pc);
      code().jmp(thunks_.stale());
      return;
    case Stub::Kind::kFarTransfer: {
      code().load_immediate(Gp::rax, stub.pc);
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
      code().load_immediate(Gp::rax, stub.pc);
      code().load_immediate(Gp::rdx, stub.bits);
      code().call(thunks_.perform());
      break;
    case Stub::Kind::kMisalignedAtomic:
      code().mov(Width::k32, Gp::rdx, reg);
      code().load_immediate(Gp::rax, stub.pc);
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
  forget_scratch();
  known_ = 0;
  boxed_ = 0;
  since_meeting_ = 0;
}

void UnitEmitter::forget_scratch() { cached_.fill(0); }

Gp UnitEmitter::scratch() {
  assert(busy_ != (1u << kScratch.size()) - 1);
  unsigned chosen = kScratch.size();
  for (unsigned i = 0; i < kScratch.size(); ++i) {
    if ((busy_ >> i & 1) == 0 && cached_[i] == 0) {
      chosen = i;
      break;
    }
  }
  while (chosen == kScratch.size()) {
    next_scratch_ = (next_scratch_ + 1) % kScratch.size();
    if ((busy_ >> next_scratch_ & 1) == 0) chosen = next_scratch_;
  }
  return take(kScratch[chosen]);
}

Gp UnitEmitter::take(Gp specific) {
  const unsigned index = scratch_index(specific);
  cached_[index] = 0;
  busy_ |= 1u << index;
  return specific;
}

Gp UnitEmitter::use(unsigned reg) {
  if (is_pinned(reg)) return host(reg);
  for (unsigned i = 0; i < kScratch.size() && reg != 0; ++i) {
    if (cached_[i] == reg) {
      busy_ |= 1u << i;
      return kScratch[i];
    }
  }
  const Gp into = scratch();
  if (reg == 0) {
    code().load_immediate(into, 0);
  } else {
    code().mov(Width::k64, into, integer_home(reg));
    cached_[scratch_index(into)] = static_cast<std::uint8_t>(reg);
  }
  return into;
}

Place UnitEmitter::operand(unsigned reg) {
  if (is_pinned(reg)) return host(reg);
  for (unsigned i = 0; i < kScratch.size() && reg != 0; ++i) {
    if (cached_[i] == reg) {
      busy_ |= 1u << i;
      return kScratch[i];
    }
  }
  return integer_home(reg);
}

Gp UnitEmitter::target(unsigned reg) { return is_pinned(reg) ? host(reg) : scratch(); }

void UnitEmitter::written(unsigned reg) {
  known_ &= ~(std::uint32_t{1} << reg);
  for (std::uint8_t& cached : cached_) {
    if ((cached & ~kLowHalf) == reg) cached = 0;
  }
}

void UnitEmitter::finish(unsigned reg, Gp value) {
  if (reg == 0) return;
  written(reg);
  if (is_pinned(reg)) {
    copy(host(reg), value);
    return;
  }
  code().store(Width::k64, integer_home(reg), value);
  if (number(value) < kScratch.size()) cached_[scratch_index(value)] = static_cast<std::uint8_t>(reg);
}

std::optional<std::uint64_t> UnitEmitter::known(unsigned reg) const {
  if (reg == 0) return 0;
  if ((known_ >> reg & 1) != 0) return known_values_[reg];
  return std::nullopt;
}

void UnitEmitter::set_known(unsigned reg, std::uint64_t value) {
  if (reg == 0) return;
  known_ |= std::uint32_t{1} << reg;
  known_values_[reg] = value;
}

void UnitEmitter::load_known(unsigned reg, std::uint64_t value) {
  if (reg == 0) return;
  if (!is_pinned(reg) && static_cast<std::int64_t>(value) == static_cast<std::int32_t>(value)) {
    written(reg);
    code().store_immediate(Width::k64, integer_home(reg), static_cast<std::int32_t>(value));
  } else {
    const Gp to = target(reg);
    code().load_immediate(to, value);
    finish(reg, to);
  }
  set_known(reg, value);
}

}  // namespace caisson::baseline
