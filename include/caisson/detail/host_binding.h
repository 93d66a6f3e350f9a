// From a C++ callable to a host function: which registers its parameters come from, how they are copied and given back.
// Compile-time machinery behind Engine::host_function(); what it accepts is described in caisson/host.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "caisson/detail/abi.h"
#include "caisson/host.h"
#include "caisson/result.h"

namespace caisson::detail {

// What one register, or the result, holds. kRecord is a type of which only a pointer can be passed.
enum class ValueKind : std::uint8_t { kVoid, kSigned, kUnsigned, kFloat, kPointer, kRecord };

// A parameter or result as the calling convention sees it; a signature is the result followed by the parameters.
struct AbiValue {
  ValueKind kind = ValueKind::kVoid;
  std::uint8_t size = 0;  // bytes
  ValueKind target = ValueKind::kVoid;  // of a pointer: what it points to
  std::uint8_t target_size = 0;  // 0 for void and records
  bool target_is_const = false;

  friend bool operator==(const AbiValue&, const AbiValue&) = default;
};

// A callable that is registered under a name.
struct HostFunction {
  std::string name;
  std::vector<AbiValue> signature;
  std::uint64_t gas = 0;
  void (*invoke)(Caller& caller, void* callable) = nullptr;
  std::shared_ptr<void> callable;
};

template <class T>
constexpr AbiValue abi_value() {
  if constexpr (std::is_void_v<T>) {
    return {};
  } else if constexpr (FloatValue<T>) {
    return {.kind = ValueKind::kFloat, .size = sizeof(T)};
  } else if constexpr (IntegerValue<T>) {
    const bool is_signed = std::is_signed_v<T> && !std::same_as<T, char>;  // as on RISC-V
    return {.kind = is_signed ? ValueKind::kSigned : ValueKind::kUnsigned, .size = sizeof(T)};
  } else {
    return {.kind = ValueKind::kRecord};
  }
}

template <class Target>
constexpr AbiValue abi_pointer() {
  const AbiValue target = abi_value<std::remove_const_t<Target>>();
  return {.kind = ValueKind::kPointer,
          .size = 8,
          .target = target.kind,
          .target_size = target.size,
          .target_is_const = std::is_const_v<Target>};
}

// One parameter while a call runs: taken from registers (and memory), handed to the callable, given back to memory.
// take() and give_back() return false where the call must not go on; the Caller then knows why.
template <class T>
struct Argument {
  static_assert(sizeof(T) == 0,
                "a host function takes integers, bool, float, double, std::string, std::string_view, "
                "std::span of trivially copyable elements, and a leading caisson::Caller&");
};

template <IntegerValue T>
struct Argument<T> {
  static constexpr unsigned kIntegers = 1, kFloats = 0;
  T value{};

  static void describe(std::vector<AbiValue>& signature) { signature.push_back(abi_value<T>()); }
  bool take(Caller& caller, unsigned integer, unsigned) {
    value = from_register<T>(caller.integers_[integer]);
    return true;
  }
  T get() { return value; }
  bool give_back(Caller&) { return true; }
};

template <FloatValue T>
struct Argument<T> {
  static constexpr unsigned kIntegers = 0, kFloats = 1;
  T value{};

  static void describe(std::vector<AbiValue>& signature) { signature.push_back(abi_value<T>()); }
  bool take(Caller& caller, unsigned, unsigned floating) {
    value = from_float_register<T>(caller.floats_[floating]);
    return true;
  }
  T get() { return value; }
  bool give_back(Caller&) { return true; }
};

template <class Text>
struct StringArgument {
  static constexpr unsigned kIntegers = 1, kFloats = 0;
  std::string value;

