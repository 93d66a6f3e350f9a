// Host functions: functions of the embedder that a guest calls.
//
//   engine.host_function("add", [](int a, int b) { return a + b; });
//   engine.host_function("total", [](std::span<const std::int32_t> values) { … return sum; }, /*gas=*/100);
//   engine.host_function("log", [](caisson::Caller& caller, std::string_view line) { … });
//
// The guest declares them with caisson/guest.h: CAISSON_IMPORT(int, add, int, int);
//
//   guest's C type                         callable's type
//   integers, bool, float, double          the type of the same width and signedness
//   any pointer                            std::uint64_t: the guest's address, used through Caller
//   const char*                            std::string_view or std::string (NUL-terminated, at most 1 MiB)
//   const T*, size_t                       std::span<const T>: a copy
//   T*, size_t                             std::span<T>: a copy that is written back after the call
//
// Everything is copied once, before the callable runs: another hart cannot change what was checked. A pointer that the guest
// itself could not use ends the run with kPageFault there, as the guest's own access would. Copying costs 1 gas per 16 bytes
// each way, on top of what the function declares; both are charged before the callable runs. Where they fall short the run
// ends with kOutOfGas at the call, which is made again, and paid once, by resume().
//
// A callable that throws, or that calls Caller::fail(), ends the run with ExitReason::kHostCall and exit_arg = the function's
// number (0x1040 + n); Instance::host_error() says why.
//
// Thread safety: one callable serves all instances of an engine; if they run on several threads it must allow that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace caisson {

class Caller;

namespace runtime {
class GuestInstance;
enum class EcallOutcome : std::uint8_t;
}  // namespace runtime

namespace detail {
template <class T>
struct Argument;
template <class Text>
struct StringArgument;
template <class Callable, bool kTakesCaller, class Return, class... Parameters>
struct Binding;
template <class T>
void give_result(Caller& caller, const T& result);
}  // namespace detail

// The longest string and the largest span that a host function is given, bytes; longer ones end the run as fail() does.
inline constexpr std::size_t kLongestHostString = std::size_t{1} << 20;
inline constexpr std::size_t kLargestHostSpan = std::size_t{64} << 20;

// The guest that is calling, for the duration of the call. A callable gets it as an optional first parameter.
class Caller {
 public:
  // Copies guest memory; false where the guest itself could not read or write all of it.
  bool read_memory(std::uint64_t address, std::span<std::uint8_t> to) const;
  bool write_memory(std::uint64_t address, std::span<const std::uint8_t> from);

  // Pays more than the function declares. To be called before any effect: where it returns false the callable should return
  // at once (its result is ignored), the run ends with kOutOfGas, and resume() makes the whole call again.
  [[nodiscard]] bool charge(std::uint64_t gas);
  std::uint64_t gas_remaining() const;

  // Ends the run once the callable returns; its result and its spans are not given to the guest.
  void fail(std::string_view message) noexcept;

  Caller(runtime::GuestInstance& guest, std::uint64_t* integers, std::uint64_t* floats)
      : guest_(guest), integers_(integers), floats_(floats) {}
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  runtime::EcallOutcome outcome() const { return outcome_; }

 private:
  template <class T>
  friend struct detail::Argument;
  template <class Text>
  friend struct detail::StringArgument;
  template <class Callable, bool kTakesCaller, class Return, class... Parameters>
  friend struct detail::Binding;
  template <class T>
  friend void detail::give_result(Caller& caller, const T& result);

  bool goes_on() const { return outcome_ == runtime::EcallOutcome{}; }
  bool take_string(std::uint64_t address, std::string& to);
  bool accept_span(std::uint64_t count, std::size_t element_size);
  bool take_bytes(std::uint64_t address, void* to, std::size_t length, bool writes_back);
  bool give_bytes(std::uint64_t address, const void* from, std::size_t length);
  bool charge_copy(std::uint64_t length);
  bool page_fault(std::uint64_t address, bool is_write);

  runtime::GuestInstance& guest_;
  std::uint64_t* integers_;  // a0…a7
  std::uint64_t* floats_;  // fa0…fa7
  runtime::EcallOutcome outcome_{};
};

}  // namespace caisson
