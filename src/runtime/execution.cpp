#include "runtime/execution.h"

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

namespace caisson::runtime {

using riscv::HartState;
using riscv::TrapKind;

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
                                            .sources = {.names = options.names, .names_context = options.context}});
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
    auto made = optimized::Optimized::create(
        memory, {.next = options.exact_slices ? nullptr : options.next_slice, .context = options.context});
    if (!made) return std::unexpected(made.error());
    execution->optimized_ = *std::move(made);
  }
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

// Behind a run of the baseline tier that ended so.
void Execution::go_on(baseline::Baseline::End end, HartState& hart, std::uint64_t slice, Slices slices) {
  using End = baseline::Baseline::End;
  for (;; end = run_baseline(hart, &slice)) {
    if (end == End::kTrap || end == End::kSliceEnd) return;
    if (end == End::kNoMemory) return interpret(hart, slice, slices);
    if (was_seen(hart.pc)) {
      if (!baseline_->compile(static_cast<std::uint32_t>(hart.pc))) return interpret(hart, slice, slices);
      continue;
    }
    const std::uint64_t used_before = hart.gas_used();
    run_interpreter(hart, slice, true);
    if (hart.trap.kind != TrapKind::kNone) return;
    const std::uint64_t used = hart.gas_used() - used_before;
    if (used == 0) return;  // the slice does not hold the block
    slice -= used;
  }
}

// --- units ---

namespace {

// Pages on each side of an entry that its unit may take code from.
constexpr std::uint32_t kUnitReach = 64;

}  // namespace

// False where the block at `pc` is not for units.
bool Execution::compile_unit(std::uint64_t pc) {
  if (pc >= memory::kWindowSize || unfit_.contains(static_cast<std::uint32_t>(pc))) return false;
  const auto entry = static_cast<std::uint32_t>(pc);
  const auto suits = [&](std::uint32_t page) {
    return (memory_.permissions(page) & memory::kExecute) != 0 && !memory_.is_mixed(page);
  };
  const auto page = static_cast<std::uint32_t>(pc / memory::kPageSize);
  constexpr auto kPages = static_cast<std::uint32_t>(memory::kWindowSize / memory::kPageSize);
  if (suits(page)) {
    std::uint32_t first = page, end = page + 1;
    while (first > 0 && page - first < kUnitReach && suits(first - 1)) --first;
    while (end < kPages && end - page < kUnitReach && suits(end)) ++end;
    std::vector<std::uint8_t> bytes(std::size_t{end - first} * memory::kPageSize);
    bytes.resize(memory_.read(first * memory::kPageSize, bytes.data(), bytes.size()));
    const optimized::GuestCode code{.base = first * static_cast<std::uint32_t>(memory::kPageSize), .bytes = bytes};
    if (Result<CodeBlob> blob = (*optimized::load_unit_compiler())(code, entry, {}, nullptr)) {
      auto unit = optimized::LoadedUnit::load(*blob);
      if (unit && optimized_->add(*std::move(unit))) return true;
    }
  }
  if (unfit_.size() == kMostUnfit) unfit_.clear();
  unfit_.insert(entry);
  return false;
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
    const End end = optimized_->run(hart, granted, &used);
    gas_.optimized += used;
    const bool is_over = used >= *slice;
    *slice -= std::min(used, *slice);
    if (end == End::kTrap || is_over) return false;
    if (end == End::kOutside && (hart.pc != pc || used != 0)) return true;
  }
  const bool is_near_end = granted < 2 * optimized::kGasReserve;
  const std::uint64_t used_before = hart.gas_used();
  if (is_near_end) return finish_slice(hart, *slice, slices);
  run_interpreter(hart, *slice, true);
  if (hart.trap.kind != TrapKind::kNone) return false;
  const std::uint64_t used = hart.gas_used() - used_before;
  *slice -= used;
  return used != 0;
}

bool Execution::finish_slice(HartState& hart, std::uint64_t slice, Slices slices) {
  interpret(hart, slice, slices);
  return false;
}

void Execution::run_units(HartState& hart, std::uint64_t slice, Slices slices) {
  for (;;) {
    if (optimized_->has_unit(hart.pc) || compile_unit(hart.pc)) {
      if (!run_unit(hart, &slice, slices)) return;
      continue;
    }
    const std::uint64_t used_before = hart.gas_used();
    run_interpreter(hart, slice, true);
    if (hart.trap.kind != TrapKind::kNone) return;
    const std::uint64_t used = hart.gas_used() - used_before;
    if (used == 0) return;  // the slice does not hold the block
    slice -= used;
  }
}

void Execution::adopt(baseline::SharedCode& shared, std::uint32_t base, std::uint32_t size) {
  if (baseline_ != nullptr) baseline_->adopt(shared, base, size);
}

void Execution::release_code() {
  if (interpreter_ != nullptr) interpreter_->release_code();
  if (baseline_ != nullptr) baseline_->release_code();
  seen_.clear();
}

interp::InterpreterStats Execution::interpreter_stats() const {
  return interpreter_ == nullptr ? interp::InterpreterStats{} : interpreter_->stats();
}

baseline::BaselineStats Execution::baseline_stats() const {
  return baseline_ == nullptr ? baseline::BaselineStats{} : baseline_->stats();
}

optimized::OptimizedStats Execution::optimized_stats() const {
  return optimized_ == nullptr ? optimized::OptimizedStats{} : optimized_->stats();
}

}  // namespace caisson::runtime
