// Guest code by hand, for tests of tiers: words of instructions, and pages that hold them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>

#include "memory/address_space.h"

namespace caisson::tests {

inline constexpr std::uint32_t kEbreakWord = 0x00100073, kEcallWord = 0x00000073, kReturnWord = 0x00008067;

constexpr std::uint32_t immediate_form(std::uint32_t opcode, unsigned function, unsigned rd, unsigned rs1,
                                       std::int32_t imm) {
  return static_cast<std::uint32_t>(imm) << 20 | rs1 << 15 | function << 12 | rd << 7 | opcode;
}
constexpr std::uint32_t addi(unsigned rd, unsigned rs1, std::int32_t imm) {
  return immediate_form(0x13, 0, rd, rs1, imm);
}
constexpr std::uint32_t jalr(unsigned rd, unsigned rs1, std::int32_t imm) {
  return immediate_form(0x67, 0, rd, rs1, imm);
}
constexpr std::uint32_t load(unsigned function, unsigned rd, unsigned rs1, std::int32_t imm) {
  return immediate_form(0x03, function, rd, rs1, imm);
}
constexpr std::uint32_t ld(unsigned rd, unsigned rs1, std::int32_t imm) { return load(3, rd, rs1, imm); }
constexpr std::uint32_t store(unsigned function, unsigned rs2, unsigned rs1, std::int32_t imm,
                              std::uint32_t opcode = 0x23) {
  const auto bits = static_cast<std::uint32_t>(imm);
  return (bits >> 5 & 0x7F) << 25 | rs2 << 20 | rs1 << 15 | function << 12 | (bits & 31) << 7 | opcode;
}
constexpr std::uint32_t sd(unsigned rs2, unsigned rs1, std::int32_t imm) { return store(3, rs2, rs1, imm); }
constexpr std::uint32_t lui(unsigned rd, std::uint32_t upper) { return upper << 12 | rd << 7 | 0x37; }
constexpr std::uint32_t jal(unsigned rd, std::int32_t offset) {
  const auto bits = static_cast<std::uint32_t>(offset);
  return (bits >> 20 & 1) << 31 | (bits >> 1 & 0x3FF) << 21 | (bits >> 11 & 1) << 20 | (bits >> 12 & 0xFF) << 12 |
         rd << 7 | 0x6F;
}
constexpr std::uint32_t branch(unsigned function, unsigned rs1, unsigned rs2, std::int32_t offset) {
  const auto bits = static_cast<std::uint32_t>(offset);
  return (bits >> 12 & 1) << 31 | (bits >> 5 & 0x3F) << 25 | rs2 << 20 | rs1 << 15 | function << 12 |
         (bits >> 1 & 0xF) << 8 | (bits >> 11 & 1) << 7 | 0x63;
}
constexpr std::uint32_t beq(unsigned rs1, unsigned rs2, std::int32_t offset) { return branch(0, rs1, rs2, offset); }
constexpr std::uint32_t bne(unsigned rs1, unsigned rs2, std::int32_t offset) { return branch(1, rs1, rs2, offset); }

// A time source that stands still.
inline std::uint64_t no_time(void*) { return 0; }

// Maps as many pages as the words fill, which then have these permissions.
inline void map_code(memory::AddressSpace& memory, std::uint64_t address, std::span<const std::uint32_t> words,
                     memory::Permissions permissions = memory::kRead | memory::kExecute) {
  const std::uint64_t length = (words.size_bytes() + memory::kPageSize - 1) / memory::kPageSize * memory::kPageSize;
  ASSERT_EQ(memory.map_anonymous(address, length, memory::kRead | memory::kWrite), memory::MapStatus::kOk);
  ASSERT_EQ(memory.write(address, words.data(), words.size_bytes()), words.size_bytes());
  ASSERT_EQ(memory.protect(address, length, permissions), memory::MapStatus::kOk);
}

}  // namespace caisson::tests
