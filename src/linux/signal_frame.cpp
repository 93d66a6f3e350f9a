#include "linux/signal_frame.h"

#include <algorithm>

namespace caisson::linux_personality {
namespace {

// fcsr: frm in bits 7:5, fflags in bits 4:0.
constexpr std::uint32_t kRoundingShift = 5, kRoundingMask = 7, kFlagsMask = 31;

}  // namespace

void save_registers(const riscv::HartState& hart, UserContext& context) {
  context.registers.pc = hart.pc;
  std::copy_n(hart.x.begin() + 1, 31, context.registers.x1_to_x31.begin());
  std::copy_n(hart.f.begin(), 32, context.float_state.f.begin());
  context.float_state.fcsr = hart.frm << kRoundingShift | hart.fflags;
}

bool restore_registers(const UserContext& context, riscv::HartState& hart) {
  if (std::ranges::any_of(context.float_state.reserved, [](std::uint32_t word) { return word != 0; })) return false;
  hart.pc = context.registers.pc & ~std::uint64_t{1};  // sepc has no bit 0
  std::copy_n(context.registers.x1_to_x31.begin(), 31, hart.x.begin() + 1);
  std::copy_n(context.float_state.f.begin(), 32, hart.f.begin());
  hart.frm = context.float_state.fcsr >> kRoundingShift & kRoundingMask;
  hart.fflags = context.float_state.fcsr & kFlagsMask;
  return true;
}

}  // namespace caisson::linux_personality
