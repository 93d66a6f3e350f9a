// The registers of a hart between two runs, without a window to run in.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "isa/riscv/hart_state.h"

namespace caisson::runtime {

struct HartRegisters {
  std::array<std::uint64_t, 32> x{}, f{};
  std::uint64_t pc = 0;
  std::uint64_t gas = 0, gas_used = 0;
  std::uint32_t frm = 0, fflags = 0;
  std::uint64_t reservation_address = 0, reservation_value = 0;
  std::uint32_t reservation_width = 0;
};

inline HartRegisters registers_of(const riscv::HartState& hart) {
  HartRegisters registers{.f = hart.f,
                          .pc = hart.pc,
                          .gas = hart.gas,
                          .gas_used = hart.gas_used(),
                          .frm = hart.frm,
                          .fflags = hart.fflags,
                          .reservation_address = hart.reservation_address,
                          .reservation_value = hart.reservation_value,
                          .reservation_width = hart.reservation_width};
  std::copy_n(hart.x.begin(), registers.x.size(), registers.x.begin());
  return registers;
}

inline void set_registers(riscv::HartState& hart, const HartRegisters& registers) {
  std::ranges::copy(registers.x, hart.x.begin());
  hart.f = registers.f;
  hart.pc = registers.pc;
  hart.gas = registers.gas;
  hart.gas_granted = registers.gas_used + registers.gas;
  hart.frm = registers.frm;
  hart.fflags = registers.fflags;
  hart.reservation_address = registers.reservation_address;
  hart.reservation_value = registers.reservation_value;
  hart.reservation_width = registers.reservation_width;
}

}  // namespace caisson::runtime
