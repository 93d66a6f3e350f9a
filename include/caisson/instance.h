// An Instance: one live guest — its memory, registers, gas and handles.
//
//   auto instance = engine.instantiate(module, {.memory_limit = 64 << 20}).value();
//   caisson::Result<int> sum = instance.call<int>("sum", 3, 4);
//
// Thread safety: one thread at a time, except interrupt(), which any thread may call at any time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/gas.h"
#include "caisson/module.h"
#include "caisson/result.h"

namespace caisson {

namespace runtime {
class GuestInstance;
class Personality;
}  // namespace runtime

// Which engine executes the guest. All give bit-identical results, memory, exits and gas.
enum class Tier : std::uint8_t { kAuto, kInterp };

struct InstanceOptions {
  // Gas for start(); calls bring their own.
  std::uint64_t gas = kUnlimitedGas;
  // Bytes of accessible guest memory, 4 KiB … 4 GiB; past it the guest gets ENOMEM.
  std::uint64_t memory_limit = std::uint64_t{1} << 32;
  // Stack of the program and of endpoint calls, bytes.
  std::uint64_t stack_size = std::uint64_t{8} << 20;
  Tier tier = Tier::kAuto;
  // Clock driven by gas, seeded randomness, fixed ids: two runs give identical output and gas.
  bool deterministic = false;
  std::uint64_t seed = 0;
  // Decode every instruction each time it runs instead of caching (to measure the cache), or check each hit.
  enum class DecodeCache : std::uint8_t { kOn, kOff, kVerify } decode_cache = DecodeCache::kOn;
  // Who answers system calls, e.g. linux_personality(); none: only host functions are answered.
  std::shared_ptr<runtime::Personality> personality;
};

class Instance {
 public:
  Instance(Instance&&) noexcept;
  Instance& operator=(Instance&&) noexcept;
  ~Instance();

  // Runs an ELF that has `_start` until it calls caisson_ready() or ends. kHostCall/0 = ready.
  Result<InvocationResult> start();

  // Calls an exported function with up to six integer arguments and at most `gas`. An ELF with `_start` is started first.
  Result<InvocationResult> invoke(std::string_view function, std::span<const std::uint64_t> arguments = {}, std::uint64_t gas = kUnlimitedGas);

  // Goes on after kOutOfGas or kInterrupted with `gas` more, to the same result and total as if never stopped.
  Result<InvocationResult> resume(std::uint64_t gas = kUnlimitedGas);

  // Stops a run from any thread: it ends with kInterrupted at the next block entry (within about 0.1 ms).
  void interrupt();

  // Gas used since the instance was made, all runs together.
  std::uint64_t gas_used() const;
  // The guest's program counter and integer registers (0…31), as of the last exit.
  std::uint64_t program_counter() const;
  std::uint64_t integer_register(unsigned number) const;

  // Copies guest memory; false where the guest itself could not read or write all of it.
  bool read_memory(std::uint64_t address, std::span<std::uint8_t> to) const;
  bool write_memory(std::uint64_t address, std::span<const std::uint8_t> from);

  std::uint64_t committed_bytes() const;
  std::uint64_t peak_committed_bytes() const;

  // Typed call: integers, bool, float and double as arguments and result.
  template <class ReturnType, class... Arguments>
  Result<ReturnType> call(std::string_view function, Arguments... arguments);

  explicit Instance(std::unique_ptr<runtime::GuestInstance> guest);
  runtime::GuestInstance& guest() { return *guest_; }

 private:
  std::unique_ptr<runtime::GuestInstance> guest_;
};

}  // namespace caisson
