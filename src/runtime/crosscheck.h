// The interpreter beside another tier: both run the same blocks, and what they leave in registers and memory is compared.
//
// The shadow is a hart, an address space and an interpreter of its own. It runs ahead to a checkpoint, then the tier uses exactly as much
// gas, then both are compared. What is done to the guest from outside (loading, ecalls, signals, the embedder) happens to the tier's
// hart and memory alone; before the next block the shadow follows: it takes the registers, and the bytes and pages that changed.
// docs/crosscheck.md follows one checkpoint.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "caisson/result.h"
#include "interp/interpreter.h"
#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"
#include "runtime/crosscheck_report.h"

namespace caisson::memory {
class WindowPool;
}

namespace caisson::runtime {

class Execution;

struct CrosscheckOptions {
  std::uint64_t interval = 1;  // gas between two checkpoints
  interp::CacheMode cache_mode = interp::CacheMode::kOn;
  // What the `time` CSR reads on `hart`.
  std::uint64_t (*clock)(void* context, const riscv::HartState& hart) = nullptr;
  void* context = nullptr;
};

class Crosscheck final : public memory::MemoryObserver {
 public:
  // Becomes the memory observer of `memory`, which nothing is mapped in yet. Error: kOutOfMemory.
  static Result<std::unique_ptr<Crosscheck>> create(memory::AddressSpace& memory,
                                                    std::shared_ptr<memory::WindowPool> windows,
                                                    const CrosscheckOptions& options);
  ~Crosscheck();

  // As Execution::run() on `hart`, until the tiers differ. Throws std::bad_alloc where the host does not hold a second guest.
  void run(Execution& execution, riscv::HartState& hart, std::uint64_t slice);

  // For the end of a run: compares memory.
  void end_run(const riscv::HartState& hart);

  // What the tier reads from the `time` CSR: what the interpreter read.
  std::uint64_t replay_time();

  // The first difference, as a text for who repairs the tier; empty: none.
  const std::string& difference() const { return difference_; }

  // For tests, which alter it.
  memory::AddressSpace& shadow_memory() { return *shadow_memory_; }

  void pages_replaced(std::uint32_t first_page, std::uint32_t page_count, bool read_zero) noexcept override;
  void pages_protected(std::uint32_t first_page, std::uint32_t page_count) noexcept override;
  void bytes_written(std::uint64_t address, std::uint64_t length) noexcept override;

 private:
  struct PageChange {
    enum class Kind : std::uint8_t { kReplaced, kZeroed, kProtected } kind;
    std::uint32_t first, end;
  };
  struct ByteRange {
    std::uint64_t begin, end;
  };

  Crosscheck(memory::AddressSpace& memory, std::unique_ptr<memory::AddressSpace> shadow_memory,
             const CrosscheckOptions& options);
  static std::uint64_t record_time(void* crosscheck);

  // --- lockstep ---
  void run_shadow(std::uint64_t slice);
  void run_tier(Execution& execution, riscv::HartState& hart, std::uint64_t gas);
  bool compare_registers(const riscv::HartState& hart);
  void compare_memory(const riscv::HartState& hart);

  // --- following ---
  void follow(const riscv::HartState& hart);
  void note(PageChange change);
  void follow_pages(const PageChange& change);
  void mirror(std::uint32_t first, std::uint32_t end, bool copies);
  void copy(std::uint64_t begin, std::uint64_t end);
  void put(std::uint64_t address, const std::uint8_t* bytes, std::size_t length);
  void find_shared_files();

  memory::AddressSpace& memory_;
  const std::unique_ptr<memory::AddressSpace> shadow_memory_;
  const CrosscheckOptions options_;
  std::unique_ptr<interp::Interpreter> interpreter_;
  riscv::HartState shadow_;
  std::deque<std::uint64_t> times_;  // read by the interpreter and not yet by the tier; a slice bounds them
  CheckedBlocks blocks_;  // since the last checkpoint
  std::uint64_t memory_compared_at_ = 0;  // gas used
  std::string difference_;

  // What changed from outside since the shadow followed. Where it is too much to tell, everything did.
  std::vector<PageChange> pages_;
  std::vector<ByteRange> bytes_;
  std::vector<ByteRange> shared_files_;  // writing the file changes them, and so do their other mappings
  bool everything_changed_ = false;
};

}  // namespace caisson::runtime
