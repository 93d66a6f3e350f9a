// runtime/: instances, the run loop, ecalls and host functions.
//
// A GuestInstance is one live guest: memory, one hart (later several), the ecall table and the personality. run() drives a
// tier until the guest ends, and turns traps and ecalls into results. It must not know Linux: the personality does.
// Start reading at run() in guest_instance.cpp, then invocation.cpp (start, calls, resumption), prepared_call.cpp (calls that
// return at once), answer_ecall.cpp, host_call.cpp (host functions) and map_segments.cpp; docs/one-call.md follows one call. The
// public face is include/caisson/instance.h.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/instance.h"
#include "image/elf_image.h"
#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"
#include "runtime/crosscheck.h"
#include "runtime/ecall_table.h"
#include "runtime/execution.h"
#include "runtime/guest_snapshot.h"
#include "runtime/module_state.h"
#include "runtime/personality.h"
#include "runtime/running_mark.h"

namespace caisson::runtime {

class GuestInstance {
 public:
  // Who puts the program into memory: its module says what (create()), or a snapshot.
  enum class Loading : std::uint8_t { kByModule, kBySnapshot };

  // An instance of `module`. Without a personality the program's segments and a stack are mapped at once; with one, when
  // it begins. Errors: kInvalidArgument (options), kOutOfMemory, kLimit (gas), kUnsupported.
  static Result<std::unique_ptr<GuestInstance>> create(std::shared_ptr<const ModuleState> module,
                                                       std::shared_ptr<memory::WindowPool> windows,
                                                       const InstanceOptions& options,
                                                       std::shared_ptr<JitService> jit = nullptr,
                                                       Loading loading = Loading::kByModule);
  // The guest as it is between two runs. Errors: kBusy, kUnsupported (what cannot be kept, named by `where`), kOutOfMemory.
  Result<GuestSnapshot> snapshot();
  // A guest that goes on from there. `options` as those of the guest that it was taken of, but for its personality, which must be another.
  // Errors: create()'s, kInvalidArgument (a personality is missing), and what its restore() says.
  static Result<std::unique_ptr<GuestInstance>> restore(const GuestSnapshot& snapshot,
                                                        std::shared_ptr<memory::WindowPool> windows,
                                                        const InstanceOptions& options,
                                                        std::shared_ptr<JitService> jit = nullptr);
  ~GuestInstance();
  GuestInstance(const GuestInstance&) = delete;
  GuestInstance& operator=(const GuestInstance&) = delete;

  // Runs from hart().pc with the gas in hart() until something ends the run. Never throws.
  InvocationResult run();

  // --- behind caisson::Instance, whose contract is in caisson/instance.h ---
  Result<InvocationResult> start();
  Result<InvocationResult> invoke(std::string_view function, const CallArguments& arguments, std::uint64_t gas);
  // The same for a function that is known by its address, as linked.
  Result<InvocationResult> invoke_at(std::uint64_t address, const CallArguments& arguments, std::uint64_t gas);
  // The same with options().call_gas, quickest where the call returns at once.
  friend detail::PreparedResult detail::call_prepared(GuestInstance& guest, std::uint64_t address,
                                                      const std::uint64_t* registers, detail::CallShape shape);
  // Why the last one did not return.
  Error take_call_error() { return std::move(call_error_); }
  Result<InvocationResult> resume(std::uint64_t gas);
  void set_deadline(std::chrono::steady_clock::time_point deadline) { deadline_ = deadline; }
  std::string_view host_error() const { return host_error_; }

  // --- for personalities and ecall handlers ---
  riscv::HartState& hart() { return hart_; }
  memory::AddressSpace& memory() { return *memory_; }
  // Null where there is none (any more).
  const Personality* personality() const { return personality_.get(); }
  const ModuleState& module() const { return *module_; }
  // As checked, the stack size rounded up; without the personality.
  const InstanceOptions& options() const { return options_; }

