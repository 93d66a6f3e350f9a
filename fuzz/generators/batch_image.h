// A batch of programs as one static executable: each sets its state, runs, and writes its record (registers, fcsr, data) to
// standard output; behind the last the process exits with 0. The same bytes run on a tier and under qemu-riscv64.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "caisson/result.h"
#include "generators/program.h"

namespace caisson::fuzz {

// A program's state in the executable's data, and what it writes: x, f, fcsr, its number in the batch, data.
struct Record {
  std::uint64_t x[32];
  std::uint64_t f[32];
  std::uint64_t fcsr;
  std::uint64_t number;
  std::uint8_t data[kDataBytes];
};
static_assert(sizeof(Record) % 16 == 0 && offsetof(Record, data) < 2048, "prologues reach all registers from one base");

struct BatchImage {
  std::uint64_t code_address = 0, data_address = 0;
  std::vector<std::uint8_t> code;  // starts at code_address, which is where execution starts
  std::vector<std::uint8_t> records;  // one Record a program, at data_address

  std::vector<std::uint8_t> to_elf() const;
};

// Fails where a branch does not reach its target (a program that is too long).
Result<BatchImage> make_batch(std::span<const Program> programs);

}  // namespace caisson::fuzz
