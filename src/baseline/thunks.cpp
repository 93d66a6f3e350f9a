#include "baseline/thunks.h"

#include <bit>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

namespace caisson::baseline {
namespace {

using riscv::HartState;

constexpr std::size_t kThunkBytes = 4096;

constexpr FloatConstants kConstants = {
    .double_sign = {0x8000000000000000, 0},
    .double_magnitude = {0x7FFFFFFFFFFFFFFF, 0},
    .single_sign = {0x0000000080000000, 0},
    .single_magnitude = {0xFFFFFFFF7FFFFFFF, 0},
    .box = {0xFFFFFFFF00000000, 0},
    .canonical_double = {0x7FF8000000000000, 0},
    .canonical_single = {0xFFFFFFFF7FC00000, 0},
    .limit_of_unsigned_words = 4294966784.0,
    .limit_of_unsigned_longs = 9223370937343148032.0,
    .single_limit_of_unsigned_words = 4294966784.0F,
    .single_limit_of_unsigned_longs = 9223370937343148032.0F,
};

constexpr std::int32_t context_offset(std::size_t offset) { return static_cast<std::int32_t>(offset); }
Place context_field(Gp context, std::size_t offset) { return Place::at(context, context_offset(offset)); }

constexpr Place kPc = hart_field(offsetof(HartState, pc));
constexpr Place kTierContext = hart_field(offsetof(HartState, tier_context));
constexpr Place kFloatsLive = tier_word(TierWord::kFloatsLive);
static_assert(sizeof(EntrySlot) == 4);

class ThunkWriter {
 public:
  ThunkWriter(const RegisterMap& map, X86Assembler& code) : map_(map), code_(code) {}

  void spill_integers() {
    for (std::size_t i = 0; i < kIntegerHosts.size(); ++i)
      code_.store(Width::k64, integer_home(map_.integers[i]), kIntegerHosts[i]);
  }
  void reload_integers() {
    for (std::size_t i = 0; i < kIntegerHosts.size(); ++i)
      code_.mov(Width::k64, kIntegerHosts[i], integer_home(map_.integers[i]));
  }
  void spill_floats() {
    for (std::size_t i = 0; i < kFloatHosts.size(); ++i) code_.vmovsd_store(float_home(map_.floats[i]), kFloatHosts[i]);
  }
  void reload_floats() {
    for (std::size_t i = 0; i < kFloatHosts.size(); ++i) code_.vmovsd_load(kFloatHosts[i], float_home(map_.floats[i]));
  }

  // Where floats are live, writes them to the hart and gives the host its MXCSR back; C++ collects the flags and clears the mark.
  // That is done apart, by settle_floats_apart(): a branch that is taken costs what three instructions cost.
  void settle_floats(Gp context) {
    code_.alu_immediate(Alu::kCmp, Width::k32, kFloatsLive, 0);
    const std::uint32_t live = code_.jcc_forward(Condition::kNotEqual);
    live_.push_back({context, live, code_.here(), false});
  }
  // The same at a return to the trampoline: rdx = 0 where floats are not live, else the context, with the exit's kind set.
  void settle_floats_of_return() {
    code_.alu_immediate(Alu::kCmp, Width::k32, kFloatsLive, 0);
    const std::uint32_t live = code_.jcc_forward(Condition::kNotEqual);
    code_.alu(Alu::kXor, Width::k32, Gp::rdx, Gp::rdx);
    live_.push_back({Gp::rdx, live, code_.here(), true});
  }
  void settle_floats_apart() {
    for (const LiveFloats& live : live_) {
      code_.bind(live.jump);
      if (live.is_return) {
        code_.mov(Width::k64, live.context, kTierContext);
        code_.store_immediate(Width::k32, context_field(live.context, offsetof(Context, exit_kind)),
                              static_cast<std::int32_t>(ExitKind::kTrampoline));
      }
      spill_floats();
      code_.stmxcsr(context_field(live.context, offsetof(Context, left_mxcsr)));
      code_.ldmxcsr(context_field(live.context, offsetof(Context, host_mxcsr)));
      code_.jmp(live.back);
    }
    live_.clear();
  }

