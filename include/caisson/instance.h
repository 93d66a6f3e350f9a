// An Instance: one live guest — its memory, registers, gas and handles.
//
//   auto instance = engine.instantiate(module, {.memory_limit = 64 << 20}).value();
//   caisson::Result<int> sum = instance.call<int>("sum", 3, 4);
//
// Thread safety: one thread at a time, except interrupt(), which any thread may call at any time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

#include "caisson/detail/abi.h"
#include "caisson/gas.h"
#include "caisson/interposer.h"
#include "caisson/module.h"
#include "caisson/result.h"

namespace caisson {

namespace runtime {
class GuestInstance;
class InstanceBody;
class Personality;
}  // namespace runtime

// Which engine executes the guest. All give bit-identical results, memory, exits and gas.
enum class Tier : std::uint8_t {
  kAuto,  // interprets a block the first time, compiles it the second time, and has what is hot optimised in the background
  kInterp,
  kBaseline,  // compiles before the first time; x86-64-v3 processors only (kUnsupported)
  kOptimized,  // the same by the optimising compiler, as far as it goes; needs libcaisson-optimized.so (kNotFound)
};

struct InstanceOptions {
  // Gas for instantiation and start(), and for each call(); invoke() brings its own.
  std::uint64_t gas = kUnlimitedGas;
  std::uint64_t call_gas = kUnlimitedGas;
  // Bytes of accessible guest memory, 4 KiB … 4 GiB; past it the guest gets ENOMEM.
  std::uint64_t memory_limit = std::uint64_t{1} << 32;
  // Stack of the program and of endpoint calls: 4 KiB … 1 GiB, rounded up to pages.
  std::uint64_t stack_size = std::uint64_t{8} << 20;
  Tier tier = Tier::kAuto;
  // Clock driven by gas, seeded randomness, fixed ids: two runs give identical output and gas.
  bool deterministic = false;
  std::uint64_t seed = 0;
  // Decode every instruction each time it runs instead of caching (to measure the cache), or check each hit.
  enum class DecodeCache : std::uint8_t { kOn, kOff, kVerify } decode_cache = DecodeCache::kOn;
  // Runs the interpreter beside the tier and compares both: 0 = no, 1 = at every block's exit, N = about every N gas, at most 240 000.
  // At the first difference start(), invoke() or resume() is an Error kInternal that reports it, and the program has ended.
  // What host functions and system calls do is done once. See docs/crosscheck.md.
  std::uint64_t crosscheck = 0;
  // Who answers system calls, e.g. make_linux_personality(); none: only host functions are answered. It begins with the program's
  // `_start`: a module without one has no use for it.
  std::shared_ptr<runtime::Personality> personality;
  // Sees system calls before the personality, and answers those it likes: see caisson/interposer.h. Forks have it too.
  SystemCallInterposer interposer;
};

// The arguments of a call as the guest's calling convention places them.
struct CallArguments {
  std::span<const std::uint64_t> integers;  // a0…a5: at most six
  std::span<const std::uint64_t> floats;  // fa0…fa7: at most eight; a float is NaN-boxed

  explicit CallArguments(std::span<const std::uint64_t> integers, std::span<const std::uint64_t> floats = {})
      : integers(integers), floats(floats) {}
};

// A function of one instance, found and checked once, to be called often: see Instance::prepare().
template <class Signature>
class PreparedCall;

class Instance {
 public:
  Instance(Instance&&) noexcept;
  Instance& operator=(Instance&&) noexcept;
  ~Instance();

  // Runs a program from its entry point until it calls caisson_ready() or ends. kHostCall/0 = ready.
  // Errors: kInvalidArgument (no entry point, or started before), kBusy, and what loading can meet (kOutOfMemory …).
  Result<InvocationResult> start();

  // Calls an exported function with up to six integer arguments and at most `gas`; kHostCall/0 = it returned, return_value is
  // a0. A program (Module::has_start) that was not started is started first, on the same gas. If the run ends otherwise,
  // the next call starts afresh on the memory as it was left, unless the program itself ended.
  // Errors: kNotFound (no such function), kInvalidArgument (too many arguments), kGuestEnded (the program ended instead of
  // calling caisson_ready(), or ended in an earlier call), kBusy (called by a host function of this very instance).
  Result<InvocationResult> invoke(std::string_view function, std::span<const std::uint64_t> arguments = {},
                                  std::uint64_t gas = kUnlimitedGas);
  Result<InvocationResult> invoke(std::string_view function, const CallArguments& arguments, std::uint64_t gas);

