// Random programs over the whole instruction table, for comparing tiers with each other and with an oracle.
//
//   ProgramGenerator generator(seed);
//   Program program = generator.next();
//
// The same seed gives the same programs. Rows of the table join by themselves, unless they need an item of their own (control
// transfers, LR/SC, CSRs) or are left out (environment calls, what writes sp, and what `excluded` names).
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "generators/program.h"

namespace caisson::fuzz {

struct GeneratorOptions {
  unsigned items = 70;  // about; loops and functions come on top
  bool control = true;  // branches, loops, calls; without them a program runs straight ahead
  std::vector<riscv::Op> excluded;
};

class ProgramGenerator {
 public:
  explicit ProgramGenerator(std::uint64_t seed, GeneratorOptions options = {});

  Program next();

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool one_in(std::uint64_t chance) { return below(chance) == 0; }
  template <class Container>
  const auto& pick(const Container& container) {
    return container[below(std::size(container))];
  }

  std::uint64_t interesting_integer();
  std::uint32_t interesting_single();
  std::uint64_t interesting_double();
  std::uint64_t interesting_bits();
  void fill_state(Program& program);

  std::uint8_t any_register() { return one_in(2) ? pick(favourites_) : static_cast<std::uint8_t>(below(32)); }
  std::uint8_t destination(bool must_not_be_zero);
  std::uint8_t short_destination();
  bool is_reserved(unsigned number) const;

  void add_items(Items& items, unsigned count, unsigned depth);
  void add_loop(Items& items, unsigned depth);
  Item plain_item();
  Item branch_item();
  Item indirect_item();
  Item csr_item();
  Item memory_item(riscv::Op row);
  Item atomic_item(riscv::Op row, std::uint32_t data_offset);
  void add_reservation_pair(Items& items);
  void add_dependent_pair(Items& items);
  void fill_operands(Instruction& instruction);
  std::int32_t random_immediate(riscv::Form form);
  std::int32_t twelve_bits();
  // `addi rd, base, offset` that makes rd point to `data_offset` of the data.
  Instruction point_to(std::uint8_t rd, std::int32_t data_offset);

  std::mt19937_64 random_;
  GeneratorOptions options_;
  std::vector<riscv::Op> plain_rows_, branch_rows_, indirect_rows_;
  // Used more than others in all programs of one generator: a tier that keeps busy registers in special places must move
  // them about, and results meet more often.
  std::array<std::uint8_t, 8> favourites_{};
  Program program_;  // under construction
  bool in_function_ = false;
};

}  // namespace caisson::fuzz