  // Ends the run: the innermost run() returns this result (gas_remaining is filled in by run()).
  void finish(ExitReason reason, std::uint64_t exit_arg, std::uint64_t return_value);

  // The flat table; grows to hold `number`. Handlers stay until replaced.
  void set_ecall(std::uint64_t number, EcallEntry entry) {
    ecalls_.set(number, entry);
    known_function_ = {};
  }
  // Answers every number without an entry (a personality's ENOSYS); without it such an ecall ends the run with kEcall.
  void set_unknown_ecall(EcallEntry entry) { ecalls_.set_unknown(entry); }

  // Asks run() to call Personality::on_slice after the current ecall (a signal became pending). Same thread.
  void request_slice() { slice_requested_ = true; }

  // True where the run should end: interrupt() was called or the deadline passed. For handlers that wait; they return
  // EcallOutcome::kRestart then.
  bool stop_requested();

  // Nanoseconds of the guest's monotonic clock: the host's, or with options().deterministic gas_used() (1 gas = 1 ns).
  std::uint64_t clock_ns() const { return clock_ns(hart_); }
  std::uint64_t clock_ns(const riscv::HartState& hart) const;

  // Pays for `pages` of memory that are about to be granted. Error kLimit (nothing charged) where gas falls short: while a
  // program is loaded that becomes an exit kOutOfGas, and loading begins again when the run is resumed.
  Result<void> charge_pages(std::uint64_t pages);

  // exec: drops everything mapped, keeps hart gas; the caller maps the new program. Replaces the module.
  void replace_module(std::shared_ptr<const ModuleState> module);

  // What is added to the module's addresses; set by map_segments() for the module's own ELF.
  std::uint64_t load_bias() const { return load_bias_; }
  void set_load_bias(std::uint64_t bias) { load_bias_ = bias; }

  // What the tiers have done; for --stats.
  const Execution& execution() const { return *execution_; }
  // Null where nothing is compared (InstanceOptions::crosscheck).
  Crosscheck* crosscheck() { return crosscheck_.get(); }
  // For who maps the module: [base, base + size) are its executable pages, unchanged.
  void adopt_code(std::uint32_t base, std::uint32_t size) { execution_->adopt(module_->shared_code, base, size); }

  // A call of the function at `pc` that begins with x0…x5 as given and a0… as the arguments say, everything else zero; make_callable() came
  // before. Nothing: it returned, its value is a0. Else what ended the run. For a caller that runs no other call of this guest.
  std::optional<InvocationResult> call_here(std::uint64_t pc, const std::array<std::uint64_t, 6>& first_registers,
                                            std::span<const std::uint64_t> arguments, std::uint64_t gas);
  // For who puts memory and registers in place itself and calls run(): a run that returns to the trampoline has returned.
  void make_callable() {
    phase_ = Phase::kCallable;
    mapped_ = true;
    in_call_ = true;
  }
  // The same, where no run may follow: the next call clears what was put there.
  void note_registers_replaced() { floats_are_zero_ = false; }

  // --- for host functions (host_call.cpp) ---
  void bind_host_functions(std::vector<BoundHostFunction> functions);
  void set_host_error(std::string message) { host_error_ = std::move(message); }

 private:
  GuestInstance(std::shared_ptr<const ModuleState> module, const InstanceOptions& options,
                std::unique_ptr<memory::AddressSpace> memory);

  // How often the personality is asked for signals and timers, and the deadline is looked at; well below a millisecond.
  static constexpr std::uint64_t kSliceGas = 240'000;

  // guest_instance.cpp: the run loop.
  InvocationResult run_to_end();
  bool run_tier(std::uint64_t slice);
  void handle_tier_end();
  void handle_trap();
  void handle_fault();
  void end_slice();
  static std::uint64_t next_slice(void* context);
  bool deadline_passed() const {
    return deadline_ != std::chrono::steady_clock::time_point::max() && std::chrono::steady_clock::now() >= deadline_;
  }

