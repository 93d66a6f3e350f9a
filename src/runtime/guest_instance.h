// runtime/: instances, the run loop, ecalls and host functions.
//
// A GuestInstance is one live guest: memory, one hart (later several), the ecall table and the personality. run() drives a
// tier until the guest ends, and turns traps and ecalls into results. It must not know Linux: the personality does.
// Start reading at run() in guest_instance.cpp; the public face is include/caisson/instance.h.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caisson/instance.h"
#include "image/elf_image.h"
#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"
#include "runtime/personality.h"

namespace caisson::interp {
class Interpreter;
}

namespace caisson::runtime {

// What a Module holds: the file's bytes, what validation found in them, and their hash.
struct ModuleState {
  std::string name;
  std::vector<std::uint8_t> bytes;
  image::ElfImage elf;
  std::array<std::uint8_t, 32> content_hash{};
  std::vector<ExportedFunction> exports;
  std::vector<ImportedFunction> imports;
};

class GuestInstance {
 public:
  static Result<std::unique_ptr<GuestInstance>> create(std::shared_ptr<const ModuleState> module,
                                                       std::shared_ptr<memory::WindowPool> windows,
                                                       const InstanceOptions& options);
  ~GuestInstance();

  // Runs from hart().pc with the gas in hart() until something ends the run. Never throws.
  InvocationResult run();

  // --- for personalities and ecall handlers ---
  riscv::HartState& hart() { return hart_; }
  memory::AddressSpace& memory() { return *memory_; }
  const ModuleState& module() const { return *module_; }
  const InstanceOptions& options() const { return options_; }

  // Ends the run: the innermost run() returns this result (gas_remaining is filled in by run()).
  void finish(ExitReason reason, std::uint64_t exit_arg, std::uint64_t return_value);

  // The flat table; grows to hold `number`. Handlers stay until replaced.
  void set_ecall(std::uint64_t number, EcallEntry entry);

  // Asks run() to call Personality::on_slice after the current ecall (a signal became pending). Same thread.
  void request_slice() { slice_requested_ = true; }

  // Nanoseconds of the guest's monotonic clock: the host's, or with options().deterministic gas_used() (1 gas = 1 ns).
  std::uint64_t clock_ns() const;

  // exec: drops everything mapped, keeps hart gas; the caller maps the new program. Replaces the module.
  void replace_module(std::shared_ptr<const ModuleState> module);

 private:
  GuestInstance();
  friend class caisson::Instance;

  std::shared_ptr<const ModuleState> module_;
  InstanceOptions options_;
  std::unique_ptr<memory::AddressSpace> memory_;
  riscv::HartState hart_;
  std::unique_ptr<interp::Interpreter> interpreter_;
  std::shared_ptr<Personality> personality_;
  std::vector<EcallEntry> ecalls_;
  std::optional<InvocationResult> finished_;
  bool slice_requested_ = false;
  bool running_ = false;
};

// Maps the PT_LOAD segments of `elf` (validated; `bytes` is its file) at `bias`, charging 16 gas a page before any effect.
// Error codes: kOutOfMemory where the commit limit or the window does not hold it, kLimit where gas falls short.
Result<void> map_segments(GuestInstance& instance, const image::ElfImage& elf, std::span<const std::uint8_t> bytes, std::uint64_t bias);

}  // namespace caisson::runtime
