// The signal frame of riscv64 Linux (arch/riscv: rt_sigframe, asm/ucontext.h, asm/sigcontext.h), byte for byte.
//
// It lies at the handler's sp: a1 points to `info`, a2 to `context`. Handlers, debuggers and unwinders know this layout.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "isa/riscv/hart_state.h"
#include "linux/signal_state.h"

namespace caisson::linux_personality {

// pc and x1 … x31 (struct user_regs_struct).
struct FrameRegisters {
  std::uint64_t pc = 0;
  std::array<std::uint64_t, 31> x1_to_x31{};
};

// union __riscv_fp_state: sized and aligned for the Q extension; D fills the first part.
struct alignas(16) FrameFloatState {
  std::array<std::uint64_t, 32> f{};
  std::uint32_t fcsr = 0;
  std::array<std::uint8_t, 256> unused{};
  std::array<std::uint32_t, 3> reserved{};  // zero; a sigreturn insists
};

struct UserContext {
  std::uint64_t flags = 0;
  std::uint64_t link = 0;
  AlternateStack stack;
  SignalMask mask = 0;
  std::array<std::uint8_t, 120> mask_expansion{};
  std::uint64_t padding = 0;  // named, so that no byte of the host's stack gets into the frame
  alignas(16) FrameRegisters registers;
  FrameFloatState float_state;
};

struct SignalFrame {
  SignalInfo info;
  UserContext context;
};

static_assert(std::has_unique_object_representations_v<UserContext>, "without padding: each byte reaches the guest");
static_assert(offsetof(UserContext, stack) == 16 && offsetof(UserContext, mask) == 40 &&
              offsetof(UserContext, registers) == 176);
static_assert(offsetof(UserContext, float_state) == 432 && offsetof(FrameFloatState, fcsr) == 256 &&
              offsetof(FrameFloatState, reserved) == 516 && sizeof(FrameFloatState) == 528);
static_assert(sizeof(UserContext) == 960 && offsetof(SignalFrame, context) == 128 && sizeof(SignalFrame) == 1088);

// Registers, FP state and pc of the hart, and back. restore_registers() gives false where reserved bytes are set.
void save_registers(const riscv::HartState& hart, UserContext& context);
bool restore_registers(const UserContext& context, riscv::HartState& hart);

}  // namespace caisson::linux_personality
