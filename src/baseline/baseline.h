// baseline/: tier 1, compiled code without delay.
//
// One pass over a page's reachable code: decode, price, emit (page_scan.h, unit_emitter.h); code lies in regions with a table from guest
// pc to native entry (code_region.h); a handful of thunks joins it to C++ (thunks.h). It computes what the interpreter computes, gas and
// faults included. It knows instructions, gas and guest memory; it must not know instances, ecalls' meaning or Linux.
// Start reading at docs/baseline.md, then Baseline::run().
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "baseline/answer_ecall.h"
#include "baseline/code_region.h"
#include "baseline/shared_code.h"
#include "caisson/result.h"
#include "isa/riscv/csr_semantics.h"
#include "isa/riscv/hart_state.h"
#include "isa/riscv/host_float.h"
#include "memory/address_space.h"

namespace caisson::baseline {

struct BaselineStats {
  CompileStats compiled;  // by this instance or, of shared code, by any
  std::uint64_t regions_replaced = 0;  // their code had used up its budget
  std::uint64_t regions_dropped = 0;  // newer ones wanted the memory of their entry tables
  std::uint64_t table_bytes = 0;  // of entry tables now, those of shared code not included
  std::uint64_t remaps = 0;  // other guest registers were chosen to live in host registers
  std::uint64_t stale_blocks = 0;  // blocks of mixed pages whose bytes had changed
  std::uint64_t left_shared_code = 0;
};

struct BaselineOptions {
  riscv::TimeSource time = nullptr;  // of the `time` CSR
  void* time_context = nullptr;
  EcallFunction ecall = nullptr;  // answer_ecall() of a hook; null: an ecall ends the run with kEcall
  void* ecall_context = nullptr;
  // A compilation covers its page, not only what is reached: for code that is compiled before it runs.
  bool whole_pages = false;
  CodeSources sources;
};

class Baseline final : public memory::CodeObserver {
 public:
  // Whether this processor has what compiled code uses (x86-64-v3: AVX, FMA, BMI1, BMI2, LZCNT); if not, *missing names it.
  static bool is_supported(const char** missing = nullptr);

  // Becomes a code observer of `memory`. Errors: kUnsupported (processor, or executable memory is forbidden), kOutOfMemory.
  static Result<std::unique_ptr<Baseline>> create(memory::AddressSpace& memory, const BaselineOptions& options);
  ~Baseline();

  enum class Cold : std::uint8_t {
    kCompile,  // code that was not executed yet is compiled
    kReturn,  // run() returns
  };
  enum class End : std::uint8_t {
    kTrap,  // hart.trap says why
    kSliceEnd,  // hart.trap is of kind kNone; the block at hart.pc is not charged
    kCold,  // the block at hart.pc has no code
    kNoMemory,  // the block at hart.pc has no code, and no memory is left for any
    kElsewhere,  // another tier executes the block at hart.pc
  };
  // Runs until a trap or until the next block does not fit into what is left of *slice gas (at most 2^62), which is updated.
  End run(riscv::HartState& hart, std::uint64_t* slice, Cold cold = Cold::kCompile);

  // The code at `pc` if it was looked up before, for a hart whose frm is 0; else null.
  const void* known_entry(std::uint64_t pc) const { return context_.known_entry(pc); }
  // run() for a call, from `entry`, the code at hart.pc; hart.interrupt is not looked at. Gives what is left of `slice` where the call
  // returned to the trampoline, which hart.trap does not tell then; else end_call() must follow, with the same slice.
  [[gnu::always_inline]] Left call(riscv::HartState& hart, const void* entry, std::uint64_t slice) {
    Context& context = context_;
    hart.gas -= slice;
    if (context.guest_mxcsr != riscv::kMxcsrAllMasked) [[unlikely]]
      context.guest_mxcsr = riscv::kMxcsrAllMasked;
    if (hart.tier_context != &context) [[unlikely]]
      hart.tier_context = &context;
    memory::enter_guest(context.scope);
    const Left how = enter_compiled(hart, context, entry, static_cast<std::int64_t>(slice));
    memory::leave_guest(context.scope);
    if (how.returned) [[likely]]
      hart.gas += static_cast<std::uint64_t>(how.gas);
    return how;
  }
  // The rest of run() behind call(), whose gas is given.
  End end_call(riscv::HartState& hart, std::int64_t gas, std::uint64_t* slice, Cold cold);

  // Whether float registers or fcsr of the guest may have been changed within run() since this was last asked.
  bool floats_changed() const { return context_.floats_changed; }
  bool take_floats_changed() { return std::exchange(context_.floats_changed, false); }

  // Compiles the block at `pc`, and more of its page. False where pc cannot be fetched or no memory is left.
  bool compile(std::uint32_t pc);
  bool has_code(std::uint64_t pc) const;

  // [base, base + size) are the pages of a module that `shared` is for, unchanged, and hold no code yet. `shared` must outlive this.
  void adopt(SharedCode& shared, std::uint32_t base, std::uint32_t size);

  // What `elsewhere` says of the block at `pc` has changed: code of its page is made anew. Not while compiled code runs.
  void forget_page_of(std::uint32_t pc);

  void code_changed(std::uint32_t first_page, std::uint32_t page_count) override;
  // Gives back what is compiled for this instance alone.
  void release_code();
  BaselineStats stats() const;

  struct Impl;

 private:
  explicit Baseline(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  Context& context_;  // of impl_
};

}  // namespace caisson::baseline
