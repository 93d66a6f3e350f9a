// interp/: tier 0, the definition of correct, and what runs cold code.
//
// Pre-decoded records in per-page arrays, executed by tail calls. run() executes one hart from hart.pc until a trap.
// It knows instructions, gas and guest memory; it must not know instances, ecalls' meaning or Linux.
// Start reading at docs/interpreter.md, then record.h, then handlers.
#pragma once

#include <cstdint>
#include <memory>

#include "caisson/result.h"
#include "isa/riscv/csr_semantics.h"
#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"

namespace caisson::interp {

enum class CacheMode : std::uint8_t { kOn, kOff, kVerify };

struct InterpreterStats {
  std::uint64_t instructions_decoded = 0;  // lowered to records, those decoded again included
  std::uint64_t chunks_dropped = 0;        // 1 KiB pieces of code forgotten because they changed
  std::uint64_t flushes = 0;               // the whole cache was forgotten because its budget was used up
  std::uint64_t repins = 0;                // other guest registers were chosen to live in host registers
  std::uint64_t mixed_checks = 0;          // block entries that compared bytes
  std::uint64_t verify_failures = 0;  // CacheMode::kVerify: a hit whose bytes had changed unnoticed; always our bug
};

// Gas is kept in a signed host register while handlers run.
inline constexpr std::uint64_t kLongestSlice = std::uint64_t{1} << 62;

using riscv::TimeSource;

// Interprets the code of one address space.
//
//   auto interpreter = Interpreter::create(memory, CacheMode::kOn, &ticks, nullptr).value();
//   hart.pc = entry; hart.grant_gas(1'000'000);
//   do interpreter->run(hart, kLongestSlice); while (hart.trap.kind == riscv::TrapKind::kNone);
//
// Used by one thread at a time. Guest memory must outlive it.
class Interpreter final : public memory::CodeObserver {
 public:
  // Becomes the code observer of `memory`. Error: kOutOfMemory where the host cannot reserve address space.
  static Result<std::unique_ptr<Interpreter>> create(memory::AddressSpace& memory, CacheMode mode, TimeSource time,
                                                     void* time_context);
  ~Interpreter();

  // Runs until a trap, which hart.trap and hart.pc describe, or until about `slice` gas is used up: then the trap kind is kNone
  // and hart.pc stands at a block start that is not yet charged. hart.interrupt ends the run with kInterrupted. A slice is at
  // least one block, at most kLongestSlice, and ends where the next block costs more than is left of it.
  void run(riscv::HartState& hart, std::uint64_t slice);

  // Runs the one block at hart.pc, as run() would, if it costs at most `slice`; else nothing happens.
  void run_block(riscv::HartState& hart, std::uint64_t slice);

  // Gives back the memory of all decoded code, e.g. behind a start-up phase that will not run again. Between runs only.
  void release_code();

  void code_changed(std::uint32_t first_page, std::uint32_t page_count) override;
  const InterpreterStats& stats() const;

  struct Impl;

 private:
  explicit Interpreter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::interp
