// Loads and stores of handlers, each exactly one host instruction that may fault.
//
// The operands of the assembly name every handler argument together with its host register, so the compiler must have all of
// them in place when the access executes: at a fault the landing handler finds the exact state of the guest in the registers.
#pragma once

#include <cstdint>

#include "interp/record.h"

namespace caisson::interp {

#define CAISSON_PINNED_OPERANDS                                             \
  register ::caisson::riscv::HartState* caisson_hart __asm__("r12") = hart; \
  register const ::caisson::interp::Record* caisson_ip __asm__("r13") = ip; \
  register std::int64_t caisson_gas __asm__("r14") = gas;                   \
  register std::uint8_t* caisson_window __asm__("r15") = window;            \
  register std::uint64_t caisson_p0 __asm__("rdi") = p0;                    \
  register std::uint64_t caisson_p1 __asm__("rsi") = p1;                    \
  register std::uint64_t caisson_p2 __asm__("rdx") = p2;                    \
  register std::uint64_t caisson_p3 __asm__("rcx") = p3;                    \
  register std::uint64_t caisson_p4 __asm__("r8") = p4;                     \
  register std::uint64_t caisson_p5 __asm__("r9") = p5;                     \
  register std::uint64_t caisson_p6 __asm__("r11") = p6;                    \
  register double caisson_q0 __asm__("xmm0") = q0;                          \
  register double caisson_q1 __asm__("xmm1") = q1;                          \
  register double caisson_q2 __asm__("xmm2") = q2;                          \
  register double caisson_q3 __asm__("xmm3") = q3

#define CAISSON_PINNED_INPUTS                                                                                  \
  "r"(caisson_window), "r"(caisson_hart), "r"(caisson_ip), "r"(caisson_gas), "r"(caisson_p0), "r"(caisson_p1), \
      "r"(caisson_p2), "r"(caisson_p3), "r"(caisson_p4), "r"(caisson_p5), "r"(caisson_p6), "x"(caisson_q0),    \
      "x"(caisson_q1), "x"(caisson_q2), "x"(caisson_q3)

// Loads with `instruction` (e.g. "movzbl (%[window],%[address]), %k[value]") into a new variable `result`.
#define CAISSON_GUEST_LOAD(instruction, guest_address, result)                                                  \
  std::uint64_t result;                                                                                         \
  {                                                                                                             \
    CAISSON_PINNED_OPERANDS;                                                                                    \
    __asm__ volatile(instruction                                                                                \
                     : [value] "=r"(result)                                                                     \
                     : [address] "r"(static_cast<std::uint64_t>(guest_address)), [window] CAISSON_PINNED_INPUTS \
                     : "memory");                                                                               \
  }

#define CAISSON_GUEST_STORE(instruction, guest_address, stored)                                       \
  {                                                                                                   \
    CAISSON_PINNED_OPERANDS;                                                                          \
    __asm__ volatile(instruction                                                                      \
                     :                                                                                \
                     : [value] "r"(stored), [address] "r"(static_cast<std::uint64_t>(guest_address)), \
                       [window] CAISSON_PINNED_INPUTS                                                 \
                     : "memory");                                                                     \
  }

}  // namespace caisson::interp
