#include "optimized/llvm/counted_loops.h"

#include <cstdint>

namespace caisson::optimized {

using riscv::Decoded;
using riscv::Op;

namespace {

// What `decoded` adds to the register that it writes; nothing where it does something else.
struct Change {
  std::uint8_t reg = 0, step_register = 0;
  std::int32_t step = 0;
  bool is_word = false;
};
std::optional<Change> change_of(const Decoded& decoded) {
  if (decoded.rd == 0) return std::nullopt;
  const bool is_word = decoded.op == Op::kAddiw;
  if ((decoded.op == Op::kAddi || is_word) && decoded.rs1 == decoded.rd && decoded.imm != 0)
    return Change{.reg = decoded.rd, .step = decoded.imm, .is_word = is_word};
  if (decoded.op != Op::kAdd || (decoded.rs1 == decoded.rd) == (decoded.rs2 == decoded.rd)) return std::nullopt;
  const std::uint8_t step = decoded.rs1 == decoded.rd ? decoded.rs2 : decoded.rs1;
  if (step == 0) return std::nullopt;
  return Change{.reg = decoded.rd, .step_register = step};
}

// Of the blocks of a loop, how often each register is written: never, once, or more often.
struct Writes {
  RegisterSet any = 0, several = 0;
};
Writes writes_in(const std::vector<UnitBlock>& blocks, const GuestLoop& loop) {
  Writes writes;
  for (std::size_t block = 0; block < loop.body.size(); ++block) {
    if (!loop.body[block]) continue;
    // Of what is called, the instruction that links is the last.
    for (const UnitInstruction& instruction : blocks[block].instructions) {
      const RegisterSet written = registers_of(instruction.decoded).writes;
      writes.several |= writes.any & written;
      writes.any |= written;
    }
  }
  return writes;
}

std::optional<std::size_t> only_latch(const std::vector<UnitBlock>& blocks, const GuestLoop& loop) {
  std::optional<std::size_t> latch;
  for (std::size_t block = 0; block < loop.body.size(); ++block) {
    if (!loop.body[block]) continue;
    for (std::size_t number = 0; number < blocks[block].successor_count(); ++number) {
      if (blocks[block].successor(number) != static_cast<int>(loop.header)) continue;
      if (latch) return std::nullopt;
      latch = block;
    }
  }
  return latch;
}

}  // namespace

std::optional<CountedLoop> find_count(const std::vector<UnitBlock>& blocks, const GuestLoop& loop) {
  const std::optional<std::size_t> latch = only_latch(blocks, loop);
  if (!latch) return std::nullopt;
  const UnitBlock& block = blocks[*latch];
  if (block.end != BlockEnd::kBranch || block.target_block != static_cast<int>(loop.header)) return std::nullopt;
  if (block.next_block >= 0 && loop.body[static_cast<std::size_t>(block.next_block)]) return std::nullopt;
  const Decoded& branch = block.instructions.back().decoded;
  if (branch.op != Op::kBne && branch.op != Op::kBlt && branch.op != Op::kBltu) return std::nullopt;
  if (branch.rs1 == branch.rs2) return std::nullopt;
  const Writes writes = writes_in(blocks, loop);
  for (const UnitInstruction& instruction : block.instructions) {
    const std::optional<Change> change = change_of(instruction.decoded);
    if (!change || (change->reg != branch.rs1 && change->reg != branch.rs2)) continue;
    const bool first_changes = change->reg == branch.rs1;
    const std::uint8_t other = first_changes ? branch.rs2 : branch.rs1;
    const RegisterSet fixed = integer_bit(other) | integer_bit(change->step_register);
    if ((writes.any & fixed) != 0 || (writes.several & integer_bit(change->reg)) != 0) return std::nullopt;
    // Towards each other.
    const bool is_ordered = branch.op != Op::kBne;
    if (is_ordered && change->is_word) return std::nullopt;
    if (is_ordered && change->step_register != 0 && !first_changes) return std::nullopt;
    if (is_ordered && change->step_register == 0 && (change->step > 0) != first_changes) return std::nullopt;
    return CountedLoop{.latch = *latch,
                       .count = {.branch = branch.op,
                                 .first = branch.rs1,
                                 .second = branch.rs2,
                                 .first_changes = first_changes,
                                 .step_register = change->step_register,
                                 .step = change->step,
                                 .is_word = change->is_word}};
  }
  return std::nullopt;
}

}  // namespace caisson::optimized
