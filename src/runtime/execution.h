// Which tier executes a guest, and the way from one to the other.
//
// All tiers compute the same, so going from one to the other at a block entry cannot be seen. Tier::kAuto interprets a block the first time,
// compiles it the second time, and has what is hot optimised (promotion.h); Tier::kBaseline and Tier::kOptimized compile before the first. Where no memory is left for code, the interpreter goes on.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "baseline/baseline.h"
#include "caisson/instance.h"
#include "caisson/result.h"
#include "gas/gas_schedule.h"
#include "interp/interpreter.h"
#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"
#include "optimized/optimized.h"
#include "runtime/jit_service.h"
#include "runtime/promotion.h"

namespace caisson::runtime {

struct ExecutionOptions {
  Tier tier = Tier::kAuto;
  interp::CacheMode cache_mode = interp::CacheMode::kOn;
  // Slices end where those of other tiers end, for clocks that gas drives. Else they may be up to optimized::kGasReserve longer.
  bool exact_slices = false;
  // The hooks share one context.
  void* context = nullptr;
  riscv::TimeSource time = nullptr;
  baseline::EcallFunction ecall = nullptr;
  baseline::NameSource names = nullptr;
  FunctionSource functions = nullptr;
  // Who compiles units; Tier::kAuto promotes nothing where null.
  std::shared_ptr<JitService> jit;
  // The next slice where one ends in the middle of optimised code; see optimized::SliceSource.
  std::uint64_t (*next_slice)(void* context) = nullptr;
};

// Gas that each tier's instructions used; what ecalls charge is in neither.
struct TierGas {
  std::uint64_t interp = 0, baseline = 0, optimized = 0;
};

class Execution {
 public:
  // Errors: kUnsupported (Tier::kBaseline on a processor that it does not support), kOutOfMemory.
  static Result<std::unique_ptr<Execution>> create(memory::AddressSpace& memory, const ExecutionOptions& options);

  // As Interpreter::run(), except that ecalls may be answered within the run (TrapKind::kEcallAnswered).
  void run(riscv::HartState& hart, std::uint64_t slice) {
    slice = std::clamp(slice, kLeastSlice, interp::kLongestSlice);
    if (baseline_ == nullptr) [[unlikely]]
      return interpret(hart, slice, Slices::kAsTiersLike);
    if (promotes_) began_ = {.gas = gas_.baseline, .ticks = read_ticks()};
    if (optimized_ != nullptr) return run_units(hart, slice, Slices::kAsTiersLike);
    const baseline::Baseline::End end = run_baseline(hart, &slice);
    if (end != baseline::Baseline::End::kTrap) [[unlikely]]
      go_on(end, hart, slice, Slices::kAsTiersLike);
  }

  // run() for a call, hart.pc at the function and frm 0: quickest where the function is known and returns within the slice. False where
  // the call did not return to the trampoline; where it did, hart.trap need not say so.
  [[gnu::always_inline]] bool call(riscv::HartState& hart, std::uint64_t slice) {
    const void* const entry = baseline_ == nullptr || has_unit(hart.pc) ? nullptr : baseline_->known_entry(hart.pc);
    const bool is_quick = entry != nullptr && hart.gas >= slice && hart.interrupt.load(std::memory_order_relaxed) == 0;
    if (!is_quick) [[unlikely]] {
      run(hart, slice);
      return hart.trap.kind == riscv::TrapKind::kTrampoline;
    }
    const std::uint64_t called = hart.pc;
    began_ = {};
    const std::uint64_t before = hart.gas_used();
    ecall_gas_ = 0;
    const baseline::Left how = baseline_->call(hart, entry, slice);
    if (!how.returned) [[unlikely]]
      return end_call(hart, slice, how.gas, before);
    gas_.baseline += hart.gas_used() - before - ecall_gas_;
    if (promotes_ && gas_.baseline - sampled_gas_ >= kGasOfSample) [[unlikely]]
      note_slice(called, sampled_gas());
    return true;
  }

  bool has_unit(std::uint64_t pc) const { return optimized_ != nullptr && optimized_->has_unit(pc); }

  // Whether code is compiled, by a processor that can run what is compiled.
  bool compiles() const { return baseline_ != nullptr; }

  // As run(), but the slice is neither lengthened nor shortened, whatever it holds: no block where none fits.
  void run_exactly(riscv::HartState& hart, std::uint64_t slice);

  // Slices are no shorter, whoever says so: every block can be paid from one.
  static constexpr std::uint64_t kLeastSlice = gas::dearest_block();
  // Of calls that are shorter than slices.
  static constexpr std::uint64_t kGasOfSample = 500'000;

  // Whether float registers or fcsr may have been changed since take_floats_changed().
  bool floats_changed() const { return interpreted_ || (baseline_ != nullptr && baseline_->floats_changed()); }
  // Whether float registers or fcsr may have been changed within a run since this was last asked.
  bool take_floats_changed() {
    const bool interpreted = std::exchange(interpreted_, false);
    return (baseline_ != nullptr && baseline_->take_floats_changed()) || interpreted;
  }