  static void describe(std::vector<AbiValue>& signature) { signature.push_back(abi_pointer<const char>()); }
  bool take(Caller& caller, unsigned integer, unsigned) { return caller.take_string(caller.integers_[integer], value); }
  Text get() { return std::move(value); }
  bool give_back(Caller&) { return true; }
};

template <>
struct Argument<std::string> : StringArgument<std::string> {};

template <>
struct Argument<std::string_view> : StringArgument<std::string_view> {
  std::string_view get() { return value; }
};

// Bytes for a copied span; small ones stay within the call's frame.
class SpanBuffer {
 public:
  std::byte* reserve(std::size_t length) {
    if (length <= inline_.size()) return inline_.data();
    heap_ = std::make_unique_for_overwrite<std::byte[]>(length);
    return heap_.get();
  }

 private:
  alignas(std::max_align_t) std::array<std::byte, 256> inline_;
  std::unique_ptr<std::byte[]> heap_;
};

template <class Element>
struct Argument<std::span<Element>> {
  using Value = std::remove_const_t<Element>;
  static_assert(std::is_trivially_copyable_v<Value> && alignof(Value) <= alignof(std::max_align_t),
                "a guest's bytes are copied into the span's elements");
  static_assert(!std::is_same_v<Value, bool>, "a guest's bytes need not be valid bools; take std::uint8_t");
  static constexpr unsigned kIntegers = 2, kFloats = 0;
  static constexpr bool kWritesBack = !std::is_const_v<Element>;
  SpanBuffer buffer;
  std::byte* bytes = nullptr;
  std::uint64_t address = 0;
  std::size_t count = 0;

  static void describe(std::vector<AbiValue>& signature) {
    signature.push_back(abi_pointer<Element>());
    signature.push_back(abi_value<std::uint64_t>());
  }
  bool take(Caller& caller, unsigned integer, unsigned) {
    address = caller.integers_[integer];
    if (!caller.accept_span(caller.integers_[integer + 1], sizeof(Element))) return false;
    count = caller.integers_[integer + 1];
    bytes = buffer.reserve(count * sizeof(Element));
    return caller.take_bytes(address, bytes, count * sizeof(Element), kWritesBack);
  }
  std::span<Element> get() { return {std::launder(reinterpret_cast<Element*>(bytes)), count}; }
  bool give_back(Caller& caller) { return !kWritesBack || caller.give_bytes(address, bytes, count * sizeof(Element)); }
};

// The result of a callable: a plain value, nothing, or a Result of one (an Error ends the run as Caller::fail() does).
template <class T>
struct Returned {
  static_assert(IntegerValue<T> || FloatValue<T> || std::is_void_v<T>,
                "a host function returns void, an integer, bool, float, double, or caisson::Result of one");
  using Value = T;
};

template <class T>
struct Returned<Result<T>> : Returned<T> {};

template <class T>
void give_result(Caller& caller, const T& result) {
  if constexpr (FloatValue<T>) {
    caller.floats_[0] = to_float_register(result);
  } else {
    caller.integers_[0] = to_register(result);
  }
}

template <class T>
void give_result(Caller& caller, const Result<T>& result) {
  if constexpr (!std::is_void_v<T>) give_result(caller, *result);
}

template <class T>
bool accept_result(Caller&, const T&) {
  return true;
}

template <class T>
bool accept_result(Caller& caller, const Result<T>& result) {
  if (!result) caller.fail(result.error().to_string());
  return result.has_value();
}

template <class Callable, bool kTakesCaller, class Return, class... Parameters>
struct Binding {
  static constexpr unsigned kIntegers = (0U + ... + Argument<std::remove_cvref_t<Parameters>>::kIntegers);
  static constexpr unsigned kFloats = (0U + ... + Argument<std::remove_cvref_t<Parameters>>::kFloats);
  static_assert(kIntegers <= 6 && kFloats <= 8, "arguments travel in a0...a5 and fa0...fa7; a span takes two");
  static_assert(
      (... && !(std::is_lvalue_reference_v<Parameters> && !std::is_const_v<std::remove_reference_t<Parameters>>)),
      "a host function gets copies: take parameters by value or const reference, and memory to change as std::span<T>");

  static std::vector<AbiValue> signature() {
    std::vector<AbiValue> values{abi_value<typename Returned<Return>::Value>()};
    (Argument<std::remove_cvref_t<Parameters>>::describe(values), ...);
    return values;
  }

