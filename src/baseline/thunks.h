// The fixed code between C++ and compiled code, made once per register map.
//
// The return stack: a guest call pushes the guest's return address and calls; a guest return compares it with ra and returns, so that
// the host's return predictor serves the guest. rsp is the thread's own stack and may go kReturnStackBytes deep; past that, and
// whenever a return does not match, everything remembered is forgotten (rsp = base), which costs a look-up and nothing else.
// Below everything lies a pair for the trampoline, which makes the return from an endpoint call an ordinary one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "baseline/context.h"
#include "baseline/register_map.h"
#include "caisson/result.h"
#include "memory/executable_memory.h"

namespace caisson::baseline {

using memory::CodeBlock, memory::ExecutableMemory, memory::TableBlock;

inline constexpr std::int32_t kReturnStackBytes = 16 << 10;

// Constants for float code, which reaches them by distance.
struct alignas(16) FloatConstants {
  std::uint64_t double_sign[2], double_magnitude[2];  // masks
  std::uint64_t single_sign[2], single_magnitude[2];  // masks that keep a NaN box
  std::uint64_t box[2];  // what makes a single from its 32 bits
  std::uint64_t canonical_double[2], canonical_single[2];
  double limit_of_unsigned_words, limit_of_unsigned_longs;  // see emit_float.cpp
  float single_limit_of_unsigned_words, single_limit_of_unsigned_longs;
};

class Thunks {
 public:
  // The thunks of `map`, shared by all who ask for the same one. Error: kOutOfMemory.
  static Result<std::shared_ptr<const Thunks>> of(const RegisterMap& map);
  ~Thunks();
  Thunks(const Thunks&) = delete;
  Thunks& operator=(const Thunks&) = delete;

  const RegisterMap& map() const { return map_; }

  // For Context::enter.
  const void* enter() const { return enter_; }

  // Called from where a block cannot be paid; the return address tells which one.
  const void* depart() const { return depart_; }
  // Ways out, each taken by a jump with rax = pc.
  const void* missing() const { return missing_; }
  const void* stale() const { return stale_; }
  const void* ebreak() const { return ebreak_; }
  const void* illegal() const { return illegal_; }
  const void* fetch_fault() const { return fetch_fault_; }
  const void* misaligned_atomic() const { return misaligned_atomic_; }  // rdx = the address

  // Where faults of compiled code go.
  const void* fault_landing() const { return fault_landing_; }

  // Goes on at the guest address rax, an even number of 64 bits, by jump or with a return address pushed.
  const void* lookup() const { return lookup_; }
  // The same behind a return whose address the return stack does not have.
  const void* return_missed() const { return return_missed_; }
  // Makes floats live; called.
  const void* load_floats() const { return load_floats_; }
  // Called with eax = pc of an ecall; returns where the guest goes on behind it.
  const void* ecall() const { return ecall_; }
  // Called with eax = pc, edx = the instruction's bits and, of a CSR instruction, ecx = 1 in a mixed page (Context::perform); floats
  // must be live.
  const void* perform() const { return perform_; }

  const FloatConstants* constants() const { return constants_; }

 private:
  Thunks(const RegisterMap& map, ExecutableMemory& memory, const CodeBlock& code);

  void emit();

  const RegisterMap map_;
  ExecutableMemory& memory_;
  const CodeBlock code_;
  const void* enter_ = nullptr;
  const void* depart_ = nullptr;
  const void* missing_ = nullptr;
  const void* stale_ = nullptr;
  const void* ebreak_ = nullptr;
  const void* illegal_ = nullptr;
  const void* fetch_fault_ = nullptr;
  const void* misaligned_atomic_ = nullptr;
  const void* fault_landing_ = nullptr;
  const void* lookup_ = nullptr;
  const void* return_missed_ = nullptr;
  const void* load_floats_ = nullptr;
  const void* ecall_ = nullptr;
  const void* perform_ = nullptr;
  const FloatConstants* constants_ = nullptr;
};

// How compiled code left.
struct Left {
  std::int64_t gas = 0;  // of the slice
  bool returned =
      false;  // to the trampoline, with floats and held gas as they were at entry; else Context::exit_kind says why
};

// Runs compiled code from `entry` until it leaves. Not a C++ call: what the caller wants to keep it keeps itself, so that registers
// which nobody needs are not saved twice. Its callers make other calls as well, so that they have no red zone.
[[gnu::always_inline]] inline Left enter_compiled(riscv::HartState& hart, Context& context, const void* entry,
                                                  std::int64_t gas) {
  std::uint8_t* biased_hart = reinterpret_cast<std::uint8_t*>(&hart) + kHartBias;
  Context* context_of_hart = &context;
  const void* left_by = entry;
  // rdi = hart, rsi = context, rdx = entry, rax = gas; behind it rax = gas, rdx = 0 where it returned. rbp is preserved.
  __asm__ volatile("call *%c[enter](%%rsi)"
                   : "+a"(gas), "+d"(left_by), "+D"(biased_hart), "+S"(context_of_hart)
                   : [enter] "i"(offsetof(Context, enter))
                   : "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3",
                     "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                     "xmm15",
#ifdef __AVX512F__
                     // Compiled code leaves them alone, but it calls C++.
                     "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26",
                     "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#endif
                     "cc", "memory");
  return {gas, left_by == nullptr};
}

}  // namespace caisson::baseline
