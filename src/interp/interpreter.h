// interp/: tier 0, the definition of correct, and what runs cold code.
//
// Pre-decoded records in per-page arrays, executed by tail calls. run() executes one hart from hart.pc until a trap.
// It knows instructions, gas and guest memory; it must not know instances, ecalls' meaning or Linux.
// Start reading at docs/interpreter.md, then record.h, then handlers.
#pragma once

#include <cstdint>
#include <memory>

#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"

namespace caisson::interp {

enum class CacheMode : std::uint8_t { kOn, kOff, kVerify };

struct InterpreterStats {
  std::uint64_t pages_decoded = 0, instructions_decoded = 0, pages_dropped = 0, repins = 0, mixed_checks = 0, verify_failures = 0;
};

// Gives the `time` CSR: ticks of 10 MHz.
using TimeSource = std::uint64_t (*)(void* context);

class Interpreter final : public memory::CodeObserver {
 public:
  // Becomes the code observer of `memory`.
  Interpreter(memory::AddressSpace& memory, CacheMode mode, TimeSource time, void* time_context);
  ~Interpreter();

  // Runs until a trap, which hart.trap and hart.pc describe, or until about `slice` gas is used up: then the trap kind is kNone
  // and hart.pc stands at a block start that is not yet charged. hart.interrupt ends the run with kInterrupted.
  void run(riscv::HartState& hart, std::uint64_t slice);

  void code_changed(std::uint32_t first_page, std::uint32_t page_count) override;
  const InterpreterStats& stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::interp
