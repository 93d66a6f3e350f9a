#include "runtime/execution.h"

#include <algorithm>
#include <new>
#include <utility>

#include "optimized/unit_compiler.h"

namespace caisson::runtime {

using riscv::HartState;
using riscv::TrapKind;

namespace {

bool has_unit_at(void* execution, std::uint32_t pc) { return static_cast<const Execution*>(execution)->has_unit(pc); }

}  // namespace

Result<std::unique_ptr<Execution>> Execution::create(memory::AddressSpace& memory, const ExecutionOptions& options) {
  std::unique_ptr<Execution> execution(new Execution(memory, options));
  // The other modes are there to measure and check the cache of decoded code.
  const bool compiles = options.tier != Tier::kInterp && options.cache_mode == interp::CacheMode::kOn;
  if (compiles) {
    Result<std::unique_ptr<baseline::Baseline>> made =
        baseline::Baseline::create(memory, {.time = options.time,
                                            .time_context = options.context,
                                            .ecall = options.ecall,
                                            .ecall_context = options.context,
                                            .whole_pages = options.tier == Tier::kBaseline,
                                            .sources = {.names = options.names,
                                                        .names_context = options.context,
                                                        .elsewhere = &has_unit_at,
                                                        .elsewhere_context = execution.get()}});
    if (made) {
      execution->baseline_ = *std::move(made);
    } else if (options.tier == Tier::kBaseline) {
      return std::unexpected(made.error());
    }
  }
  if (options.tier == Tier::kOptimized) {
    if (execution->baseline_ == nullptr)
      return fail(ErrorCode::kUnsupported,
                  "the optimising tier needs the processor that the baseline tier needs, and the decode cache");
    if (auto compiler = optimized::load_unit_compiler(); !compiler) return std::unexpected(compiler.error());
    if (Result<void> started = execution->start_optimizing(); !started) return std::unexpected(started.error());
  }
  execution->promotes_ = options.tier == Tier::kAuto && execution->baseline_ != nullptr && options.jit != nullptr;
  if (execution->baseline_ == nullptr) {
    auto made = interp::Interpreter::create(memory, options.cache_mode, options.time, options.context);
    if (!made) return std::unexpected(made.error());
    execution->interpreter_ = *std::move(made);
  }
  return execution;
}

interp::Interpreter& Execution::interpreter() {
  if (interpreter_ == nullptr) {
    auto made = interp::Interpreter::create(memory_, options_.cache_mode, options_.time, options_.context);
    if (!made) throw std::bad_alloc();  // an Error where the run began (instance.cpp)
    interpreter_ = *std::move(made);
  }
  return *interpreter_;
}

void Execution::run_interpreter(HartState& hart, std::uint64_t slice, bool one_block) {
  interpreted_ = true;
  const std::uint64_t before = hart.gas_used();
  if (one_block) {
    interpreter().run_block(hart, slice);
  } else {
    interpreter().run(hart, slice);
  }
  gas_.interp += hart.gas_used() - before;
}

bool Execution::was_seen(std::uint64_t pc) {
  const auto page = static_cast<std::uint32_t>(pc / memory::kPageSize);
  if (seen_.size() == kMostSeenPages && !seen_.contains(page)) seen_.clear();
  auto& half_words = seen_[page];
  const std::size_t half_word = pc % memory::kPageSize / 2;
  if (half_words[half_word]) return true;
  half_words[half_word] = true;
  return false;
}

void Execution::run_exactly(HartState& hart, std::uint64_t slice) {
  slice = std::min(slice, interp::kLongestSlice);
  if (baseline_ == nullptr) return interpret(hart, slice, Slices::kExact);
  if (optimized_ != nullptr) return run_units(hart, slice, Slices::kExact);
  go_on(run_baseline(hart, &slice), hart, slice, Slices::kExact);
}

void Execution::interpret(HartState& hart, std::uint64_t slice, Slices slices) {
  if (slices == Slices::kAsTiersLike) return run_interpreter(hart, slice, false);
  for (;;) {
    const std::uint64_t before = hart.gas_used();
    run_interpreter(hart, slice, true);
    const std::uint64_t used = hart.gas_used() - before;
    if (hart.trap.kind != TrapKind::kNone || used == 0) return;
    slice -= used;
  }
}

// Behind a call that did not return at once.
bool Execution::end_call(HartState& hart, std::uint64_t slice, std::int64_t gas, std::uint64_t used_before) {
  const baseline::Baseline::End end = baseline_->end_call(hart, gas, &slice, cold_);
  gas_.baseline += hart.gas_used() - used_before - ecall_gas_;
  if (end != baseline::Baseline::End::kTrap) go_on(end, hart, slice, Slices::kAsTiersLike);
  return hart.trap.kind == TrapKind::kTrampoline;
}

// Interprets the block at hart.pc. True where execution goes on in this slice.
bool Execution::run_block(HartState& hart, std::uint64_t* slice) {
  const std::uint64_t before = hart.gas_used();
  run_interpreter(hart, *slice, true);
  if (hart.trap.kind != TrapKind::kNone) return false;
  const std::uint64_t used = hart.gas_used() - before;
  *slice -= used;
  return used != 0;  // else the slice does not hold the block
}

// Behind a run of the baseline tier that ended so.
void Execution::go_on(baseline::Baseline::End end, HartState& hart, std::uint64_t slice, Slices slices) {
  using End = baseline::Baseline::End;
  for (;; end = run_baseline(hart, &slice)) {
    if (end == End::kTrap) return;
    if (end == End::kSliceEnd) {
      if (promotes_) note_slice(hart.pc, sampled_gas());
      return;
    }
    if (end == End::kElsewhere) return run_units(hart, slice, slices);
    if (end == End::kNoMemory) return interpret(hart, slice, options_.exact_slices ? Slices::kExact : slices);
    if (was_seen(hart.pc)) {
      if (!baseline_->compile(static_cast<std::uint32_t>(hart.pc)))
        return interpret(hart, slice, options_.exact_slices ? Slices::kExact : slices);
      continue;
    }
    if (!run_block(hart, &slice)) return;
  }
}

// --- units ---

// Units are told of code that changes.
Result<void> Execution::start_optimizing() {
  if (optimized_ != nullptr) return {};
  const bool has_slices = !options_.exact_slices && options_.next_slice != nullptr;
  const optimized::SliceSource slices{.next = has_slices ? &next_slice_of_unit : nullptr, .context = this};
  auto made = optimized::Optimized::create(memory_, slices);
  if (!made) {
    promotes_ = false;
    return std::unexpected(made.error());
  }
  // Behind a fault it has to be there (repeat()).
  try {
    interpreter();
  } catch (const std::bad_alloc&) {
    promotes_ = false;
    return fail(ErrorCode::kOutOfMemory, "no memory is left for the interpreter");
  }
  optimized_ = *std::move(made);
  promotion_.emplace(memory_, *optimized_, options_.jit != nullptr ? options_.jit : JitService::process(),
                     GuestFunctions{options_.functions, options_.names, options_.context});
  return {};
}

// Where a unit's slice ends in its middle. One that is slower than the baseline tier was is left.
std::uint64_t Execution::next_slice_of_unit(void* execution) {
  auto& self = *static_cast<Execution*>(execution);
  const std::uint64_t slice = self.options_.next_slice(self.options_.context);
  if (!self.promotes_) return slice;
  const std::uint64_t now = read_ticks();
  if (self.stay_.slices++ == 0) {
    self.slices_of_unit_ = {};
  } else {
    // They are of one length.
    self.slices_of_unit_.add({slice, now - self.slice_began_}, self.promotion_->is_waiting());
  }
  self.slice_began_ = now;
  constexpr std::uint64_t kSlicesPerLook = 32;
  const bool looks = self.stay_.slices % kSlicesPerLook == 0;
  self.stay_.is_slow = looks && self.promotion_->is_slower(self.stay_.pc, self.slices_of_unit_);
  return self.stay_.is_slow ? 0 : slice;
}

// The baseline tier's slice ended at hart.pc, or a call's: its gas tells what is hot, and what was asked for may be there.
void Execution::note_slice(std::uint64_t pc, std::uint64_t gas) {
  if (pc >= memory::kWindowSize || !start_optimizing()) return;
  // Of this run alone: what was before it may have waited for the host.
  const Pace began = std::exchange(began_, {});
  Pace pace;
  if (began.ticks != 0) pace = {.gas = gas_.baseline - began.gas, .ticks = read_ticks() - began.ticks};
  promotion_->note_slice(static_cast<std::uint32_t>(pc), gas, pace);
  publish_units();
}

void Execution::publish_units() {
  for (const std::uint32_t entry : promotion_->poll()) baseline_->forget_page_of(entry);
}

// Units were left for code that has none. Where most of a program runs in units, few slices end elsewhere.
void Execution::note_exit(std::uint64_t pc) {
  if (pc >= memory::kWindowSize) return;
  if (promotion_->note_exit(static_cast<std::uint32_t>(pc))) baseline_->forget_page_of(static_cast<std::uint32_t>(pc));
  constexpr std::uint32_t kExitsPerLook = 16;
  if (promotion_->is_waiting() && (promotion_->is_blocking() || ++exits_ % kExitsPerLook == 0)) publish_units();
}

// Behind a fault in a unit: interprets from the place that it went back to up to the fault, whatever the slice or an interruption says.
// Gives the gas.
std::uint64_t Execution::repeat(HartState& hart, std::uint64_t gas) {
  bool is_interrupted = hart.interrupt.exchange(0, std::memory_order_relaxed) != 0;
  const std::uint64_t before = hart.gas_used();
  for (std::uint64_t used = 0; used < gas;) {
    run_interpreter(hart, gas - used, true);
    const std::uint64_t last = std::exchange(used, hart.gas_used() - before);
    if (hart.trap.kind == TrapKind::kNone && used != last) continue;
    if (hart.trap.kind != TrapKind::kInterrupted) break;
    hart.trap = {};
    hart.interrupt.store(0, std::memory_order_relaxed);
    is_interrupted = true;
  }
  if (is_interrupted) hart.interrupt.store(1, std::memory_order_relaxed);
  return hart.gas_used() - before;
}

// Runs the unit at hart.pc. True where execution goes on in this slice.
bool Execution::run_unit(HartState& hart, std::uint64_t* slice, Slices slices) {
  using End = optimized::Optimized::End;
  // A unit stops short of what it is granted by less than kGasReserve, so that slices are a little longer where that is nobody's concern.
  const std::uint64_t wanted =
      *slice + (slices == Slices::kExact || options_.exact_slices ? 0 : optimized::kGasReserve);
  const std::uint64_t granted = std::min(wanted, hart.gas);
  interpreted_ = true;  // floats may be other ones
  if (optimized::Optimized::suits(hart) && granted > optimized::kGasReserve) {
    const std::uint64_t pc = hart.pc;
    std::uint64_t used = 0;
    stay_ = {.pc = static_cast<std::uint32_t>(pc), .began = read_ticks()};
    std::uint64_t repeated = 0;
    const End end = optimized_->run(hart, granted, &used, &repeated);
    gas_.optimized += used;
    if (end == End::kFault) used += repeat(hart, repeated);
    began_ = {};
    const std::uint64_t ticks = stay_.slices == 0 ? read_ticks() - stay_.began : 0;
    const auto left_for = static_cast<std::uint32_t>(hart.pc);
    if (stay_.is_slow) promotion_->demote_slow(stay_.pc, left_for);
    if (promotes_ && (stay_.is_slow || promotion_->note_stay(stay_.pc, left_for, {.gas = used, .ticks = ticks})))
      baseline_->forget_page_of(static_cast<std::uint32_t>(pc));
    const bool is_over = used >= *slice;
    *slice -= std::min(used, *slice);
    if (hart.trap.kind != TrapKind::kNone || is_over) return false;
    if ((end == End::kFault && used != 0) || (end == End::kOutside && (hart.pc != pc || used != 0))) return true;
  }
  const bool is_near_end = granted < 2 * optimized::kGasReserve;
  if (!is_near_end) return run_block(hart, slice);
  interpret(hart, *slice, options_.exact_slices ? Slices::kExact : slices);
  return false;
}

void Execution::run_units(HartState& hart, std::uint64_t slice, Slices slices) {
  for (;;) {
    const bool was_made = !optimized_->has_unit(hart.pc) && cold_is_optimized() && promotion_->make_now(hart.pc);
    if (was_made && slices == Slices::kAsTiersLike) {
      hart.trap = {};
      return;  // compiling took its time: deadlines are looked at between slices
    }
    if (optimized_->has_unit(hart.pc)) {
      const bool goes_on = run_unit(hart, &slice, slices);
      if (promotes_ && hart.trap.kind == TrapKind::kNone && !optimized_->has_unit(hart.pc)) note_exit(hart.pc);
      if (!goes_on) return;
    } else if (cold_is_optimized()) {
      if (!run_block(hart, &slice)) return;
    } else {
      const baseline::Baseline::End end = run_baseline(hart, &slice);
      if (end != baseline::Baseline::End::kElsewhere) return go_on(end, hart, slice, slices);
    }
  }
}

void Execution::adopt(baseline::SharedCode& shared, std::uint32_t base, std::uint32_t size) {
  if (baseline_ != nullptr) baseline_->adopt(shared, base, size);
}

void Execution::release_code() {
  if (optimized_ != nullptr) {
    optimized_->release_code();
    promotion_->forget();
  }
  if (interpreter_ != nullptr) interpreter_->release_code();
  if (baseline_ != nullptr) baseline_->release_code();
  seen_.clear();
}

bool Execution::add_unit(std::uint64_t pc) {
  if (baseline_ == nullptr || !start_optimizing()) return false;
  if (!has_unit(pc) && !promotion_->make_now(pc)) return false;
  baseline_->forget_page_of(static_cast<std::uint32_t>(pc));
  return true;
}

void Execution::remove_unit(std::uint32_t pc) {
  if (!has_unit(pc)) return;
  promotion_->remove(pc);
  baseline_->forget_page_of(pc);
}

interp::InterpreterStats Execution::interpreter_stats() const {
  return interpreter_ == nullptr ? interp::InterpreterStats{} : interpreter_->stats();
}

baseline::BaselineStats Execution::baseline_stats() const {
  return baseline_ == nullptr ? baseline::BaselineStats{} : baseline_->stats();
}

PromotionStats Execution::promotion_stats() const { return promotion_ ? promotion_->stats() : PromotionStats{}; }

optimized::OptimizedStats Execution::optimized_stats() const {
  return optimized_ == nullptr ? optimized::OptimizedStats{} : optimized_->stats();
}

}  // namespace caisson::runtime
