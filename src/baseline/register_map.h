// Which guest registers live in host registers while compiled code runs.
//
// One map holds for all code that an instance may run without leaving compiled code, so that direct links, calls and returns move
// nothing. Which guest registers it names is chosen from what the guest executes (isa/riscv/register_usage.h); the others live in
// HartState, where an operand costs a memory access of the host's.
//
// Fixed besides: rbp is the hart, r14 the window, rsp the return stack (thunks.h), ebx what is left of the slice's gas (32 bits and no REX
// prefix, since every block subtracts from it); rax, rcx, rdx and xmm0 … xmm2 are scratch.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "baseline/x86_assembler.h"
#include "isa/riscv/hart_state.h"

namespace caisson::baseline {

inline constexpr Gp kHartRegister = Gp::rbp, kWindowRegister = Gp::r14, kGasRegister = Gp::rbx;

inline constexpr std::array kIntegerHosts = {Gp::rsi, Gp::rdi, Gp::r8,  Gp::r9, Gp::r10,
                                             Gp::r11, Gp::r12, Gp::r13, Gp::r15};
inline constexpr std::array kFloatHosts = {Xmm::xmm3,  Xmm::xmm4,  Xmm::xmm5,  Xmm::xmm6,  Xmm::xmm7,
                                           Xmm::xmm8,  Xmm::xmm9,  Xmm::xmm10, Xmm::xmm11, Xmm::xmm12,
                                           Xmm::xmm13, Xmm::xmm14, Xmm::xmm15};

struct RegisterMap {
  // The guest register in each host register, in the order of the lists above; never x0.
  std::array<std::uint8_t, kIntegerHosts.size()> integers;
  std::array<std::uint8_t, kFloatHosts.size()> floats;
  // frm holds a mode that the host has not: arithmetic goes through software.
  bool software_rounding = false;

  bool operator==(const RegisterMap&) const = default;
};

// Before anything is known of a program: what compilers use most.
inline constexpr RegisterMap kFirstMap = {
    .integers = {riscv::kA0, riscv::kA1, riscv::kA2, riscv::kA3, riscv::kA4, riscv::kA5, riscv::kSp, riscv::kS0,
                 riscv::kS1},
    .floats = {10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 8},
};

// rbp points here, so that x1 … x31, and the word behind them, are reached by 8-bit displacements.
inline constexpr std::ptrdiff_t kHartBias = 136;

constexpr Place hart_field(std::size_t offset) {
  return Place::at(kHartRegister, static_cast<std::int32_t>(static_cast<std::ptrdiff_t>(offset) - kHartBias));
}
// Of x0 … x31 and the word behind them.
inline constexpr auto kIntegerHomes = [] {
  std::array<Place, 33> homes;
  for (std::size_t reg = 0; reg < homes.size(); ++reg) homes[reg] = hart_field(offsetof(riscv::HartState, x) + reg * 8);
  return homes;
}();
static_assert(std::all_of(kIntegerHomes.begin() + 1, kIntegerHomes.end(),
                          [](const Place& home) { return home.length() == 2; }),
              "X86Assembler::load_or_store_immediate() has no room for more");
constexpr Place integer_home(unsigned reg) {
  const Place home = kIntegerHomes[reg];
  const bool is_absolute = home.is_absolute();
  [[assume(!is_absolute)]];
  return home;
}
constexpr Place float_home(unsigned reg) { return hart_field(offsetof(riscv::HartState, f) + reg * 8); }
constexpr Place upper_half_of_float_home(unsigned reg) {
  return hart_field(offsetof(riscv::HartState, f) + reg * 8 + 4);
}

// The words of HartState::tier_words that this tier uses.
enum class TierWord : std::uint8_t {
  kReturnStackLimit,  // below it no call is remembered
  kReturnStackBase,
  kFloatsLive,  // not 0: the host's float registers and MXCSR are the guest's
  kMissing,  // Thunks::missing()
};
constexpr Place tier_word(TierWord word) {
  return hart_field(offsetof(riscv::HartState, tier_words) + static_cast<std::size_t>(word) * 8);
}
// What slots of entry tables count from (EntrySlot): where other tiers drop what is written to x0, since that is near.
inline constexpr Place kCodeOrigin = hart_field(offsetof(riscv::HartState, x) + std::size_t{32} * 8);

}  // namespace caisson::baseline
