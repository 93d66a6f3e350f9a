// Who answers an ecall, and what happens when a guest traps.
//
// runtime/ owns the run loop and the flat table of ecall handlers; a Personality (linux/, later the capability kernel) fills
// the table and decides about traps. Host functions of the embedder are entries of the same table; an interposer (interposition.cpp) is
// asked before those of a personality.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caisson/result.h"
#include "isa/riscv/hart_state.h"

namespace caisson::runtime {

class GuestInstance;

// What a handler did with an ecall.
enum class EcallOutcome : std::uint8_t {
  kContinue,  // done, a0 (and memory) written; the run goes on behind the ecall
  kJumped,  // done, the handler set pc and registers itself (sigreturn, execve)
  kOutOfGas,  // the handler's charge() failed before any effect: the ecall is undone (pc stays at it, its own weight is given back)
  kExit,  // the handler called GuestInstance::finish(); the run ends with that result (pc behind the ecall)
  kUnclaimed,  // nobody answers this number: exit kEcall
  kFault,  // the handler met what the guest itself could not access and set hart.trap: the guest's own fault, at the ecall
  kRestart,  // as kOutOfGas, but the run goes on: the ecall is made again (a wait that was stopped by HartState::interrupt)
};

// x[17] is the number, x[10..15] the arguments; the result goes to x[10]. hart.pc is at the ecall.
using EcallHandler = EcallOutcome (*)(GuestInstance& instance, riscv::HartState& hart, void* context);

// One slot of the flat table, read with one load by number.
struct EcallEntry {
  EcallHandler handler = nullptr;
  void* context = nullptr;
};

// Numbers 0 … kFirstHostFunction-1 belong to personalities, host functions follow (design: guest-riscv, "Host functions").
inline constexpr std::uint64_t kKernelBase = 0x1000;  // capability operations
inline constexpr std::uint64_t kReadyNumber = 0x103F;  // caisson_ready()
inline constexpr std::uint64_t kFirstHostFunction = 0x1040;

class Personality {
 public:
  virtual ~Personality() = default;

  // Builds the program's first state inside an empty instance: maps the module (and its interpreter), stack, argv, auxv;
  // sets pc and sp; fills GuestInstance::ecall_table entries; charges gas for memory granted.
  virtual Result<void> start(GuestInstance& instance) = 0;

  // What the personality knows of the program, as bytes for restore(): all but memory and registers, which the caller keeps. Between
  // runs only; nothing changes. Errors: kUnsupported where the program holds something that cannot be kept (`where` names it).
  virtual Result<std::vector<std::uint8_t>> save(GuestInstance&) {
    return fail(ErrorCode::kUnsupported, "this personality cannot save a program");
  }
  // Instead of start(): fills the ecall table and goes on with the program that save() gave `state` of. Maps nothing and looks at no
  // register: the caller puts memory, registers and gas_used() in place, before or afterwards. `state` may be any bytes. Where it
  // fails the instance must not run.
  virtual Result<void> restore(GuestInstance&, std::span<const std::uint8_t> /*state*/) {
    return fail(ErrorCode::kUnsupported, "this personality cannot restore a program");
  }

  // One like this that belongs to no instance yet, for a fork; null where there can be none.
  virtual std::shared_ptr<Personality> make_another() const { return nullptr; }

  // A synchronous trap (fault, illegal encoding, ebreak, misaligned atomic). True: state was changed so that the guest can go on
  // (a signal handler was entered). False with GuestInstance::finish() called: the run ends so; false without: the default exit.
  virtual bool on_trap(GuestInstance& instance, riscv::HartState& hart, const riscv::Trap& trap) = 0;

  // Called at every slice end (about every 240 000 gas) and behind each ecall for which `pending` was raised: deliver signals, timers.
  virtual void on_slice(GuestInstance& instance, riscv::HartState& hart) = 0;
  // Whether on_slice() would have something to do now. Slices that nobody wants may end without a call.
  virtual bool wants_slices() const { return true; }
  // name → count for --stats: calls answered, and numbers that no handler knows.
  virtual std::vector<std::pair<std::string, std::uint64_t>> call_counts() const { return {}; }
  virtual std::vector<std::pair<std::string, std::uint64_t>> unknown_call_counts() const { return {}; }
};

}  // namespace caisson::runtime