  // answer_ecall.cpp.
  static baseline::EcallFunction ecall_function();
  static std::uint64_t answer_ecall(void* instance, riscv::HartState& hart);
  void handle_ecall();
  void handle_ecall_here();
  EcallOutcome call_handler(std::uint64_t number);
  bool handle_outcome(EcallOutcome outcome, std::uint64_t number, std::uint64_t gas_before);
  void undo_ecall(std::uint64_t gas_before);

  // snapshot.cpp.
  void adopt_loaded_code();
  bool is_code_of_module(const memory::Mapping& mapping) const;

  // invocation.cpp: the life of a guest.
  static EcallOutcome on_ready(GuestInstance& instance, riscv::HartState& hart, void* context);
  Result<InvocationResult> advance();
  Result<InvocationResult> end_advance(const InvocationResult& result);
  Result<void> load();
  Result<void> load_without_personality();
  void unload(std::uint64_t gas_before);

  // prepared_call.cpp: how calls and runs begin.
  void enter_call(std::uint64_t address, const CallArguments& arguments);
  void set_hart_up(std::uint64_t pc, CallArguments arguments);
  void begin_run();
  bool call_at_once(std::uint64_t address, CallArguments arguments, RunningMark& mark);
  bool call_behind_another_run(std::uint64_t address, const std::uint64_t* registers, detail::CallShape shape);
  template <class Run>
  bool ends_by_return(Run&& run);
  bool call_differently(std::uint64_t address, const CallArguments& arguments);
  bool go_on_with_call();

  std::shared_ptr<const ModuleState> module_;
  InstanceOptions options_;
  std::unique_ptr<memory::AddressSpace> memory_;
  alignas(64) riscv::HartState hart_;  // calls clear it by wide stores, which should not straddle cache lines
  std::unique_ptr<Execution> execution_;
  std::unique_ptr<Crosscheck> crosscheck_;
  std::uint64_t slice_start_ = 0;  // gas_used() when the current slice began
  std::shared_ptr<Personality> personality_;
  EcallTable ecalls_;
  // The host function that was called last, as ecalls_ has it.
  struct {
    std::uint64_t number = 0;
    void* context = nullptr;  // null: none
  } known_function_;
  std::vector<BoundHostFunction> host_functions_;
  std::optional<InvocationResult> finished_;
  std::optional<PendingCall> pending_call_;
  std::string host_error_;
  Error call_error_;  // of the last call_prepared() that did not return
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
  std::uint64_t load_bias_ = 0;
  // What calls inherit of the program: its stack below what it uses itself, its global and thread pointers. Calls copy them by pairs.
  std::array<std::uint64_t, 6> call_registers_{0, riscv::kTrampolineAddress};
  Phase phase_ = Phase::kNew;
  bool mapped_ = false;  // by load_without_personality()
  bool runs_program_ = false;  // the entry point comes first
  bool in_call_ = false;  // the trampoline ends the run
  bool floats_are_zero_ = false;  // those of hart_, as a call begins with them
  bool resumable_ = false;
  bool goes_on_ = false;  // the next run is the rest of the last one
  bool gas_fell_short_ = false;  // in charge_pages()
  bool slice_requested_ = false;
  std::atomic<RunState> run_state_{RunState::kIdle};
};

// Maps the PT_LOAD segments of `elf` (validated; `file` is what it was found in) at `bias`, charging 16 gas a page before any effect.
// `name` is what /proc/self/maps shows. Nothing stays mapped or charged where it fails.
// Error codes: kOutOfMemory where the commit limit or the window does not hold it, kLimit where gas falls short.
Result<void> map_segments(GuestInstance& instance, const image::ElfImage& elf, const ProgramBytes& file,
                          std::uint64_t bias, std::string_view name = {});

}  // namespace caisson::runtime
