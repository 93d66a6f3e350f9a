#include "runtime/crosscheck_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "isa/riscv/decoder.h"

namespace caisson::runtime {
namespace {

using memory::AddressSpace;
using memory::kPageSize;
using riscv::HartState;
using riscv::Trap;
using riscv::TrapKind;

constexpr std::array<std::string_view, 32> kIntegerNames = {
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
    "a6",   "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};

constexpr std::array<std::string_view, 12> kTrapNames = {
    "none",        "out of gas",  "interrupted",       "ecall",      "ebreak",        "illegal", "load fault",
    "store fault", "fetch fault", "misaligned atomic", "trampoline", "answered ecall"};

constexpr std::size_t kMostBytes = 16;  // of memory, in a report
constexpr unsigned kMostInstructions = 64;  // of a block, in a report

std::string_view name_of(TrapKind kind) { return kTrapNames[static_cast<std::size_t>(kind)]; }

std::string describe(const Trap& trap) {
  return fmt::format("{}, address {:#x}{}", name_of(trap.kind), trap.address, trap.bus_error ? ", bus error" : "");
}

bool has_address(TrapKind kind) {
  return kind == TrapKind::kLoadFault || kind == TrapKind::kStoreFault || kind == TrapKind::kFetchFault;
}

bool agree(const Trap& tier, const Trap& shadow, const AddressSpace& shadow_memory) {
  if (tier.kind != shadow.kind) return false;
  // Only faults have an address that anybody asks for.
  if (!has_address(tier.kind)) return true;
  if (tier.address != shadow.address) return false;
  if (tier.bus_error == shadow.bus_error) return true;
  return tier.bus_error && shadow_memory.permissions(static_cast<std::uint32_t>(tier.address / kPageSize)) == 0;
}

// The differences within `length` bytes, as many lines as `left` says.
void compare_bytes(const std::uint8_t* tier, const std::uint8_t* shadow, std::uint64_t address, std::size_t length,
                   std::string& lines, std::size_t& left) {
  for (std::size_t index = 0; index < length && left > 0; ++index) {
    if (tier[index] == shadow[index]) continue;
    lines +=
        fmt::format("  byte at {:#x}: {:#04x}, interpreter {:#04x}\n", address + index, tier[index], shadow[index]);
    --left;
  }
}

}  // namespace

std::string compare_harts(const HartState& tier, const HartState& shadow, const AddressSpace& shadow_memory) {
  std::string lines;
  const auto check = [&lines](std::string_view name, std::uint64_t ours, std::uint64_t interpreted) {
    if (ours != interpreted) lines += fmt::format("  {}: {:#x}, interpreter {:#x}\n", name, ours, interpreted);
  };
  check("pc", tier.pc, shadow.pc);
  for (std::size_t number = 0; number < kIntegerNames.size(); ++number) {
    if (tier.x[number] != shadow.x[number])
      check(fmt::format("x{} ({})", number, kIntegerNames[number]), tier.x[number], shadow.x[number]);
  }
  for (std::size_t number = 0; number < tier.f.size(); ++number) {
    if (tier.f[number] != shadow.f[number]) check(fmt::format("f{}", number), tier.f[number], shadow.f[number]);
  }
  check("frm", tier.frm, shadow.frm);
  check("fflags", tier.fflags, shadow.fflags);
  check("gas", tier.gas, shadow.gas);
  check("reservation width", tier.reservation_width, shadow.reservation_width);
  if (tier.reservation_width != 0) check("reservation", tier.reservation_address, shadow.reservation_address);
  if (!agree(tier.trap, shadow.trap, shadow_memory))
    lines += fmt::format("  trap: {}; interpreter {}\n", describe(tier.trap), describe(shadow.trap));
  return lines;
}

std::string compare_memories(const AddressSpace& tier, const AddressSpace& shadow) {
  constexpr std::size_t kPiece = 16 * kPageSize;
  std::vector<std::uint8_t> ours(kPiece),
      interpreted(kPiece);  // not on the thread: each thread of the embedder would have them
  std::string lines;
  std::size_t left = kMostBytes;
  for (const memory::Mapping& mapping : tier.mappings()) {
    if ((mapping.permissions & memory::kWrite) == 0) continue;
    std::uint64_t address = mapping.start;
    std::size_t step = kPiece;
    while (address < mapping.end && left > 0) {
      const std::size_t length = std::min<std::uint64_t>(step, mapping.end - address);
      const bool whole = tier.read(address, ours.data(), length) == length &&
                         shadow.read(address, interpreted.data(), length) == length;
      if (!whole && length > kPageSize) {
        step = kPageSize;  // a page of it lies behind the end of its file
        continue;
      }
      if (whole && std::memcmp(ours.data(), interpreted.data(), length) != 0)
        compare_bytes(ours.data(), interpreted.data(), address, length, lines, left);
      address += length;
    }
  }
  return lines;
}

std::string disassemble_block(const AddressSpace& memory, std::uint64_t pc) {
  std::string lines;
  for (unsigned count = 0; count < kMostInstructions; ++count) {
    std::uint32_t bits = 0;
    const std::size_t readable = memory.read(pc, &bits, sizeof bits);
    const std::size_t length = riscv::instruction_length(static_cast<std::uint16_t>(bits));
    if (readable < length) break;
    std::string text = riscv::disassemble(bits, pc);
    std::ranges::replace(text, '\t', ' ');
    lines += fmt::format("  {:#x}: {}\n", pc, text);
    if (riscv::info(riscv::decode(bits).op).has(riscv::traits::kTerminator)) break;
    pc += length;
    if (pc % kPageSize < length) break;  // a block ends with its page
  }
  return lines;
}

std::string report_registers(const CheckedBlocks& blocks, const std::string& lines, const AddressSpace& memory,
                             std::uint64_t gas_used) {
  std::string text =
      fmt::format("the tier and the interpreter differ behind the block at pc {:#x} (gas used {} to {})\n",
                  blocks.first_pc, blocks.gas_before, gas_used);
  text += lines;
  text += fmt::format("block at {:#x}:\n{}", blocks.first_pc, disassemble_block(memory, blocks.first_pc));
  if (blocks.is_one) return text;
  if (blocks.last_is_known)
    text += fmt::format("last block, at {:#x}:\n{}", blocks.last_pc, disassemble_block(memory, blocks.last_pc));
  return text + "several blocks were executed since both agreed; --crosscheck=1 compares behind each\n";
}

std::string report_memory(const std::string& lines, std::uint64_t pc, std::uint64_t gas_before,
                          std::uint64_t gas_used) {
  return fmt::format(
      "the memory of the tier and of the interpreter differs at pc {:#x}; it was the same at gas used {}, now {}\n{}",
      pc, gas_before, gas_used, lines);
}

}  // namespace caisson::runtime
