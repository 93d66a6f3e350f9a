#include "interp/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "gas/gas_schedule.h"
#include "interp/code_cache.h"
#include "interp/pinning.h"
#include "interp/resolve.h"
#include "isa/riscv/host_float.h"

extern "C" {
// enter.S
void caisson_interp_enter(caisson::riscv::HartState* hart, caisson::interp::Context* context,
                          const caisson::interp::Record* first, std::int64_t gas, std::uint8_t* window);
// The linker's names for the section of the handlers.
extern const char __start_caisson_interp[] __attribute__((visibility("hidden")));
extern const char __stop_caisson_interp[] __attribute__((visibility("hidden")));
}

namespace caisson::interp {

// What enter.S knows.
static_assert(offsetof(Context, pins) == 0);
static_assert(offsetof(Context, float_pins) == 8);
static_assert(offsetof(Context, scope) + offsetof(memory::GuestScope, host_stack) == 24);
static_assert(offsetof(riscv::HartState, x) == 0);
static_assert(offsetof(riscv::HartState, f) == 264);

namespace {

// No block costs more, so a slice of this size always makes progress.
constexpr std::uint64_t kLeastSlice = gas::dearest_block();

}  // namespace

struct Interpreter::Impl {
  Impl(memory::AddressSpace& memory, CacheMode mode, TimeSource time_source, void* time_source_context)
      : cache(memory, mode), memory(memory), time(time_source), time_context(time_source_context) {}

  // Runs handlers for at most `slice` gas.
  void execute(riscv::HartState& hart, std::uint64_t slice) {
    Context& context = *cache.context();
    hart.gas -= slice;
    hart.tier_context = &context;
    const std::uint32_t host_mxcsr = _mm_getcsr();
    riscv::load_rounding_mode(hart);
    memory::enter_guest(context.scope);
    caisson_interp_enter(&hart, &context, context.records(), static_cast<std::int64_t>(slice), memory.base());
    memory::leave_guest(context.scope);
    riscv::collect_flags(hart);
    _mm_setcsr(host_mxcsr);
    hart.tier_context = nullptr;
    hart.gas += static_cast<std::uint64_t>(context.slice_gas);
  }

  void sample(riscv::HartState& hart) {
    chooser.sample(cache, static_cast<std::uint32_t>(hart.pc));
    if (const std::optional<Pins> better = chooser.choose(cache.pins())) {
      cache.set_pins(*better);
      ++cache.stats.repins;
    }
  }

  CodeCache cache;
  memory::AddressSpace& memory;
  PinChooser chooser;
  TimeSource time;
  void* time_context;
};

const Record* resolve(Context& context, riscv::HartState& hart) {
  return static_cast<Interpreter::Impl*>(context.owner)->cache.resolve(hart);
}

std::uint64_t current_time(Context& context) {
  const auto* impl = static_cast<const Interpreter::Impl*>(context.owner);
  return impl->time(impl->time_context);
}

Result<std::unique_ptr<Interpreter>> Interpreter::create(memory::AddressSpace& memory, CacheMode mode, TimeSource time,
                                                         void* time_context) {
  if (auto installed = memory::install_fault_recovery(); !installed) return std::unexpected(installed.error());
  memory::register_tier(__start_caisson_interp, __stop_caisson_interp, fault_landing());
  auto impl = std::make_unique<Impl>(memory, mode, time, time_context);
  Context* context = impl->cache.context();
  if (context == nullptr) {
    return fail(
        ErrorCode::kOutOfMemory,
        fmt::format(
            "cannot reserve {} MiB of address space for decoded code; raise the limit on address space (ulimit -v)",
            kContextBytes >> 20));
  }
  context->owner = impl.get();
  context->scope.window_base = memory.base();
  return std::unique_ptr<Interpreter>(new Interpreter(std::move(impl)));
}

Interpreter::Interpreter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) { impl_->memory.add_code_observer(this); }
Interpreter::~Interpreter() { impl_->memory.remove_code_observer(this); }

void Interpreter::run(riscv::HartState& hart, std::uint64_t slice) {
  // Early samples come soon, but not by ending the slice: under a clock that gas drives, timers are due at slice ends, which must be
  // the same on all tiers and whatever was sampled before.
  slice = std::clamp(slice, kLeastSlice, kLongestSlice);
  for (;;) {
    hart.trap = {};
    if (hart.interrupt.load(std::memory_order_relaxed) != 0) {
      hart.trap.kind = riscv::TrapKind::kInterrupted;
      return;
    }
    const std::uint64_t until_sample = impl_->chooser.wants_samples() ? 2 * kLeastSlice : kLongestSlice;
    const std::uint64_t before = hart.gas_used();
    impl_->execute(hart, std::min({slice, until_sample, hart.gas}));
    const Context& context = *impl_->cache.context();
    if (context.exit_kind != ExitKind::kSliceEnd) return;
    const std::uint64_t cost = context.exit_cost;
    if (hart.gas < cost) {
      hart.trap.kind = riscv::TrapKind::kOutOfGas;
      return;
    }
    impl_->sample(hart);
    slice -= hart.gas_used() - before;
    if (slice < cost) return;
  }
}

void Interpreter::run_block(riscv::HartState& hart, std::uint64_t slice) {
  hart.trap = {};
  if (hart.interrupt.load(std::memory_order_relaxed) != 0) {
    hart.trap.kind = riscv::TrapKind::kInterrupted;
    return;
  }
  const Record* const record = impl_->cache.resolve(hart);
  if (record == nullptr) return;
  const std::uint64_t cost = record->cost;
  if (hart.gas < cost) {
    hart.trap.kind = riscv::TrapKind::kOutOfGas;
    return;
  }
  // A slice of just its price ends behind it, but for what costs nothing: that traps.
  if (cost <= slice) impl_->execute(hart, cost);
}

void Interpreter::code_changed(std::uint32_t first_page, std::uint32_t page_count) {
  impl_->cache.drop_pages(first_page, page_count);
}

void Interpreter::release_code() { impl_->cache.release(); }

const InterpreterStats& Interpreter::stats() const { return impl_->cache.stats; }

}  // namespace caisson::interp