  // Goes on after kOutOfGas or kInterrupted with `gas` more, to the same result and total as if never stopped.
  // Errors: kInvalidArgument (the last run ended otherwise), kBusy.
  Result<InvocationResult> resume(std::uint64_t gas = kUnlimitedGas);

  // Stops a run from any thread: it ends with kInterrupted at the next block entry (within about 0.1 ms). If none is under
  // way, the next one stops at once.
  void interrupt();

  // From this moment on runs end with kInterrupted (within about 1 ms of guest execution); without an argument: never.
  using Clock = std::chrono::steady_clock;
  void set_deadline(Clock::time_point deadline = Clock::time_point::max());

  // Gas used since the instance was made, all runs together.
  std::uint64_t gas_used() const;
  // The guest's program counter, integer registers and floating-point registers (0…31), as of the last exit.
  std::uint64_t program_counter() const;
  std::uint64_t integer_register(unsigned number) const;
  std::uint64_t float_register(unsigned number) const;

  // Why a host function ended the last run (kHostCall with its number); else empty.
  std::string_view host_error() const;

  // Copies guest memory; false where the guest itself could not read or write all of it.
  bool read_memory(std::uint64_t address, std::span<std::uint8_t> to) const;
  bool write_memory(std::uint64_t address, std::span<const std::uint8_t> from);

  std::uint64_t committed_bytes() const;
  std::uint64_t peak_committed_bytes() const;

  // Typed call with up to six integers and bools and eight floats and doubles, with InstanceOptions::call_gas:
  //   caisson::Result<double> mean = instance.call<double>("mean", address, std::uint64_t{100});
  // Errors as invoke(), and kGuestEnded where the function did not return: the message says how it ended.
  template <class ReturnType, class... Arguments>
  Result<ReturnType> call(std::string_view function, Arguments... arguments);

  // The same function again and again, without looking it up: the way to call small functions.
  //   caisson::PreparedCall<int(int, int)> add = instance.prepare<int(int, int)>("add").value();
  //   const caisson::Result<int> sum = add(3, 4);
  // The instance may be moved but must outlive it. Types as for call(). Errors: kNotFound.
  template <class Signature>
  Result<PreparedCall<Signature>> prepare(std::string_view function);

  // A second instance in the same state, which goes its own way from here. The first fork puts the memory where forks can share it; each
  // further one takes microseconds whatever the instance's size, and costs what it changes. A fork takes a window when it is first used and
  // gives it up between its runs where many forks have one (EngineOptions::resident_forks), unless calls of it were prepared. Under a
  // personality the fork is a program of its own: a Linux process with its descriptors, as far as they can be saved (docs/process.md).
  //   caisson::Instance copy = instance.fork().value();
  // Errors: kBusy (running), kUnsupported (`where` names what holds the instance: shared memory, a file, crosscheck), kOutOfMemory.
  Result<Instance> fork();

  explicit Instance(std::unique_ptr<runtime::InstanceBody> body);
  // For other parts of the library. The guest in its window, which a fork takes here. Errors: kOutOfMemory, and those of its personality.
  Result<runtime::GuestInstance*> resident_guest();
  runtime::InstanceBody& body() { return *body_; }
  // The same of an instance that is no fork.
  runtime::GuestInstance& guest();

 private:
  // invoke() with call_gas; whatever is not a return becomes an Error.
  Result<void> call_registers(std::string_view function, const CallArguments& arguments);
  Result<std::uint64_t> find_function(std::string_view function) const;
  // The guest, which keeps its window from now on.
  Result<runtime::GuestInstance*> pin();

  std::unique_ptr<runtime::InstanceBody> body_;
};

namespace detail {

// The registers that arguments of these types go to.
template <class... Arguments>
struct ArgumentRegisters {
  static_assert((... && (IntegerValue<Arguments> || FloatValue<Arguments>)),
                "arguments are integers, bool, float or double; pass memory with write_memory() and its address");
  static constexpr std::size_t kFloats = (std::size_t{0} + ... + (FloatValue<Arguments> ? 1 : 0));
  static constexpr std::size_t kIntegers = sizeof...(Arguments) - kFloats;
  static_assert(kIntegers <= 6 && kFloats <= 8, "at most six integers and eight floats");

