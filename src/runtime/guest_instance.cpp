#include "runtime/guest_instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gas/gas_schedule.h"
#include "runtime/guest_layout.h"

namespace caisson::runtime {
namespace {

using riscv::TrapKind;

// How a trap that nobody handles ends the run (design: guest-riscv, "Results and exits").
struct DefaultExit {
  TrapKind trap;
  ExitReason reason;
  bool argument_is_address;  // else it is the pc
};
constexpr DefaultExit kDefaultExits[] = {
    {TrapKind::kEbreak, ExitReason::kTrap, false},         {TrapKind::kIllegal, ExitReason::kPanic, false},
    {TrapKind::kLoadFault, ExitReason::kPageFault, true},  {TrapKind::kStoreFault, ExitReason::kPageFault, true},
    {TrapKind::kFetchFault, ExitReason::kPageFault, true}, {TrapKind::kMisalignedAtomic, ExitReason::kTrap, false},
};

interp::CacheMode cache_mode(InstanceOptions::DecodeCache mode) {
  switch (mode) {
    case InstanceOptions::DecodeCache::kOn:
      return interp::CacheMode::kOn;
    case InstanceOptions::DecodeCache::kOff:
      return interp::CacheMode::kOff;
    case InstanceOptions::DecodeCache::kVerify:
      return interp::CacheMode::kVerify;
  }
  return interp::CacheMode::kVerify;
}

// The `time` CSR ticks at 10 MHz of the guest's clock.
constexpr std::uint64_t kTickNs = 100;
std::uint64_t clock_ticks(void* instance, const riscv::HartState& hart) {
  return static_cast<GuestInstance*>(instance)->clock_ns(hart) / kTickNs;
}
std::uint64_t time_ticks(void* instance) {
  auto& guest = *static_cast<GuestInstance*>(instance);
  // A clock that gas drives reads the same twice; any other moves on between the interpreter's read and this one.
  if (guest.crosscheck() != nullptr && !guest.options().deterministic) return guest.crosscheck()->replay_time();
  return clock_ticks(instance, guest.hart());
}

std::string function_name(void* instance, std::uint32_t pc) {
  const auto& guest = *static_cast<GuestInstance*>(instance);
  return std::string(guest.module().function_at(pc - guest.load_bias()));
}

std::optional<std::uint32_t> function_start(void* instance, std::uint32_t pc) {
  const auto& guest = *static_cast<GuestInstance*>(instance);
  const auto* const function = guest.module().find_function(pc - guest.load_bias());
  if (function == nullptr) return std::nullopt;
  return static_cast<std::uint32_t>(function->address + guest.load_bias());
}

Result<void> check_options(InstanceOptions& options) {
  if (options.memory_limit < memory::kPageSize || options.memory_limit > memory::kWindowSize) {
    return fail(ErrorCode::kInvalidArgument, "a guest has between 4 KiB and 4 GiB of memory", "memory_limit");
  }
  if (options.stack_size < kSmallestStack || options.stack_size > kLargestStack) {
    return fail(ErrorCode::kInvalidArgument, "a stack has between 4 KiB and 1 GiB", "stack_size");
  }
  options.stack_size = (options.stack_size + memory::kPageSize - 1) & ~(memory::kPageSize - 1);
  return {};
}

}  // namespace

Result<std::unique_ptr<GuestInstance>> GuestInstance::create(std::shared_ptr<const ModuleState> module,
                                                             std::shared_ptr<memory::WindowPool> windows,
                                                             const InstanceOptions& options,
                                                             std::shared_ptr<JitService> jit, Loading loading) {
  InstanceOptions checked = options;
  if (Result<void> valid = check_options(checked); !valid) return std::unexpected(valid.error());
  Result<std::unique_ptr<memory::AddressSpace>> memory = memory::AddressSpace::create(windows, checked.memory_limit);
  if (!memory) return std::unexpected(memory.error());

  std::unique_ptr<GuestInstance> instance(new GuestInstance(std::move(module), checked, *std::move(memory)));
  Result<std::unique_ptr<Execution>> execution =
      Execution::create(*instance->memory_, {.tier = checked.tier,
                                             .cache_mode = cache_mode(checked.decode_cache),
                                             .exact_slices = checked.deterministic,
                                             .context = instance.get(),
                                             .time = &time_ticks,
                                             // The shadow has to see memory as it is around each ecall.
                                             .ecall = checked.crosscheck == 0 ? ecall_function() : nullptr,
                                             .names = &function_name,
                                             .functions = &function_start,
                                             .jit = std::move(jit),
                                             .next_slice = checked.crosscheck == 0 ? &next_slice : nullptr});
  if (!execution) return std::unexpected(execution.error());
  instance->execution_ = *std::move(execution);
  if (checked.crosscheck != 0) {
    Result<std::unique_ptr<Crosscheck>> crosscheck = Crosscheck::create(*instance->memory_, std::move(windows),
                                                                        {.interval = checked.crosscheck,
                                                                         .cache_mode = cache_mode(checked.decode_cache),
                                                                         .clock = &clock_ticks,
                                                                         .context = instance.get()});
    if (!crosscheck) return std::unexpected(crosscheck.error());
    instance->crosscheck_ = *std::move(crosscheck);
  }
  instance->hart_.grant_gas(checked.gas);
  if (instance->personality_ == nullptr && loading == Loading::kByModule) {
    if (Result<void> loaded = instance->load_without_personality(); !loaded) return std::unexpected(loaded.error());
  }
  return instance;
}

GuestInstance::GuestInstance(std::shared_ptr<const ModuleState> module, const InstanceOptions& options,
                             std::unique_ptr<memory::AddressSpace> memory)
    : module_(std::move(module)), options_(options), memory_(std::move(memory)), personality_(options.personality) {
  options_.personality.reset();  // one owner, which goes before the memory that it refers to
  ecalls_.set(kReadyNumber, {&GuestInstance::on_ready, nullptr});
}

GuestInstance::~GuestInstance() = default;

InvocationResult GuestInstance::run() {
  begin_run();
  return run_to_end();
}

InvocationResult GuestInstance::run_to_end() {
  floats_are_zero_ = false;
  while (!finished_) {
    const std::uint64_t slice_used = hart_.gas_used() - slice_start_;
    if (slice_used >= kSliceGas) {
      // Many ecalls: each enters the tier anew, and the slice goes on across them.
      end_slice();
      if (!finished_) slice_start_ = hart_.gas_used();
      continue;
    }
    if (!run_tier(kSliceGas - slice_used)) break;
    handle_tier_end();
  }
  if (crosscheck_ != nullptr) crosscheck_->end_run(hart_);
  finished_->gas_remaining = hart_.gas;
  return *finished_;
}

// False where the tiers do not agree; advance() makes that an Error.
bool GuestInstance::run_tier(std::uint64_t slice) {
  if (crosscheck_ == nullptr) {
    execution_->run(hart_, slice);
    return true;
  }
  crosscheck_->run(*execution_, hart_, slice);
  if (crosscheck_->difference().empty()) return true;
  finish(ExitReason::kAborted, hart_.pc, 0);
  return false;
}

void GuestInstance::handle_tier_end() {
  if (hart_.trap.kind != TrapKind::kNone) return handle_trap();
  end_slice();
  // A deadline comes before the personality, which is asked where the run goes on.
  if (!finished_) slice_start_ = hart_.gas_used();
}

void GuestInstance::finish(ExitReason reason, std::uint64_t exit_arg, std::uint64_t return_value) {
  finished_ = InvocationResult{reason, exit_arg, return_value, 0};
}

// As end_slice() where it would find nothing to do.
std::uint64_t GuestInstance::next_slice(void* context) {
  auto& instance = *static_cast<GuestInstance*>(context);
  if (instance.deadline_passed()) return 0;
  if (instance.phase_ != Phase::kNew && instance.personality_ != nullptr && instance.personality_->wants_slices())
    return 0;
  // What the unit still holds, less than this, counts as used now and may come back.
  instance.slice_start_ = instance.hart_.gas_used() - optimized::kGasReserve;
  return kSliceGas;
}

void GuestInstance::end_slice() {
  if (deadline_passed()) {
    finish(ExitReason::kInterrupted, 0, 0);
  } else if (phase_ != Phase::kNew && personality_ != nullptr) {
    personality_->on_slice(*this, hart_);
  }
}

// Out of gas and interruption leave the reservation of LR alone: the guest resumes as if it had not been stopped.
void GuestInstance::handle_trap() {
  switch (hart_.trap.kind) {
    case TrapKind::kOutOfGas:
      finish(ExitReason::kOutOfGas, hart_.pc, 0);
      return;
    case TrapKind::kInterrupted:
      hart_.interrupt.store(0, std::memory_order_relaxed);
      finish(ExitReason::kInterrupted, 0, 0);
      return;
    case TrapKind::kEcall:
      hart_.reservation_width = 0;
      handle_ecall();
      return;
    case TrapKind::kEcallAnswered:
      return;
    case TrapKind::kTrampoline:
      if (in_call_) {
        finish(ExitReason::kHostCall, 0, hart_.x[riscv::kA0]);
        return;
      }
      // Only calls return there; for anything else it is an address like others that are never mapped.
      hart_.trap = {.kind = TrapKind::kFetchFault, .address = riscv::kTrampolineAddress};
      handle_fault();
      return;
    default:
      handle_fault();
  }
}

void GuestInstance::handle_fault() {
  hart_.reservation_width = 0;
  const riscv::Trap trap = hart_.trap;
  if (phase_ != Phase::kNew && personality_ != nullptr && personality_->on_trap(*this, hart_, trap)) return;
  if (finished_) return;
  const auto* const exit = std::ranges::find(kDefaultExits, trap.kind, &DefaultExit::trap);
  if (exit == std::end(kDefaultExits)) {
    finish(ExitReason::kAborted, hart_.pc, 0);  // a tier gave a reason that this loop does not know: our bug
    return;
  }
  finish(exit->reason, exit->argument_is_address ? trap.address : hart_.pc, 0);
}

bool GuestInstance::stop_requested() {
  if (deadline_passed()) hart_.interrupt.store(1, std::memory_order_relaxed);
  return hart_.interrupt.load(std::memory_order_relaxed) != 0;
}

std::uint64_t GuestInstance::clock_ns(const riscv::HartState& hart) const {
  if (options_.deterministic) return hart.gas_used();
  const auto since_epoch = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count());
}

Result<void> GuestInstance::charge_pages(std::uint64_t pages) {
  if (hart_.charge(pages * gas::kPageGrantGas)) return {};
  gas_fell_short_ = true;
  return fail(ErrorCode::kLimit, fmt::format("{} pages of memory cost {} gas and {} are left", pages,
                                             pages * gas::kPageGrantGas, hart_.gas));
}

void GuestInstance::replace_module(std::shared_ptr<const ModuleState> module) {
  memory_->unmap(memory::kLowestAddress, memory::kHighestAddress - memory::kLowestAddress);
  ecalls_.drop_host_functions();
  known_function_ = {};
  host_functions_.clear();
  module_ = std::move(module);
  load_bias_ = 0;
}

}  // namespace caisson::runtime
