// gas/: schedules, the single source of every charge.
//
// A schedule gives each gas class of the instruction table a weight, and each grant of memory a price. It is versioned:
// a published schedule never changes, a new one gets a new name, since bills must stay comparable and compiled code
// embeds them. It knows the instruction table; it must not know tiers, blocks or instances. See docs/gas.md.
//
// Everything here is constexpr.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "isa/riscv/instructions.h"

namespace caisson::gas {

inline constexpr std::string_view kScheduleName = "gas-v1";

// Charged for each 4 KiB page of memory that is granted: at instantiation, by brk, by mmap.
inline constexpr std::uint64_t kPageGrantGas = 16;

struct ClassWeight {
  riscv::GasClass gas_class;
  std::string_view name;  // as the docs and `caisson image inspect` show it
  std::uint32_t weight;
};

// gas-v1, in the order of GasClass. A unit is about one simple host instruction's time. Moves between register files
// and sign injection cost a NaN-box check more than an ALU operation; a CSR access reads or writes the host's rounding
// and flag state, so it costs what floating-point arithmetic does; pause is priced as the fence whose encoding it is.
inline constexpr std::array<ClassWeight, riscv::kGasClassCount> kGasV1 = {{
    {riscv::GasClass::kIllegal, "illegal", 0},
    {riscv::GasClass::kAlu, "alu", 1},
    {riscv::GasClass::kMultiply, "multiply", 3},
    {riscv::GasClass::kMultiplyHigh, "multiply-high", 4},
    {riscv::GasClass::kDivide, "divide", 24},
    {riscv::GasClass::kLoad, "load", 3},
    {riscv::GasClass::kStore, "store", 2},
    {riscv::GasClass::kBranch, "branch", 2},
    {riscv::GasClass::kJump, "jump", 2},
    {riscv::GasClass::kIndirectJump, "indirect-jump", 5},
    {riscv::GasClass::kFloat, "float", 4},
    {riscv::GasClass::kFloatMove, "float-move", 2},
    {riscv::GasClass::kFloatDivide, "float-divide", 20},
    {riscv::GasClass::kAtomic, "atomic", 12},
    {riscv::GasClass::kFence, "fence", 4},
    {riscv::GasClass::kFenceI, "fence.i", 200},
    {riscv::GasClass::kCsr, "csr", 4},
    {riscv::GasClass::kEnvironment, "environment", 40},
}};

constexpr std::uint32_t weight(riscv::GasClass gas_class) { return kGasV1[static_cast<std::size_t>(gas_class)].weight; }

namespace detail {

constexpr std::array<std::uint32_t, riscv::kOpCount> make_weights() {
  std::array<std::uint32_t, riscv::kOpCount> weights{};
  for (std::size_t index = 0; index < weights.size(); ++index) {
    weights[index] = weight(riscv::kInstructions[index].gas_class);
  }
  return weights;
}

constexpr bool is_in_class_order() {
  for (std::size_t index = 0; index < kGasV1.size(); ++index) {
    if (static_cast<std::size_t>(kGasV1[index].gas_class) != index) return false;
  }
  return true;
}
static_assert(is_in_class_order(), "weight() indexes by class");

}  // namespace detail

inline constexpr std::array<std::uint32_t, riscv::kOpCount> kWeights = detail::make_weights();

// What executing `op` adds to the cost of its block; 0 for kIllegal.
constexpr std::uint32_t weight(riscv::Op op) { return kWeights[static_cast<std::size_t>(op)]; }

// The dearest block that a page can hold: nothing but the dearest instructions that do not end a block, then a
// terminator.
constexpr std::uint32_t dearest_block() {
  std::uint32_t dearest_inside = 0, dearest_end = 0;
  for (const riscv::InstructionInfo& row : riscv::kInstructions) {
    const std::uint32_t instructions_per_page = row.has(riscv::traits::kCompressed) ? 2048 : 1024;
    if (row.has(riscv::traits::kTerminator)) {
      dearest_end = weight(row.op) > dearest_end ? weight(row.op) : dearest_end;
    } else {
      const std::uint32_t page = instructions_per_page * weight(row.op);
      dearest_inside = page > dearest_inside ? page : dearest_inside;
    }
  }
  return dearest_inside + dearest_end;
}
static_assert(dearest_block() < 65536, "tiers keep the cost of a block in 16 bits");

}  // namespace caisson::gas
