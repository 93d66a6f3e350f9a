// The host's SSE control and status register as the carrier of the guest's rounding mode and flags while a tier runs.
//
// A tier loads the mode where it begins, collects the flags and puts the host's MXCSR back where it ends. Instructions
// that MXCSR's mode does not suit are for float_semantics.h (uses_host_rounding()).
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "isa/riscv/hart_state.h"

namespace caisson::riscv {

// MXCSR (Intel SDM, volume 1, section 10.2.3): flags in bits 0…5, exception masks in 7…12, rounding control in 13…14.
inline constexpr std::uint32_t kMxcsrAllMasked = 0x1F80;
inline constexpr std::uint32_t kMxcsrFlags = 0x3F;

// What makes MXCSR express frm, with no flag raised. Modes that MXCSR has not leave it at round-to-nearest: nothing computes under it.
inline std::uint32_t mxcsr_of(const HartState& hart) {
  constexpr std::uint32_t kRoundingControl[8] = {0, 3, 1, 2, 0, 0, 0, 0};  // RNE, RTZ, RDN, RUP
  return kMxcsrAllMasked | kRoundingControl[hart.frm & 7] << 13;
}
inline void load_rounding_mode(const HartState& hart) { _mm_setcsr(mxcsr_of(hart)); }

// Adds the flags of `mxcsr`, or of what MXCSR collected, to fflags.
inline void collect_flags(HartState& hart, std::uint32_t mxcsr) {
  const std::uint32_t raised = mxcsr & kMxcsrFlags;
  if (raised == 0) return;
  if ((raised & 0x01) != 0) hart.fflags |= kInvalid;
  if ((raised & 0x04) != 0) hart.fflags |= kDivideByZero;
  if ((raised & 0x08) != 0) hart.fflags |= kOverflow;
  if ((raised & 0x10) != 0) hart.fflags |= kUnderflow;
  if ((raised & 0x20) != 0) hart.fflags |= kInexact;
}
inline void collect_flags(HartState& hart) { collect_flags(hart, _mm_getcsr()); }

// Compilers and statistics compute with floats, too: under the modes of this object, and its flags are nobody else's.
class OwnFloatState {
 public:
  OwnFloatState() : saved_(_mm_getcsr()) { _mm_setcsr(kMxcsrAllMasked); }
  ~OwnFloatState() { _mm_setcsr(saved_); }
  OwnFloatState(const OwnFloatState&) = delete;
  OwnFloatState& operator=(const OwnFloatState&) = delete;

 private:
  const unsigned saved_;
};

}  // namespace caisson::riscv
