// Branches, jumps, calls, returns, and what leaves compiled code.
#include "baseline/unit_emitter.h"

namespace caisson::baseline {

using riscv::Op;

bool UnitEmitter::is_in_unit(std::uint64_t target) const { return !mixed_ && target - bytes_->address < kGuestPage; }

Place UnitEmitter::table_slot(std::uint32_t target) const {
  return Place::absolute(static_cast<const std::uint8_t*>(region_.table) +
                         std::uint64_t{target - region_.base} / 2 * sizeof(EntrySlot));
}

// Within the page code goes straight to code, since a page is dropped as a whole; elsewhere it asks the table, so that dropping a page
// is clearing its slots.
void UnitEmitter::transfer_to(std::uint32_t target) {
  if (is_in_unit(target)) {
    const std::uint32_t half_word = (target - bytes_->address) / 2;
    if (scan_->has(half_word, PageScan::kEntryElsewhere)) {
      code().jmp(scan_->entry_elsewhere(half_word));
    } else if (entry_native_[half_word] != kNotEmitted) {
      code().jmp_back(entry_native_[half_word]);
    } else {
      entry_jumps_.push_back({code().jmp_forward(), static_cast<std::uint16_t>(half_word)});
    }
    return;
  }
  jump_through_table(target);
}

void UnitEmitter::jump_through_table(std::uint64_t target) {
  if (target >> 32 == 0 && is_in_region(target)) {
    code().load_word(Gp::rax, static_cast<std::uint32_t>(target));
    load_slot(table_slot(static_cast<std::uint32_t>(target)));
    code().jmp(Gp::rcx);
  } else {
    code().load_immediate(Gp::rax, target);
    code().jmp(thunks_.lookup());
  }
}

// rax holds the guest address: where there is no code for it, what stands at the origin takes it from there.
void UnitEmitter::load_slot(Place slot) {
  code().mov(Width::k32, Gp::rcx, slot);
  code().alu(Alu::kAdd, Width::k64, Gp::rcx, kCodeOrigin);
}

void UnitEmitter::transfer_outside(std::uint64_t target) {
  if (target >> 32 == 0) {
    transfer_to(static_cast<std::uint32_t>(target));
  } else {
    jump_through_table(target);
  }
}

// To the page behind; a last instruction may reach into it.
void UnitEmitter::fall_off_page(std::uint32_t half_word) {
  transfer_outside(std::uint64_t{bytes_->address} + half_word * 2);
}

void UnitEmitter::cut_off() {
  code().load_word(Gp::rax, pc());
  code().jmp(thunks_.fetch_fault());
}

CAISSON_SHARED void UnitEmitter::branch_if(Condition holds, unsigned rs1, unsigned rs2, std::int32_t offset) {
  const Place second = operand(rs2);
  Place first = operand(rs1);
  const unsigned is_nonzero = (rs2 + 31) >> 5;
  if (__builtin_unpredictable((is_nonzero & first.in_memory() & second.in_memory()) != 0)) first = use(rs1);
  code().compare(first, second, rs2 == 0);
  const auto target = std::uint64_t{pc()} + static_cast<std::uint64_t>(std::int64_t{offset});
  if (is_in_unit(target)) {
    const auto half_word = static_cast<std::uint32_t>(target - bytes_->address) / 2;
    if (scan_->has(half_word, PageScan::kEntryElsewhere)) {
      code().jcc(holds, scan_->entry_elsewhere(half_word));
    } else {
      const std::uint32_t native = entry_native_[half_word];
      const bool is_back = native != kNotEmitted;
      const std::uint32_t jump = code().jcc_back_or_forward(holds, is_back, native);
      entry_jumps_.push_back_if(!is_back, {jump, static_cast<std::uint16_t>(half_word)});
    }
  } else if (target >> 32 == 0) {
    add_stub(Stub::Kind::kFarTransfer, code().jcc_forward(holds)).pc = static_cast<std::uint32_t>(target);
  } else {
    const std::uint32_t stays = code().jcc_short_forward(negated(holds));
    code().load_immediate(Gp::rax, target);
    code().jmp(thunks_.missing());
    code().bind_short(stays);
  }
}

// --- calls and returns ---

// rd = the return address, which is pushed, too, where it is a link register's.
void UnitEmitter::link(unsigned rd, std::uint32_t return_pc) {
  const Gp to = is_pinned(rd) ? host(rd) : Gp::rdx;
  code().load_word(to, return_pc);
  if (!is_pinned(rd)) code().store(Width::k64, integer_home(rd), to);
  code().push(to);
}

// Where there is no room on the return stack, the instruction is left, which is the last of its block, and entered as a block of its own
// with an empty stack. The bytes of a mixed page may be others by then; there the stack is emptied here.
void UnitEmitter::remember_call(unsigned rd, std::uint32_t return_pc) {
  code().alu(Alu::kCmp, Width::k64, Gp::rsp, tier_word(TierWord::kReturnStackLimit));
  if (mixed_) {
    add_stub(Stub::Kind::kForgetCalls, code().jcc_forward(Condition::kBelow));
  } else {
    depart_if(Condition::kBelow, {.half_word = now_->half_word, .cost = now_->cost, .is_slice_end = 0});
  }
  link(rd, return_pc);
}

// A direct call: the code within the page is known, or will be.
void UnitEmitter::call_direct(std::uint64_t target) {
  if (!is_in_unit(target)) return call_through_table(target);
  const auto half_word = static_cast<std::uint32_t>(target - bytes_->address) / 2;
  if (scan_->has(half_word, PageScan::kEntryElsewhere)) {
    code().call(scan_->entry_elsewhere(half_word));
  } else if (entry_native_[half_word] != kNotEmitted) {
    code().call(code().executable(entry_native_[half_word]));
  } else {
    entry_jumps_.push_back({code().call_forward(), static_cast<std::uint16_t>(half_word)});
  }
  drop_return_address();
}

void UnitEmitter::call_through_table(std::uint64_t target) {
  if (target >> 32 == 0 && is_in_region(target)) {
    code().load_word(Gp::rax, static_cast<std::uint32_t>(target));
    load_slot(table_slot(static_cast<std::uint32_t>(target)));
    code().call(Gp::rcx);
  } else {
    code().load_immediate(Gp::rax, target);
    code().call(thunks_.lookup());
  }
  drop_return_address();
}

// The guest's, which was pushed beside the host's.
void UnitEmitter::drop_return_address() { code().pop(Gp::rcx); }

void UnitEmitter::jump(Decoded decoded) {
  const auto target = std::uint64_t{pc()} + static_cast<std::uint64_t>(std::int64_t{decoded.imm});
  if (decoded.rd == 0) return transfer_outside(target);
  remember_call(decoded.rd, pc() + decoded.length);
  call_direct(target);
}

// For a call, code outside the region is left to the look-up that rcx leads to; a jump goes there itself.
void UnitEmitter::find_entry(bool is_call) {
  // A distance that wraps is out of range as well: bits above the 32nd make it large.
  if (region_.base <= 0x7FFFFFFF) {
    code().lea(Width::k64, Gp::rcx, Place::at(Gp::rax, -static_cast<std::int32_t>(region_.base)));
  } else {
    code().load_immediate(Gp::rcx, ~std::uint64_t{region_.base} + 1);
    code().alu(Alu::kAdd, Width::k64, Gp::rcx, Gp::rax);
  }
  code().alu_immediate(Alu::kCmp, Width::k64, Gp::rcx, static_cast<std::int32_t>(region_.size));
  std::uint32_t outside = 0;
  if (is_call) {
    outside = code().jcc_forward(Condition::kAboveEqual);
  } else {
    code().jcc(Condition::kAboveEqual, thunks_.lookup());
  }
  code().lea(Width::k64, Gp::rdx, Place::absolute(region_.table));
  load_slot(Place::indexed(Gp::rdx, Gp::rcx, 1));
  if (is_call) add_stub(Stub::Kind::kLookup, outside);
}

void UnitEmitter::jump_register(Decoded decoded) {
  const bool is_return =
      decoded.rd == 0 && decoded.imm == 0 && (decoded.rs1 == riscv::kRa || decoded.rs1 == riscv::kT0);
  if (is_return) {
    copy(Gp::rax, operand(decoded.rs1));
    code().alu(Alu::kCmp, Width::k64, Gp::rax, Place::at(Gp::rsp, 8));
    code().jcc(Condition::kNotEqual, thunks_.return_missed());
    code().ret();
    return;
  }
  if (const auto base = known(decoded.rs1)) {
    const std::uint64_t target = (*base + static_cast<std::uint64_t>(std::int64_t{decoded.imm})) & ~std::uint64_t{1};
    // Not an entry of the scan, so never linked within the page.
    if (decoded.rd == 0) return jump_through_table(target);
    remember_call(decoded.rd, pc() + decoded.length);
    return call_through_table(target);
  }
  const Place base = operand(decoded.rs1);
  if (base.is_register() && decoded.imm != 0) {
    code().lea(Width::k64, Gp::rax, Place::at(base.gp(), decoded.imm));
  } else {
    copy(Gp::rax, base);
    if (decoded.imm != 0) code().alu_immediate(Alu::kAdd, Width::k64, Gp::rax, decoded.imm);
  }
  code().alu_immediate(Alu::kAnd, Width::k64, Gp::rax, -2);
  if (decoded.rd == 0) {
    find_entry(false);
    code().jmp(Gp::rcx);
    return;
  }
  remember_call(decoded.rd, pc() + decoded.length);
  find_entry(true);
  code().call(Gp::rcx);
  drop_return_address();
}

// --- the environment ---

void UnitEmitter::environment_call(Decoded) {
  code().load_word(Gp::rax, pc());
  code().call(thunks_.ecall());
}

void UnitEmitter::breakpoint(Decoded) {
  code().load_word(Gp::rax, pc());
  code().jmp(thunks_.ebreak());
}

void UnitEmitter::illegal(Decoded) {
  code().load_word(Gp::rax, pc());
  code().jmp(thunks_.illegal());
}

// Changed code is found by dropped pages and compared bytes; the instruction only ends its block.
void UnitEmitter::fence_instruction(Decoded) {}

// A rounding mode that this code is not for: elsewhere the block is left and goes on in other code. The bytes of a mixed page may not be
// those that were paid for any more, so there the block goes on, with software for what rounds.
void UnitEmitter::csr(Decoded decoded) {
  settle(pending_);
  code().load_immediate(Gp::rcx, mixed_ ? 1 : 0);
  perform(decoded);
  rounding_unknown_ = mixed_;
}

std::span<const UnitEmitter::EmitterRow> UnitEmitter::control_rows() {
  using E = UnitEmitter;
  static constexpr EmitterRow kRows[] = {
      emits<Op::kIllegal, &E::illegal>,
      emits<Op::kBeq, &E::branch<Condition::kEqual>>,
      emits<Op::kBne, &E::branch<Condition::kNotEqual>>,
      emits<Op::kBlt, &E::branch<Condition::kLess>>,
      emits<Op::kBge, &E::branch<Condition::kGreaterEqual>>,
      emits<Op::kBltu, &E::branch<Condition::kBelow>>,
      emits<Op::kBgeu, &E::branch<Condition::kAboveEqual>>,
      emits<Op::kJal, &E::jump>,
      emits<Op::kJalr, &E::jump_register>,
      emits<Op::kEcall, &E::environment_call>,
      emits<Op::kEbreak, &E::breakpoint>,
      emits<Op::kFenceI, &E::fence_instruction>,
      emits<Op::kCsrrw, &E::csr>,
      emits<Op::kCsrrs, &E::csr>,
      emits<Op::kCsrrc, &E::csr>,
      emits<Op::kCsrrwi, &E::csr>,
      emits<Op::kCsrrsi, &E::csr>,
      emits<Op::kCsrrci, &E::csr>,
  };
  return kRows;
}

}  // namespace caisson::baseline