  // See Baseline::adopt().
  void adopt(baseline::SharedCode& shared, std::uint32_t base, std::uint32_t size);
  void release_code();

  // What promotion and demotion do, at once. For tests of the ways between tiers.
  bool add_unit(std::uint64_t pc);  // false where the block at `pc` is not for units
  void remove_unit(std::uint32_t pc);

  TierGas tier_gas() const { return gas_; }
  void add_ecall_gas(std::uint64_t gas) { ecall_gas_ += gas; }
  interp::InterpreterStats interpreter_stats() const;
  baseline::BaselineStats baseline_stats() const;
  optimized::OptimizedStats optimized_stats() const;
  PromotionStats promotion_stats() const;
  std::vector<optimized::Optimized::Entry> units() const {
    return optimized_ ? optimized_->entries() : std::vector<optimized::Optimized::Entry>();
  }
  std::vector<HotPlace> hot_places() const { return promotion_ ? promotion_->hot_places() : std::vector<HotPlace>(); }
  // Who compiles units; null where nobody was needed yet.
  const JitBackend* backend() const { return options_.jit == nullptr ? nullptr : options_.jit->existing(); }

 private:
  Execution(memory::AddressSpace& memory, const ExecutionOptions& options)
      : memory_(memory),
        options_(options),
        cold_(options.tier == Tier::kAuto ? baseline::Baseline::Cold::kReturn : baseline::Baseline::Cold::kCompile) {}
  interp::Interpreter& interpreter();
  enum class Slices : std::uint8_t { kAsTiersLike, kExact };
  baseline::Baseline::End run_baseline(riscv::HartState& hart, std::uint64_t* slice) {
    const std::uint64_t before = hart.gas_used();
    ecall_gas_ = 0;
    const baseline::Baseline::End end = baseline_->run(hart, slice, cold_);
    gas_.baseline += hart.gas_used() - before - ecall_gas_;
    return end;
  }
  bool end_call(riscv::HartState& hart, std::uint64_t slice, std::int64_t gas, std::uint64_t used_before);
  void go_on(baseline::Baseline::End end, riscv::HartState& hart, std::uint64_t slice, Slices slices);
  void interpret(riscv::HartState& hart, std::uint64_t slice, Slices slices);
  void run_interpreter(riscv::HartState& hart, std::uint64_t slice, bool one_block);
  bool was_seen(std::uint64_t pc);
  void run_units(riscv::HartState& hart, std::uint64_t slice, Slices slices);
  std::uint64_t repeat(riscv::HartState& hart, std::uint64_t gas);
  bool run_unit(riscv::HartState& hart, std::uint64_t* slice, Slices slices);
  bool run_block(riscv::HartState& hart, std::uint64_t* slice);
  Result<void> start_optimizing();
  void note_slice(std::uint64_t pc, std::uint64_t gas);
  void note_exit(std::uint64_t pc);
  void publish_units();
  static std::uint64_t read_ticks() { return __builtin_ia32_rdtsc(); }
  static std::uint64_t next_slice_of_unit(void* execution);
  // Of the baseline tier, since this was last asked.
  std::uint64_t sampled_gas() { return gas_.baseline - std::exchange(sampled_gas_, gas_.baseline); }
  bool cold_is_optimized() const { return options_.tier == Tier::kOptimized; }

  memory::AddressSpace& memory_;
  const ExecutionOptions options_;
  const baseline::Baseline::Cold cold_;
  std::unique_ptr<interp::Interpreter> interpreter_;  // made when first needed
  std::unique_ptr<baseline::Baseline> baseline_;  // null where everything is interpreted
  std::unique_ptr<optimized::Optimized> optimized_;  // null where nothing is optimised
  std::optional<Promotion> promotion_;
  bool promotes_ = false;
  std::uint64_t sampled_gas_ = 0;
  std::uint32_t exits_ = 0;  // of units, to other tiers
  Pace began_;  // the run of the baseline tier: its gas and the time then; no time where something else ran since
  // In the unit that was entered last.
  struct UnitStay {
    std::uint32_t pc = 0;
    std::uint64_t began = 0;
    std::uint64_t slices = 0;  // that ended in it
    bool is_slow = false;
  } stay_;
  std::uint64_t slice_began_ = 0;  // in a unit
  PacesByLoad slices_of_unit_;
  TierGas gas_;
  std::uint64_t ecall_gas_ = 0;  // charged while the baseline tier ran
  bool interpreted_ = false;  // since take_floats_changed()

  // The half-words at which blocks were entered once, by page. Forgotten as a whole when it has grown large.
  static constexpr std::size_t kMostSeenPages = 4096;
  std::unordered_map<std::uint32_t, std::bitset<memory::kPageSize / 2>> seen_;
};

}  // namespace caisson::runtime
