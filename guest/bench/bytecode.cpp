// A register machine of nine operations that runs a program of its own: the dispatch loop of an interpreter.
#include "kernel.h"

namespace {

enum class Operation : std::uint8_t {
  kSet,
  kAdd,
  kSubtract,
  kMultiply,
  kShiftRight,
  kJumpIfZero,
  kJumpIfOdd,
  kJump,
  kHalt
};

struct Instruction {
  Operation operation;
  std::uint8_t target, left, right;  // registers
  std::int32_t operand;              // a value for kSet, an instruction's index for jumps
};

// Sums, over the numbers 1 … r0, the steps of the Collatz sequence down to 1.
constexpr Instruction kProgram[] = {
    {Operation::kSet, 1, 0, 0, 0},           // 0: total = 0
    {Operation::kSet, 2, 0, 0, 1},           // 1: one = 1
    {Operation::kSet, 3, 0, 0, 3},           // 2: three = 3
    {Operation::kJumpIfZero, 0, 0, 0, 14},   // 3: until r0 is 0
    {Operation::kAdd, 4, 0, 5, 0},           // 4: number = r0 (r5 is always 0)
    {Operation::kSubtract, 6, 4, 2, 0},      // 5: until number is 1
    {Operation::kJumpIfZero, 0, 6, 0, 12},   // 6
    {Operation::kAdd, 1, 1, 2, 0},           // 7: total += 1
    {Operation::kJumpIfOdd, 0, 4, 0, 15},    // 8
    {Operation::kShiftRight, 4, 4, 2, 0},    // 9: number /= 2
    {Operation::kJump, 0, 0, 0, 5},          // 10
    {Operation::kHalt, 0, 0, 0, 0},          // 11
    {Operation::kSubtract, 0, 0, 2, 0},      // 12: r0 -= 1
    {Operation::kJump, 0, 0, 0, 3},          // 13
    {Operation::kJump, 0, 0, 0, 11},         // 14
    {Operation::kMultiply, 4, 4, 3, 0},      // 15: number = 3 * number + 1
    {Operation::kAdd, 4, 4, 2, 0},           // 16
    {Operation::kJump, 0, 0, 0, 5},          // 17
};

[[gnu::noinline]] std::uint64_t execute(const Instruction* program, std::uint64_t argument) {
  std::uint64_t registers[8] = {argument};
  for (const Instruction* next = program;;) {
    const Instruction& instruction = *next++;
    std::uint64_t& target = registers[instruction.target];
    const std::uint64_t left = registers[instruction.left], right = registers[instruction.right];
    switch (instruction.operation) {
      case Operation::kSet:
        target = static_cast<std::uint64_t>(instruction.operand);
        break;
      case Operation::kAdd:
        target = left + right;
        break;
      case Operation::kSubtract:
        target = left - right;
        break;
      case Operation::kMultiply:
        target = left * right;
        break;
      case Operation::kShiftRight:
        target = left >> right;
        break;
      case Operation::kJumpIfZero:
        if (left == 0) next = program + instruction.operand;
        break;
      case Operation::kJumpIfOdd:
        if (left % 2 != 0) next = program + instruction.operand;
        break;
      case Operation::kJump:
        next = program + instruction.operand;
        break;
      case Operation::kHalt:
        return registers[1];
    }
  }
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  std::uint64_t checksum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round)
    checksum = kernel::mix(checksum, execute(kProgram, 100 + checksum % 8));
  return checksum;
}
