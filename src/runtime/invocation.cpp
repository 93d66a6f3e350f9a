// The life of a guest: loading, start(), endpoint calls, and going on after a stop.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "runtime/guest_instance.h"
#include "runtime/guest_layout.h"
#include "runtime/relative_relocations.h"
#include "runtime/running_mark.h"

namespace caisson::runtime {
namespace {

// The psABI keeps the stack pointer at a multiple of this.
constexpr std::uint64_t kStackAlignment = 16;

// Arguments that a call takes in registers.
constexpr std::size_t kMostIntegers = 6, kMostFloats = 8;

// At a bare program's first stack pointer lie argc, argv, envp and the auxiliary vector, all empty: so many zero bytes.
constexpr std::uint64_t kEmptyArguments = 64;

std::unexpected<Error> busy() { return fail(ErrorCode::kBusy, "the instance is already running"); }

std::uint64_t add_gas(std::uint64_t left, std::uint64_t more) {
  return more > std::numeric_limits<std::uint64_t>::max() - left ? kUnlimitedGas : left + more;
}

std::unexpected<Error> ended_before_ready(const InvocationResult& result, const std::string& module) {
  return fail(
      ErrorCode::kGuestEnded,
      fmt::format(
          "the program ended ({}, {:#x}, status {}) without calling caisson_ready(), so its functions cannot be "
          "called; a collection of functions without a main is linked with -Wl,-e,0",
          to_string(result.exit_reason), result.exit_arg, result.return_value),
      module);
}

}  // namespace

Result<InvocationResult> GuestInstance::start() {
  const RunningMark mark(run_state_);
  if (!mark) return busy();
  if (has_lost_code()) return std::unexpected(memory::ExecutableMemory::lost());
  if (module_->elf.entry == 0) {
    return fail(ErrorCode::kInvalidArgument, "the module has no entry point; its functions can be called at once",
                module_->name);
  }
  if (phase_ != Phase::kNew) return fail(ErrorCode::kInvalidArgument, "the program was already started", module_->name);
  runs_program_ = true;
  pending_call_.reset();
  return advance();
}

Result<InvocationResult> GuestInstance::invoke(std::string_view function, const CallArguments& arguments,
                                               std::uint64_t gas) {
  if (run_state_.load(std::memory_order_relaxed) == RunState::kRunning) return busy();
  if (phase_ == Phase::kEnded) return fail(ErrorCode::kGuestEnded, "the program has ended", module_->name);
  const ExportedFunction* const target = module_->find_export(function);
  if (target == nullptr) {
    return fail(ErrorCode::kNotFound, fmt::format("no exported function '{}'", function), module_->name);
  }
  if (arguments.integers.size() > kMostIntegers || arguments.floats.size() > kMostFloats) {
    return fail(ErrorCode::kInvalidArgument, "a call takes at most six integers and eight floating-point values",
                std::string(function));
  }
  return invoke_at(target->address, arguments, gas);
}

Result<InvocationResult> GuestInstance::invoke_at(std::uint64_t address, const CallArguments& arguments,
                                                  std::uint64_t gas) {
  const RunningMark mark(run_state_);
  if (!mark) return busy();
  if (has_lost_code()) return std::unexpected(memory::ExecutableMemory::lost());
  if (phase_ == Phase::kCallable) {
    pending_call_.reset();
    resumable_ = false;
    hart_.grant_gas(gas);
    enter_call(address, arguments);
    return end_advance(run());
  }
  if (phase_ == Phase::kEnded) return fail(ErrorCode::kGuestEnded, "the program has ended", module_->name);
  PendingCall call{.address = address};
  std::ranges::copy(arguments.integers, call.integers.begin());
  std::ranges::copy(arguments.floats, call.floats.begin());
  pending_call_ = call;
  if (phase_ == Phase::kNew) runs_program_ = module_->has_start;
  hart_.grant_gas(gas);
  return advance();
}

Result<InvocationResult> GuestInstance::resume(std::uint64_t gas) {
  const RunningMark mark(run_state_);
  if (!mark) return busy();
  if (has_lost_code()) return std::unexpected(memory::ExecutableMemory::lost());
  if (!resumable_) {
    return fail(ErrorCode::kInvalidArgument, "only a run that ended out of gas or interrupted can be resumed",
                module_->name);
  }
  hart_.grant_gas(add_gas(hart_.gas, gas));
  goes_on_ = phase_ != Phase::kNew;
  // A program that was left at caisson_ready() goes on as a program.
  if (phase_ == Phase::kCallable && !in_call_ && !pending_call_) phase_ = Phase::kStarting;
  return advance();
}

// Goes on from wherever the guest stands: loads, runs the program, makes the pending call.
Result<InvocationResult> GuestInstance::advance() {
  resumable_ = false;
  if (phase_ == Phase::kNew) {
    const std::uint64_t gas_before = hart_.gas;
    gas_fell_short_ = false;
    if (Result<void> loaded = load(); !loaded) {
      unload(gas_before);
      if (!gas_fell_short_) {
        pending_call_.reset();
        return std::unexpected(loaded.error());
      }
      resumable_ = true;
      return InvocationResult{ExitReason::kOutOfGas, module_->elf.entry, 0, hart_.gas};
    }
    phase_ = runs_program_ ? Phase::kStarting : Phase::kCallable;
  }
  for (;;) {
    if (phase_ == Phase::kCallable && pending_call_) {
      enter_call(pending_call_->address, CallArguments(pending_call_->integers, pending_call_->floats));
      pending_call_.reset();
    }
    const InvocationResult result = run();
    const bool differs = crosscheck_ != nullptr && !crosscheck_->difference().empty();
    // The program is ready for the call that started it.
    if (!differs && phase_ == Phase::kCallable && pending_call_) continue;
    return end_advance(result);
  }
}

// What a run's end makes of the guest.
Result<InvocationResult> GuestInstance::end_advance(const InvocationResult& result) {
  if (crosscheck_ != nullptr && !crosscheck_->difference().empty()) {
    phase_ = Phase::kEnded;
    pending_call_.reset();
    return fail(ErrorCode::kInternal, crosscheck_->difference(), module_->name);
  }
  const bool stopped = result.exit_reason == ExitReason::kOutOfGas || result.exit_reason == ExitReason::kInterrupted;
  const bool is_ready = phase_ == Phase::kCallable && !in_call_;
  resumable_ = stopped || is_ready;
  if (phase_ == Phase::kStarting && !stopped) {
    phase_ = Phase::kEnded;
    if (std::exchange(pending_call_, std::nullopt)) return ended_before_ready(result, module_->name);
  }
  if (result.exit_reason == ExitReason::kHalt || result.exit_reason == ExitReason::kSignalled) phase_ = Phase::kEnded;
  return result;
}

Result<void> GuestInstance::load() {
  if (personality_ != nullptr && runs_program_) return personality_->start(*this);
  personality_.reset();
  if (!mapped_) {
    if (Result<void> loaded = load_without_personality(); !loaded) return loaded;
  }
  hart_.pc = module_->elf.entry + load_bias_;
  hart_.x[riscv::kSp] = kStackTop - kEmptyArguments;
  return {};
}

Result<void> GuestInstance::load_without_personality() {
  if (module_->has_start && !module_->elf.interpreter.empty()) {
    return fail(ErrorCode::kUnsupported, "a dynamically linked program needs the Linux personality", module_->name);
  }
  if (Result<void> paid = charge_pages(options_.stack_size / memory::kPageSize); !paid) return paid;
  const memory::MapStatus status = memory_->map_anonymous(kStackTop - options_.stack_size, options_.stack_size,
                                                          memory::kRead | memory::kWrite, false, "[stack]");
  if (status != memory::MapStatus::kOk) {
    return fail(ErrorCode::kOutOfMemory, "the memory limit does not hold the stack; lower stack_size", module_->name);
  }
  const std::uint64_t bias = module_->elf.position_independent ? kPieBase : 0;
  if (Result<void> mapped = map_segments(*this, module_->elf, module_->bytes, bias, module_->name); !mapped)
    return mapped;
  // A program with a start relocates itself there.
  if (module_->elf.position_independent && !module_->has_start) {
    if (Result<void> relocated = apply_relative_relocations(*memory_, module_->elf, module_->bytes.span().size(), bias);
        !relocated) {
      Error error = relocated.error();
      error.where = module_->name;
      return std::unexpected(std::move(error));
    }
  }
  // Where nothing runs before the first call, nobody else sets gp, and the linker may have relaxed code to rely on it.
  if (module_->elf.global_pointer != 0) call_registers_[riscv::kGp] = module_->elf.global_pointer + bias;
  call_registers_[riscv::kSp] = kStackTop;
  mapped_ = true;
  return {};
}

// Back to before load(), which will be tried again.
void GuestInstance::unload(std::uint64_t gas_before) {
  memory_->unmap(memory::kLowestAddress, memory::kHighestAddress - memory::kLowestAddress);
  mapped_ = false;
  hart_.x.fill(0);
  hart_.pc = 0;
  hart_.gas = gas_before;
}

// caisson_ready(). What the program has on its stack stays, since pointers to it may live on; calls use what is below.
EcallOutcome GuestInstance::on_ready(GuestInstance& instance, riscv::HartState& hart, void*) {
  hart.x[riscv::kA0] = 0;
  if (instance.phase_ != Phase::kStarting) return EcallOutcome::kContinue;
  instance.phase_ = Phase::kCallable;
  instance.call_registers_[riscv::kSp] = hart.x[riscv::kSp] & ~(kStackAlignment - 1);
  instance.call_registers_[riscv::kGp] = hart.x[riscv::kGp];
  instance.call_registers_[riscv::kTp] = hart.x[riscv::kTp];
  // What started the program will not run again; an idle instance should be small.
  instance.execution_->release_code();
  instance.finish(ExitReason::kHostCall, 0, 0);
  return EcallOutcome::kExit;
}

}  // namespace caisson::runtime
