// How an ecall is answered without leaving compiled code.
//
// A small host function costs less than what is around it: the tier's part and the hook are one function, made where the hook is known.
#pragma once

#include <algorithm>
#include <cstdint>

#include "baseline/context.h"
#include "isa/riscv/hart_state.h"
#include "isa/riscv/host_float.h"

namespace caisson::baseline {

// Answers an ecall at hart.pc, whose block is charged; hart is exact, and so is its gas. The result is the gas of the slice that
// follows; 0 ends the run with kEcallAnswered. hart.pc is where the guest goes on.
using EcallHook = std::uint64_t (*)(void* context, riscv::HartState& hart);

// What compiled code calls: answer_ecall() of a hook.
using EcallFunction = EcallAnswer (*)(Context* context, riscv::HartState* hart);

// What few ecalls need, in baseline.cpp.
void collect_floats(Context& context, riscv::HartState& hart);
void keep_exception(Context& context);
EcallAnswer end_ecall(Context& context, riscv::HartState& hart, std::uint64_t next, bool stays);

// Whether frm holds a mode that the host has not.
constexpr bool is_software_mode(const riscv::HartState& hart) { return hart.frm > 3; }

// The rounding mode as compiled code will load it.
inline void set_guest_mxcsr(Context& context, const riscv::HartState& hart) {
  context.guest_mxcsr = riscv::kMxcsrAllMasked;
  if (hart.frm != 0) [[unlikely]]
    context.guest_mxcsr = riscv::mxcsr_of(hart);
}

// Moves so much gas, or what there is, from the hart to compiled code, and the rounding mode as compiled code will load it; gives how
// much compiled code has.
inline std::uint64_t grant_slice(Context& context, riscv::HartState& hart, std::uint64_t slice) {
  slice = std::min(slice, hart.gas);
  const std::uint64_t granted = std::min(slice, kMostGas);
  context.slice_rest = slice - granted;
  hart.gas -= granted;
  context.slice_gas = static_cast<std::int64_t>(granted);
  set_guest_mxcsr(context, hart);
  return granted;
}

template <EcallHook kHook>
EcallAnswer answer_ecall(Context* context_of_hart, riscv::HartState* calling_hart) {
  Context& context = *context_of_hart;
  riscv::HartState& hart = *calling_hart;
  if (hart.tier_words[static_cast<std::size_t>(TierWord::kFloatsLive)] != 0) [[unlikely]]
    collect_floats(context, hart);
  context.floats_changed = true;  // whoever answers may write any register
  const auto slice = static_cast<std::uint64_t>(context.slice_gas);
  hart.gas += slice + static_cast<std::uint64_t>(context.held_gas);
  const std::uint64_t behind = hart.pc + 4;
  const std::uint64_t generation_before = context.generation;
  std::uint64_t next = 0;
  // Nothing may be thrown through compiled code.
  try {
    next = kHook(context.ecall_context, hart);
  } catch (...) {
    keep_exception(context);
  }
  if (hart.pc != behind || context.generation != generation_before ||
      is_software_mode(hart) != context.software_rounding) [[unlikely]]
    return end_ecall(context, hart, next, false);
  if (next == 0 || context.held_gas != 0) [[unlikely]]
    return end_ecall(context, hart, next, true);
  return grant_slice(context, hart, next) == slice ? EcallAnswer::kGoOn : EcallAnswer::kGoOnWithOtherGas;
}

}  // namespace caisson::baseline