  explicit ArgumentRegisters(Arguments... arguments) {
    std::size_t integer = 0, floating = 0;
    const auto place = [&]<class Argument>(Argument argument) {
      if constexpr (FloatValue<Argument>) {
        registers[kIntegers + floating++] = to_float_register(argument);
      } else {
        registers[integer++] = to_register(argument);
      }
    };
    (place(arguments), ...);
  }
  CallArguments as_call() const { return CallArguments({registers, kIntegers}, {registers + kIntegers, kFloats}); }

  std::uint64_t registers[kIntegers + kFloats + 1];  // the floats behind the integers
};

// How many of the registers that a call is given are integers and floats, and where its result is: small enough for one register.
enum class ReturnRegister : bool { kInteger, kFloat };  // a0, fa0
struct CallShape {
  std::uint8_t integers = 0, floats = 0;
  ReturnRegister return_register = ReturnRegister::kInteger;
};
// Calls the function at `address` of the module with InstanceOptions::call_gas. Where it does not return, take_call_error() says why.
struct PreparedResult {
  bool returned = false;
  std::uint64_t value = 0;  // of the return register
};
PreparedResult call_prepared(runtime::GuestInstance& guest, std::uint64_t address, const std::uint64_t* registers,
                             CallShape shape);
Error take_call_error(runtime::GuestInstance& guest);

}  // namespace detail

template <class ReturnType, class... Arguments>
class PreparedCall<ReturnType(Arguments...)> {
 public:
  // Errors as Instance::call() but kNotFound.
  Result<ReturnType> operator()(Arguments... arguments) const {
    using Registers = detail::ArgumentRegisters<Arguments...>;
    constexpr detail::CallShape kShape = {.integers = Registers::kIntegers,
                                          .floats = Registers::kFloats,
                                          .return_register = detail::FloatValue<ReturnType>
                                                                 ? detail::ReturnRegister::kFloat
                                                                 : detail::ReturnRegister::kInteger};
    const Registers given(arguments...);
    const auto [returned, value] = detail::call_prepared(*guest_, address_, given.registers, kShape);
    if (!returned) [[unlikely]]
      return failure(*guest_);
    if constexpr (detail::FloatValue<ReturnType>) {
      return detail::from_float_register<ReturnType>(value);
    } else if constexpr (!std::is_void_v<ReturnType>) {
      return detail::from_register<ReturnType>(value);
    } else {
      return {};
    }
  }

 private:
  friend class Instance;
  PreparedCall(runtime::GuestInstance& guest, std::uint64_t address) : guest_(&guest), address_(address) {}
  // Apart, so that a call is small enough to be inlined.
  [[gnu::noinline]] static Result<ReturnType> failure(runtime::GuestInstance& guest) {
    return std::unexpected(detail::take_call_error(guest));
  }

  runtime::GuestInstance* guest_;
  std::uint64_t address_;
};

template <class Signature>
Result<PreparedCall<Signature>> Instance::prepare(std::string_view function) {
  const Result<std::uint64_t> address = find_function(function);
  if (!address) return std::unexpected(address.error());
  const Result<runtime::GuestInstance*> guest = pin();
  if (!guest) return std::unexpected(guest.error());
  return PreparedCall<Signature>(**guest, *address);
}

template <class ReturnType, class... Arguments>
Result<ReturnType> Instance::call(std::string_view function, Arguments... arguments) {
  const detail::ArgumentRegisters<Arguments...> registers(arguments...);
  if (const Result<void> returned = call_registers(function, registers.as_call()); !returned) {
    return std::unexpected(returned.error());
  }
  if constexpr (detail::FloatValue<ReturnType>) {
    return detail::from_float_register<ReturnType>(float_register(10));
  } else if constexpr (!std::is_void_v<ReturnType>) {
    return detail::from_register<ReturnType>(integer_register(10));
  } else {
    return {};
  }
}

}  // namespace caisson
