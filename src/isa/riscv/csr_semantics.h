// What the six CSR instructions do, on the CSRs that a user program sees (Csr).
//
// While a tier runs, MXCSR carries the guest's rounding mode and collects its flags (host_float.h): the flags move to the
// hart before the access, and MXCSR expresses frm again after it.
#pragma once

#include <cstdint>

#include "isa/riscv/hart_state.h"
#include "isa/riscv/instructions.h"

namespace caisson::riscv {

// Gives the `time` CSR: ticks of 10 MHz.
using TimeSource = std::uint64_t (*)(void* context);

struct CsrOperands {
  Op op = Op::kIllegal;  // kCsrrw … kCsrrci
  std::uint8_t rd = 0;  // x0 may stand as kDiscardSlot
  std::uint8_t rs1 = 0;  // of immediate forms the 5-bit value
  std::uint16_t number = 0;  // one that is_legal_csr_access() lets pass
};

// `gas_left_in_slice` is what the tier took from hart.gas at the start of a slice and has not used yet: the counters, and
// a clock that gas drives, see hart.gas with it.
void execute_csr(HartState& hart, const CsrOperands& operands, std::uint64_t gas_left_in_slice, TimeSource time,
                 void* time_context);

}  // namespace caisson::riscv