  static void invoke(Caller& caller, void* callable) {
    try {
      run(caller, *static_cast<Callable*>(callable), std::index_sequence_for<Parameters...>());
    } catch (const std::exception& exception) {
      caller.fail(exception.what());
    } catch (...) {
      caller.fail("the host function threw something that is not a std::exception");
    }
  }

 private:
  struct Position {
    unsigned integer, floating;
  };

  // Where each parameter's first register lies: integers and floats are counted apart.
  static constexpr std::array<Position, sizeof...(Parameters) + 1> kPositions = [] {
    std::array<Position, sizeof...(Parameters) + 1> positions{};
    [[maybe_unused]] std::size_t index = 0;
    ((positions[index + 1] = {positions[index].integer + Argument<std::remove_cvref_t<Parameters>>::kIntegers,
                              positions[index].floating + Argument<std::remove_cvref_t<Parameters>>::kFloats},
      ++index),
     ...);
    return positions;
  }();

  template <std::size_t... kIndex>
  static void run(Caller& caller, Callable& callable, std::index_sequence<kIndex...>) {
    std::tuple<Argument<std::remove_cvref_t<Parameters>>...> arguments;
    if (!(... && std::get<kIndex>(arguments).take(caller, kPositions[kIndex].integer, kPositions[kIndex].floating)))
      return;
    const auto call = [&]() -> Return {
      if constexpr (kTakesCaller) {
        return callable(caller, std::get<kIndex>(arguments).get()...);
      } else {
        return callable(std::get<kIndex>(arguments).get()...);
      }
    };
    const auto give_back = [&] { return caller.goes_on() && (... && std::get<kIndex>(arguments).give_back(caller)); };
    if constexpr (std::is_void_v<Return>) {
      call();
      give_back();
    } else {
      const Return result = call();
      if (accept_result(caller, result) && give_back()) give_result(caller, result);
    }
  }
};

// The Binding of a callable, from its type: a function, or an object with one operator().
template <class Callable, class Signature>
struct BindingOf;

template <class Callable, class Return, class... Parameters>
struct BindingOf<Callable, Return(Parameters...)> {
  using Type = Binding<Callable, false, Return, Parameters...>;
};

template <class Callable, class Return, class... Parameters>
struct BindingOf<Callable, Return(Caller&, Parameters...)> {
  using Type = Binding<Callable, true, Return, Parameters...>;
};

template <class Member>
struct MemberSignature;

template <class Class, class Return, class... Parameters>
struct MemberSignature<Return (Class::*)(Parameters...)> {
  using Type = Return(Parameters...);
};
template <class Class, class Return, class... Parameters>
struct MemberSignature<Return (Class::*)(Parameters...) const> {
  using Type = Return(Parameters...);
};
template <class Class, class Return, class... Parameters>
struct MemberSignature<Return (Class::*)(Parameters...) noexcept> {
  using Type = Return(Parameters...);
};
template <class Class, class Return, class... Parameters>
struct MemberSignature<Return (Class::*)(Parameters...) const noexcept> {
  using Type = Return(Parameters...);
};

template <class Callable>
struct CallableSignature : MemberSignature<decltype(&Callable::operator())> {};

template <class Return, class... Parameters>
struct CallableSignature<Return (*)(Parameters...)> {
  using Type = Return(Parameters...);
};
template <class Return, class... Parameters>
struct CallableSignature<Return (*)(Parameters...) noexcept> {
  using Type = Return(Parameters...);
};

template <class Callable>
HostFunction make_host_function(std::string name, Callable&& callable, std::uint64_t gas) {
  using Stored = std::decay_t<Callable>;
  using Bound = BindingOf<Stored, typename CallableSignature<Stored>::Type>::Type;
  return {std::move(name), Bound::signature(), gas, &Bound::invoke,
          std::make_shared<Stored>(std::forward<Callable>(callable))};
}

}  // namespace caisson::detail