  // Calls a function of the context with (context, hart) and, where it takes words, (eax, edx, ecx), on an aligned stack; the integers
  // are spilled.
  void call_out(std::size_t function, bool takes_words) {
    code_.mov(Width::k64, Gp::rdi, kTierContext);
    code_.store(Width::k64, context_field(Gp::rdi, offsetof(Context, slice_gas)), kGasRegister);
    code_.lea(Width::k64, Gp::rsi, Place::at(kHartRegister, -static_cast<std::int32_t>(kHartBias)));
    if (takes_words) {
      code_.mov(Width::k32, Gp::r8, Gp::rcx);
      code_.mov(Width::k32, Gp::rcx, Gp::rdx);
      code_.mov(Width::k32, Gp::rdx, Gp::rax);
    }
    code_.mov(Width::k64, Gp::r15, Gp::rsp);
    code_.alu_immediate(Alu::kAnd, Width::k64, Gp::rsp, -16);
    code_.call(context_field(Gp::rdi, function));
    code_.mov(Width::k64, Gp::rsp, Gp::r15);
  }

 private:
  struct LiveFloats {
    Gp context;
    std::uint32_t jump;
    const void* back;
    bool is_return;
  };

  const RegisterMap& map_;
  X86Assembler& code_;
  std::vector<LiveFloats> live_;
};

}  // namespace

Result<std::shared_ptr<const Thunks>> Thunks::of(const RegisterMap& map) {
  // Few maps are in use at a time; those that nobody holds give way.
  static std::mutex mutex;
  static auto& known = *new std::vector<std::weak_ptr<const Thunks>>;
  const std::scoped_lock lock(mutex);
  std::erase_if(known, [](const auto& thunks) { return thunks.expired(); });
  for (const auto& weak : known) {
    if (auto thunks = weak.lock(); thunks != nullptr && thunks->map() == map) return thunks;
  }
  const Result<ExecutableMemory*> memory = ExecutableMemory::process();
  if (!memory) return std::unexpected(memory.error());
  const std::optional<CodeBlock> code = (*memory)->allocate_code(kThunkBytes);
  if (!code) return fail(ErrorCode::kOutOfMemory, "no memory is left for compiled code");
  static std::once_flag origin_is_written;
  std::call_once(origin_is_written, [&] {
    const CodeBlock& origin = (*memory)->origin();
    X86Assembler(origin.write, origin.execute - origin.write, origin.size).jmp(tier_word(TierWord::kMissing));
  });
  std::shared_ptr<const Thunks> thunks(new Thunks(map, **memory, *code));
  known.push_back(thunks);
  return thunks;
}

Thunks::Thunks(const RegisterMap& map, ExecutableMemory& memory, const CodeBlock& code)
    : map_(map), memory_(memory), code_(code) {
  emit();
}

Thunks::~Thunks() { memory_.free_code(code_); }

void Thunks::emit() {
  std::memcpy(code_.write, &kConstants, sizeof kConstants);
  constants_ = reinterpret_cast<const FloatConstants*>(code_.execute);
  X86Assembler code(code_.write + sizeof kConstants, code_.execute - code_.write, code_.size - sizeof kConstants);
  ThunkWriter writer(map_, code);
  const auto begin = [&code] {
    code.align(16);
    return code.here();
  };

  // Anew behind all C++ that has executed instructions.
  const auto set_code_origin = [&] {
    code.lea(Width::k64, Gp::rax, Place::absolute(memory_.origin().execute));
    code.store(Width::k64, kCodeOrigin, Gp::rax);
  };
  const auto return_to_host = [&] {
    code.pop(Gp::rbp);
    code.ret();
  };
  // rdx = context, rax = gas, as enter_compiled() has them; nothing is live any more.
  const auto unwind = [&] {
    code.mov(Width::k64, Gp::rsp,
             context_field(Gp::rdx, offsetof(Context, scope) + offsetof(memory::GuestScope, host_stack)));
    return_to_host();
  };
  // The integers are spilled, hart.pc and (ecx) the exit's kind are to be set.
  const void* const leave_spilled = begin();
  code.mov(Width::k64, Gp::rdx, kTierContext);
  code.movsxd(Gp::rax, kGasRegister);  // less than 0 at the end of a slice
  code.store(Width::k32, context_field(Gp::rdx, offsetof(Context, exit_kind)), Gp::rcx);
  writer.settle_floats(Gp::rdx);
  unwind();
  // C++ has set everything.
  const void* const leave_settled = begin();
  code.mov(Width::k64, Gp::rdx, kTierContext);
  code.mov(Width::k64, Gp::rax, context_field(Gp::rdx, offsetof(Context, slice_gas)));
  unwind();

  const auto leave = [&](ExitKind kind) {
    code.store(Width::k64, kPc, Gp::rax);
    code.load_immediate(Gp::rcx, static_cast<std::uint64_t>(kind));
    writer.spill_integers();
    code.jmp(leave_spilled);
  };
  const auto exit = [&](ExitKind kind) {
    const void* const thunk = begin();
    leave(kind);
    return thunk;
  };
  depart_ = begin();
  code.pop(Gp::rax);
  code.mov(Width::k64, Gp::rdx, kTierContext);
  code.store(Width::k64, context_field(Gp::rdx, offsetof(Context, left_from)), Gp::rax);
  code.load_immediate(Gp::rcx, 0);  // counts the pushes
  const std::uint32_t compare = code.offset();
  code.alu(Alu::kCmp, Width::k64, kHartRegister, Place::indexed(Gp::rsp, Gp::rcx, 3));
  const std::uint32_t counted = code.jcc_short_forward(Condition::kNotEqual);
  code.alu_immediate(Alu::kAdd, Width::k32, Gp::rcx, 1);
  code.jmp_back(compare);
  code.bind_short(counted);
  code.store(Width::k32, context_field(Gp::rdx, offsetof(Context, pushes)), Gp::rcx);
  code.load_immediate(Gp::rcx, static_cast<std::uint64_t>(ExitKind::kDeparture));
  writer.spill_integers();
  code.jmp(leave_spilled);
  missing_ = exit(ExitKind::kMissing);
  stale_ = exit(ExitKind::kStale);
  ebreak_ = exit(ExitKind::kEbreak);
  illegal_ = exit(ExitKind::kIllegal);
  fetch_fault_ = exit(ExitKind::kFetchFault);
  // Host registers may be lent out here: what they hold is for C++ to tell (CodeRegion::find).
  fault_landing_ = begin();
  code.mov(Width::k64, Gp::rdx, kTierContext);
  for (std::size_t i = 0; i < kIntegerHosts.size(); ++i)
    code.store(Width::k64, context_field(Gp::rdx, offsetof(Context, fault_integers) + i * 8), kIntegerHosts[i]);
  code.load_immediate(Gp::rcx, static_cast<std::uint64_t>(ExitKind::kFault));
  code.jmp(leave_spilled);
  misaligned_atomic_ = begin();
  code.store(Width::k64, hart_field(offsetof(HartState, trap) + offsetof(riscv::Trap, address)), Gp::rdx);
  leave(ExitKind::kMisalignedAtomic);

  return_missed_ = begin();
  code.mov(Width::k64, Gp::rsp, tier_word(TierWord::kReturnStackBase));
  code.alu_immediate(Alu::kAnd, Width::k64, Gp::rax, -2);
  lookup_ = code.here();
  code.mov(Width::k64, Gp::rcx, Gp::rax);
  code.shift_immediate(Shift::kShr, Width::k64, Gp::rcx, 32);
  code.jcc(Condition::kNotEqual, missing_);
  code.mov(Width::k64, Gp::rdx, kTierContext);
  code.mov(Width::k32, Gp::rcx, Gp::rax);
  code.shift_immediate(Shift::kShr, Width::k32, Gp::rcx, 12);
  code.alu(Alu::kAdd, Width::k64, Gp::rcx, context_field(Gp::rdx, offsetof(Context, directory)));
  code.movzx8(Gp::rcx, Place::at(Gp::rcx, 0));
  code.test(Width::k32, Gp::rcx, Gp::rcx);
  code.jcc(Condition::kEqual, missing_);
  code.mov(Width::k64, Gp::rdx, context_field(Gp::rdx, offsetof(Context, regions)));
  code.mov(Width::k64, Gp::rcx, Place::indexed(Gp::rdx, Gp::rcx, 3));
  code.mov(Width::k32, Gp::rcx, Place::indexed(Gp::rcx, Gp::rax, 1));
  code.alu(Alu::kAdd, Width::k64, Gp::rcx, kCodeOrigin);
  code.jmp(Gp::rcx);
  static_assert(sizeof(RegionTable) == 8);

  load_floats_ = begin();
  code.mov(Width::k64, Gp::rdx, kTierContext);
  code.stmxcsr(context_field(Gp::rdx, offsetof(Context, host_mxcsr)));
  code.ldmxcsr(context_field(Gp::rdx, offsetof(Context, guest_mxcsr)));
  code.store_immediate(Width::k32, kFloatsLive, 1);
  writer.reload_floats();
  code.ret();

  ecall_ = begin();
  code.store(Width::k64, kPc, Gp::rax);
  writer.spill_integers();
  code.mov(Width::k64, Gp::rdx, kTierContext);
  writer.settle_floats(Gp::rdx);
  writer.call_out(offsetof(Context, ecall), false);
  // Most answers leave the gas alone: then the next block does not wait for what went through memory.
  code.test_immediate8(Gp::rax, 0xFF);
  const std::uint32_t other_answer = code.jcc_forward(Condition::kNotEqual);
  const void* const go_on = code.here();
  set_code_origin();
  writer.reload_integers();
  code.ret();

  code.bind(other_answer);
  code.test_immediate8(Gp::rax, static_cast<std::uint8_t>(EcallAnswer::kLeave));
  code.jcc(Condition::kNotEqual, leave_settled);
  code.mov(Width::k64, Gp::rdx, kTierContext);
  code.mov(Width::k64, kGasRegister, context_field(Gp::rdx, offsetof(Context, slice_gas)));
  code.jmp(go_on);

  perform_ = begin();
  writer.spill_integers();
  writer.spill_floats();
  writer.call_out(offsetof(Context, perform), true);
  code.test_immediate8(Gp::rax, 1);
  code.jcc(Condition::kEqual, leave_settled);
  code.mov(Width::k64, Gp::rdx, kTierContext);
  code.mov(Width::k64, kGasRegister, context_field(Gp::rdx, offsetof(Context, slice_gas)));
  set_code_origin();
  writer.reload_integers();
  writer.reload_floats();
  code.ret();

  enter_ = begin();
  code.push(Gp::rbp);
  code.store(Width::k64, context_field(Gp::rsi, offsetof(Context, scope) + offsetof(memory::GuestScope, host_stack)),
             Gp::rsp);
  code.mov(Width::k64, kHartRegister, Gp::rdi);
  code.mov(Width::k64, kGasRegister, Gp::rax);
  code.load_immediate(Gp::rax, riscv::kTrampolineAddress);
  code.push(Gp::rax);
  code.lea(Width::k64, Gp::rax, Place::at(Gp::rsp, -8));  // as it is behind the call
  code.store(Width::k64, tier_word(TierWord::kReturnStackBase), Gp::rax);
  code.alu_immediate(Alu::kSub, Width::k64, Gp::rax, kReturnStackBytes);
  code.store(Width::k64, tier_word(TierWord::kReturnStackLimit), Gp::rax);
  set_code_origin();
  code.lea(Width::k64, Gp::rax, Place::absolute(missing_));
  code.store(Width::k64, tier_word(TierWord::kMissing), Gp::rax);
  code.mov(Width::k64, kWindowRegister,
           context_field(Gp::rsi, offsetof(Context, scope) + offsetof(memory::GuestScope, window_base)));
  writer.reload_integers();
  // By a call, so that the guest's return to the trampoline is what the host's predictor expects.
  code.call(Gp::rdx);
  code.load_immediate(Gp::rax, riscv::kTrampolineAddress);
  // Here the host's stack is as it was at the call: nothing waits for what was kept in memory.
  code.store(Width::k64, kPc, Gp::rax);
  writer.spill_integers();
  code.mov(Width::k64, Gp::rax, kGasRegister);
  writer.settle_floats_of_return();
  code.alu_immediate(Alu::kAdd, Width::k64, Gp::rsp, 8);
  return_to_host();

  writer.settle_floats_apart();
}

}  // namespace caisson::baseline
