// Host functions: which types they take, how arguments travel, what a hostile or failing call does, and what it costs.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "gas/gas_schedule.h"
#include "memory/address_space.h"
#include "runtime/guest_layout.h"
#include "runtime/host_signature.h"
#include "support/guest_compiler.h"

namespace caisson {
namespace {

// Exports that hand their own arguments on, so that each test calls an import with what it likes.
constexpr char kGuest[] = R"guest(
#include <caisson/guest.h>
#include <stdint.h>
#include <stddef.h>
struct point { double x, y; };

CAISSON_IMPORT(int, add, int, int);
CAISSON_IMPORT(void, nothing, void);
CAISSON_IMPORT(int8_t, narrow, int8_t, uint8_t, int16_t, uint16_t);
CAISSON_IMPORT(unsigned, wide, unsigned, long, unsigned long);
CAISSON_IMPORT(_Bool, invert, _Bool);
CAISSON_IMPORT(char, next_char, char);
CAISSON_IMPORT(double, combine, float, int, double, long);
CAISSON_IMPORT(float, halve, float);
CAISSON_IMPORT(size_t, length, const char*);
CAISSON_IMPORT(int, compare, const char *, char*);
CAISSON_IMPORT(long, total, const int* values, size_t count);
CAISSON_IMPORT(void, reverse, uint8_t*, size_t);
CAISSON_IMPORT(void, swap_points, struct point*, size_t);
CAISSON_IMPORT(uint64_t, peek, const void*);
CAISSON_IMPORT(int, failing, int);
CAISSON_IMPORT(int, spend, uint64_t);

CAISSON_EXPORT int call_add(int a, int b) { return add(a, b); }
CAISSON_EXPORT void call_nothing(void) { nothing(); }
CAISSON_EXPORT long call_narrow(int8_t a, uint8_t b, int16_t c, uint16_t d) { return narrow(a, b, c, d); }
CAISSON_EXPORT __attribute__((naked)) long raw_wide(long a, long b, long c) { __asm__ volatile("tail wide"); }
CAISSON_EXPORT __attribute__((naked)) long raw_narrow(long a, long b, long c, long d) { __asm__ volatile("tail narrow"); }
CAISSON_EXPORT __attribute__((naked)) long raw_invert(long a) { __asm__ volatile("tail invert"); }
CAISSON_EXPORT __attribute__((naked)) long raw_next_char(long a) { __asm__ volatile("tail next_char"); }
CAISSON_EXPORT double call_combine(float a, int b, double c, long d) { return combine(a, b, c, d); }
CAISSON_EXPORT __attribute__((naked)) float raw_halve(void) { __asm__ volatile("fmv.d.x fa0, a0\n tail halve"); }
CAISSON_EXPORT size_t call_length(const char* text) { return length(text); }
CAISSON_EXPORT int call_compare(const char* a, char* b) { return compare(a, b); }
CAISSON_EXPORT long call_total(const int* values, size_t count) { return total(values, count); }
CAISSON_EXPORT void call_reverse(uint8_t* values, size_t count) { reverse(values, count); }
CAISSON_EXPORT void call_swap_points(struct point* values, size_t count) { swap_points(values, count); }
CAISSON_EXPORT uint64_t call_peek(const void* address) { return peek(address); }
CAISSON_EXPORT int call_failing(int how) { return failing(how); }
CAISSON_EXPORT int call_spend(uint64_t gas) { return spend(gas); }
CAISSON_EXPORT long big[1 << 18];
CAISSON_EXPORT long* address_of_big(void) { return big; }
CAISSON_EXPORT int* address_of_constants(void) { static const int constants[4] = {1, 2, 3, 4}; return (int*)constants; }
)guest";

const std::vector<std::string> kOptions = {"-O2", "-nostdlib", "-static", "-Wl,-e,0"};

struct Point {
  double x, y;
};

class HostFunctionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
    register_all(engine);
    const auto module = compile(kGuest);
    ASSERT_TRUE(module) << module.error().to_string();
    Result<Instance> made = engine.instantiate(*module);
    ASSERT_TRUE(made) << made.error().to_string();
    instance.emplace(*std::move(made));
    for (const ImportedFunction& import : module->imports()) numbers[import.name] = 0x1040 + import.number;
  }

  void register_all(Engine& target) {
    target.host_function("add", [](int a, int b) { return a + b; });
    target.host_function("nothing", [this] { ++nothing_calls; });
    target.host_function("narrow", [this](std::int8_t a, std::uint8_t b, std::int16_t c, std::uint16_t d) {
      narrow_arguments = {a, b, c, d};
      return static_cast<std::int8_t>(-5);
    });
    target.host_function("wide", [](unsigned a, long b, unsigned long c) {
      return static_cast<unsigned>(a + static_cast<unsigned long>(b) + c);
    });
    target.host_function("invert", [](bool value) { return !value; });
    target.host_function("next_char", [](char value) { return static_cast<char>(value + 1); });
    target.host_function("combine",
                         [](float a, int b, double c, long d) { return a + b * c - static_cast<double>(d); });
    target.host_function("halve", [](float value) { return value / 2; });
    target.host_function("length", [](std::string_view text) { return text.size(); });
    target.host_function("compare", [](const std::string& a, std::string b) { return a.compare(b); });
    target.host_function(
        "total",
        [this](std::span<const int> values) {
          ++total_calls;
          return std::accumulate(values.begin(), values.end(), 0L);
        },
        100);
    target.host_function("reverse", [](std::span<std::uint8_t> values) { std::ranges::reverse(values); });
    target.host_function("swap_points", [](std::span<Point> points) {
      for (Point& point : points) std::swap(point.x, point.y);
    });
    target.host_function("peek", [](Caller& caller, std::uint64_t address) -> Result<std::uint64_t> {
      std::array<std::uint8_t, 8> bytes;
      if (!caller.read_memory(address, bytes)) return fail(ErrorCode::kInvalidArgument, "nothing there");
      bytes[0] ^= 0xFF;
      if (!caller.write_memory(address, bytes)) return fail(ErrorCode::kPermission, "read only");
      return std::bit_cast<std::uint64_t>(bytes);
    });
    target.host_function("failing", [](Caller& caller, int how) -> int {
      if (how == 1) throw std::runtime_error("one");
      if (how == 2) throw 2;
      if (how == 3) caller.fail("three");
      return 77;
    });
    target.host_function("spend", [this](Caller& caller, std::uint64_t gas) {
      if (!caller.charge(gas)) return -1;
      return ++spend_calls;
    });
  }

  Result<Module> compile(const std::string& source) {
    const auto bytes = test::compile_guest(std::vector<test::GuestSource>{{"guest.c", source}}, kOptions);
    if (!bytes) return std::unexpected(bytes.error());
    return engine.load_bytes(*bytes, "guest");
  }

  // Puts bytes into guest memory, big enough for all tests.
  std::uint64_t place(std::span<const std::uint8_t> bytes, std::uint64_t offset = 0) {
    const std::uint64_t address = instance->call<std::uint64_t>("address_of_big").value() + offset;
    EXPECT_TRUE(instance->write_memory(address, bytes));
    return address;
  }
  std::uint64_t place_text(std::string_view text, std::uint64_t offset = 0) {
    return place({reinterpret_cast<const std::uint8_t*>(text.data()), text.size() + 1}, offset);
  }

  InvocationResult invoke(std::string_view function, std::vector<std::uint64_t> arguments,
                          std::uint64_t gas = kUnlimitedGas) {
    return instance->invoke(function, arguments, gas).value();
  }

  Engine engine = Engine::create().value();
  std::optional<Instance> instance;
  std::map<std::string, std::uint64_t> numbers;
  int nothing_calls = 0, total_calls = 0, spend_calls = 0;
  std::array<int, 4> narrow_arguments{};
};

TEST_F(HostFunctionTest, Integers) {
  EXPECT_EQ(instance->call<int>("call_add", 2, 3), 5);
  EXPECT_EQ(instance->call<int>("call_add", -2, 1), -1);
  EXPECT_TRUE(instance->call<void>("call_nothing").has_value());
  EXPECT_EQ(nothing_calls, 1);
  EXPECT_EQ(instance->call<long>("call_narrow", -128, 255, -32768, 65535), -5);
  EXPECT_EQ(narrow_arguments, (std::array<int, 4>{-128, 255, -32768, 65535}));
}

TEST_F(HostFunctionTest, RegistersAreCanonicalBothWays) {
  // Bits above the type are the guest's garbage; results are extended as the psABI says.
  EXPECT_EQ(invoke("raw_narrow", {0x1234567880, 0xFFFFFF01, 0x18000, 0xABCD0001}).return_value,
            static_cast<std::uint64_t>(-5));
  EXPECT_EQ(narrow_arguments, (std::array<int, 4>{-128, 1, -32768, 1}));
  EXPECT_EQ(invoke("raw_wide", {0x1'0000'0001, 0, 0x7FFF'FFFF}).return_value, 0xFFFF'FFFF'8000'0000)
      << "u32 is sign-extended";
  EXPECT_EQ(invoke("raw_invert", {0x100}).return_value, 1U) << "the low byte is false";
  EXPECT_EQ(invoke("raw_invert", {0x7E}).return_value, 0U);
  EXPECT_EQ(invoke("raw_next_char", {0x7F}).return_value, 0x80U) << "char is unsigned on RISC-V";
}

TEST_F(HostFunctionTest, FloatingPoint) {
  EXPECT_EQ(instance->call<double>("call_combine", 1.5F, 2, 2.25, 4L), 1.5 + 2 * 2.25 - 4);
  const std::uint64_t boxed = detail::to_float_register(3.0F);
  EXPECT_EQ(invoke("raw_halve", {boxed}).exit_reason, ExitReason::kHostCall);
  EXPECT_EQ(instance->float_register(10), detail::to_float_register(1.5F)) << "NaN-boxed";
  invoke("raw_halve", {boxed & 0xFFFF'FFFF});
  EXPECT_EQ(static_cast<std::uint32_t>(instance->float_register(10)), detail::kCanonicalNan)
      << "an unboxed float is a NaN";
}

TEST_F(HostFunctionTest, Strings) {
  EXPECT_EQ(instance->call<std::uint64_t>("call_length", place_text("hello")), 5U);
  EXPECT_EQ(instance->call<std::uint64_t>("call_length", place_text("")), 0U);
  const std::uint64_t first = place_text("a long string that does not fit a small buffer");
  const std::uint64_t second = place_text("a long string that does not fit a small buffer", 100);
  EXPECT_EQ(instance->call<int>("call_compare", first, second), 0);
  EXPECT_LT(instance->call<int>("call_compare", place_text("a"), place_text("b", 100)).value(), 0);
}

TEST_F(HostFunctionTest, StringsEndAtTheLimit) {
  const std::vector<std::uint8_t> text(kLongestHostString + 1, 'x');
  const std::uint64_t address = place(text);
  const InvocationResult result = invoke("call_length", {address});
  EXPECT_EQ(result.exit_reason, ExitReason::kHostCall);
  EXPECT_EQ(result.exit_arg, numbers["length"]);
  EXPECT_NE(instance->host_error().find("longer"), std::string_view::npos);
  place(std::vector<std::uint8_t>{0}, kLongestHostString);
  EXPECT_EQ(instance->call<std::uint64_t>("call_length", address), kLongestHostString);
  EXPECT_EQ(instance->host_error(), "");
}

TEST_F(HostFunctionTest, Spans) {
  const std::vector<int> values = {1, -2, 3, 40};
  const std::uint64_t address = place({reinterpret_cast<const std::uint8_t*>(values.data()), 16});
  EXPECT_EQ(instance->call<long>("call_total", address, 4), 42);
  EXPECT_EQ(instance->call<long>("call_total", std::uint64_t{0}, 0), 0) << "an empty span may have any pointer";
  EXPECT_EQ(instance->call<long>("call_total", ~std::uint64_t{0}, 0), 0);

  std::vector<std::uint8_t> bytes(5000);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  place(bytes, 1);
  EXPECT_TRUE(instance->call<void>("call_reverse", address + 1, 5000).has_value());
  std::ranges::reverse(bytes);
  std::vector<std::uint8_t> reversed(5000);
  EXPECT_TRUE(instance->read_memory(address + 1, reversed));
  EXPECT_EQ(reversed, bytes);

  const std::array<Point, 2> points = {{{1, 2}, {3, 4}}};
  place({reinterpret_cast<const std::uint8_t*>(points.data()), sizeof points}, 3);
  EXPECT_TRUE(instance->call<void>("call_swap_points", address + 3, 2).has_value()) << "misaligned in the guest";
  std::array<Point, 2> swapped;
  EXPECT_TRUE(instance->read_memory(address + 3, {reinterpret_cast<std::uint8_t*>(swapped.data()), sizeof swapped}));
  EXPECT_EQ(swapped[1].x, 4);
  EXPECT_EQ(swapped[1].y, 3);
}

TEST_F(HostFunctionTest, BadPointersFaultBeforeTheCall) {
  const std::uint64_t constants = instance->call<std::uint64_t>("address_of_constants").value();
  const std::uint64_t end = runtime::kStackTop;
  struct Case {
    const char* function;
    std::vector<std::uint64_t> arguments;
    std::uint64_t fault;
  };
  const std::vector<std::uint8_t> unterminated(4096, 'x');
  ASSERT_TRUE(instance->write_memory(end - 4096, unterminated));
  const Case cases[] = {
      {"call_length", {0}, 0},
      {"call_length", {end - 10}, end},
      {"call_length", {1ULL << 32}, 0},
      {"call_length", {~0ULL}, 0xFFFF'FFFF},
      {"call_total", {8, 1}, 8},
      {"call_total", {end - 8, 3}, end},
      {"call_total", {(1ULL << 32) + 16, 1}, 16},
      {"call_reverse", {end - 4096, 4097}, end},
      {"call_reverse", {constants, 4}, constants},
      {"call_reverse", {constants & ~0xFFFULL, 4096}, constants & ~0xFFFULL},
  };
  for (const Case& test_case : cases) {
    const InvocationResult result = invoke(test_case.function, test_case.arguments);
    EXPECT_EQ(result.exit_reason, ExitReason::kPageFault) << test_case.function << ' ' << test_case.arguments[0];
    EXPECT_EQ(result.exit_arg, test_case.fault) << test_case.function << ' ' << test_case.arguments[0];
  }
  EXPECT_EQ(total_calls, 0);
  std::uint8_t byte = 0;
  EXPECT_TRUE(instance->read_memory(end - 1, {&byte, 1}));
  EXPECT_EQ(byte, 'x') << "nothing was reversed";
}

TEST_F(HostFunctionTest, HugeSpansAreRefused) {
  for (const std::uint64_t count : {kLargestHostSpan / 4 + 1, std::size_t{1} << 62, ~std::size_t{0}}) {
    const InvocationResult result =
        invoke("call_total", {instance->call<std::uint64_t>("address_of_big").value(), count});
    EXPECT_EQ(result.exit_reason, ExitReason::kHostCall);
    EXPECT_EQ(result.exit_arg, numbers["total"]);
    EXPECT_NE(instance->host_error().find("larger"), std::string_view::npos);
  }
  EXPECT_EQ(total_calls, 0);
}

TEST_F(HostFunctionTest, CallerReachesMemory) {
  const std::uint64_t address = place(std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(instance->call<std::uint64_t>("call_peek", address), 0x08070605040302FEU);
  EXPECT_EQ(instance->call<std::uint64_t>("call_peek", address), 0x0807060504030201U);
  EXPECT_EQ(invoke("call_peek", {16}).exit_arg, numbers["peek"]);
  EXPECT_EQ(instance->host_error(), "nothing there");
  EXPECT_EQ(invoke("call_peek", {instance->call<std::uint64_t>("address_of_constants").value()}).exit_arg,
            numbers["peek"]);
  EXPECT_EQ(instance->host_error(), "read only");
}

TEST_F(HostFunctionTest, FailuresEndTheRun) {
  const std::pair<std::uint64_t, std::string_view> cases[] = {
      {1, "one"}, {2, "the host function threw something that is not a std::exception"}, {3, "three"}};
  for (const auto& [how, message] : cases) {
    const InvocationResult result = invoke("call_failing", {how});
    EXPECT_EQ(result.exit_reason, ExitReason::kHostCall);
    EXPECT_EQ(result.exit_arg, numbers["failing"]);
    EXPECT_FALSE(result.ok());
    EXPECT_EQ(instance->host_error(), message);
    EXPECT_FALSE(instance->resume().has_value());
  }
  const Result<int> failed = instance->call<int>("call_failing", 3);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("three"), std::string::npos);
  EXPECT_EQ(instance->call<int>("call_failing", 0), 77) << "the instance can be called again";
}

TEST_F(HostFunctionTest, DeclaredGasAndCopies) {
  const std::vector<std::uint8_t> bytes(64);
  const std::uint64_t address = place(bytes);
  const auto cost = [&](std::string_view function, std::vector<std::uint64_t> arguments) {
    const std::uint64_t before = instance->gas_used();
    EXPECT_TRUE(invoke(function, std::move(arguments)).ok());
    return instance->gas_used() - before;
  };
  const std::uint64_t empty = cost("call_total", {address, 0});
  EXPECT_GE(empty, 100U + gas::weight(riscv::Op::kEcall)) << "what the function declares, and the ecall";
  EXPECT_EQ(cost("call_total", {address, 16}), empty + 4) << "64 bytes in";
  EXPECT_EQ(cost("call_total", {address, 1}), empty + 1);
  EXPECT_EQ(cost("call_reverse", {address, 64}), cost("call_reverse", {address, 0}) + 8) << "64 bytes in and out";
  place_text("0123456789abcdef");
  const std::uint64_t sixteen = cost("call_length", {address});
  place_text("");
  EXPECT_EQ(sixteen, cost("call_length", {address}) + 1) << "17 bytes with the NUL";
}

TEST_F(HostFunctionTest, OutOfGasUndoesTheCall) {
  const std::uint64_t address = place(std::vector<std::uint8_t>(4096));
  std::uint64_t before = instance->gas_used();
  ASSERT_TRUE(invoke("call_total", {address, 1024}).ok());
  const std::uint64_t total = instance->gas_used() - before;
  for (std::uint64_t gas = 0; gas < total; ++gas) {
    total_calls = 0;
    before = instance->gas_used();
    ASSERT_EQ(invoke("call_total", {address, 1024}, gas).exit_reason, ExitReason::kOutOfGas) << gas;
    // Only the return lies behind the call.
    ASSERT_LE(total_calls, 1);
    const bool was_called = total_calls == 1;
    if (!was_called && gas >= total - 300)
      ASSERT_EQ(instance->integer_register(10), address) << "registers are unchanged";
    ASSERT_TRUE(instance->resume(total - gas).value().ok()) << gas;
    ASSERT_EQ(total_calls, 1) << gas;
    ASSERT_EQ(instance->gas_used() - before, total) << gas;
  }
}

TEST_F(HostFunctionTest, CallerCharges) {
  std::uint64_t before = instance->gas_used();
  ASSERT_TRUE(invoke("call_spend", {0}).ok());
  const std::uint64_t base = instance->gas_used() - before;
  spend_calls = 0;
  before = instance->gas_used();
  EXPECT_EQ(invoke("call_spend", {1000}, base + 900).exit_reason, ExitReason::kOutOfGas);
  EXPECT_EQ(spend_calls, 0);
  const InvocationResult result = instance->resume(100).value();
  EXPECT_EQ(result.return_value, 1U);
  EXPECT_EQ(result.gas_remaining, 0U);
  EXPECT_EQ(instance->gas_used() - before, base + 1000);
  EXPECT_EQ(invoke("call_spend", {~0ULL}, 1000).exit_reason, ExitReason::kOutOfGas);
}

TEST_F(HostFunctionTest, CallsIntoTheRunningInstanceAreBusy) {
  const auto module = compile(
      "#include <caisson/guest.h>\nCAISSON_IMPORT(int, reenter, void);\n"
      "CAISSON_EXPORT int outer(void) { return reenter(); }\nCAISSON_EXPORT int inner(void) { return 4; }\n");
  ASSERT_TRUE(module) << module.error().to_string();
  std::optional<Instance> first, second;
  engine.host_function("reenter", [&] {
    EXPECT_EQ(first->invoke("inner").error().code, ErrorCode::kBusy);
    EXPECT_EQ(first->resume().error().code, ErrorCode::kBusy);
    return second->call<int>("inner").value() + 10;
  });
  first.emplace(engine.instantiate(*module).value());
  second.emplace(engine.instantiate(*module).value());
  EXPECT_EQ(first->call<int>("outer"), 14) << "another instance may run meanwhile";
}

TEST_F(HostFunctionTest, UnresolvedImportsAreListedTogether) {
  const auto module = compile(
      "#include <caisson/guest.h>\nCAISSON_IMPORT(int, add, int, int);\nCAISSON_IMPORT(void, missing_one, int);\n"
      "CAISSON_IMPORT(void, missing_two, int);\nCAISSON_EXPORT int f(void) { missing_one(1); missing_two(2); return "
      "add(1, 2); }\n");
  ASSERT_TRUE(module) << module.error().to_string();
  const Result<Instance> made = engine.instantiate(*module);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kUnresolvedImport);
  EXPECT_NE(made.error().message.find("missing_one"), std::string::npos);
  EXPECT_NE(made.error().message.find("missing_two"), std::string::npos);
  EXPECT_EQ(made.error().message.find("add"), std::string::npos);
  engine.host_function("missing_one", [](int) {});
  engine.host_function("missing_two", [](int) {});
  EXPECT_TRUE(engine.instantiate(*module).has_value());
  engine.host_function("missing_one", [](double) {});
  engine.host_function("missing_two", [](int) { return 1; });
  const Result<Instance> mismatched = engine.instantiate(*module);
  ASSERT_FALSE(mismatched);
  EXPECT_EQ(mismatched.error().code, ErrorCode::kSignatureMismatch);
  EXPECT_NE(
      mismatched.error().message.find("missing_one: the guest declares void(int), the host function is void(double)"),
      std::string::npos)
      << mismatched.error().message;
  EXPECT_NE(mismatched.error().message.find("missing_two"), std::string::npos);
}

TEST_F(HostFunctionTest, MessagesShowHostileNamesHarmlessly) {
  // A note made by hand, whose name would clear the screen and whose signature is long.
  const auto module = compile(
      "__asm__(\".pushsection .note.caisson, \\\"a\\\", @note\\n.4byte 8\\n.4byte 2f - 1f\\n.4byte 1\\n.asciz "
      "\\\"Caisson\\\"\\n\"\n"
      "\"1: .4byte 0x1040\\n.ascii \\\"evil\\\"\\n.byte 27\\n.asciz \\\"[2J\\\"\\n.fill 5000, 1, 65\\n.byte 0\\n2: "
      ".balign 4\\n.popsection\");\n"
      "int f(void) { return 1; }\n");
  ASSERT_TRUE(module) << module.error().to_string();
  EXPECT_NE(engine.instantiate(*module).error().message.find("evil?[2J: no host function"), std::string::npos);
  engine.host_function("evil\x1b[2J", [] {});
  const Result<Instance> made = engine.instantiate(*module);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kSignatureMismatch);
  EXPECT_NE(made.error().message.find("AAAA"), std::string::npos);
  EXPECT_LT(made.error().message.size(), 400U);
}

// --- signatures as text ---

using detail::HostFunction;
using runtime::parse_signature;

template <class Callable>
HostFunction host(Callable callable) {
  return detail::make_host_function("f", callable, 0);
}

bool serves(const HostFunction& function, std::string_view text) {
  const Result<runtime::Signature> signature = parse_signature(text);
  EXPECT_TRUE(signature) << text << ": " << signature.error().to_string();
  return signature && runtime::accepts(function.signature, *signature);
}

TEST(HostSignatureTest, SpellingsOfOneType) {
  const HostFunction ints = host([](int) { return 0; });
  for (const char* text : {"int(int)", "int32_t(signed)", "signed int(int value)", "std::int32_t(const int)",
                           "int(int signed)", " int ( volatile int )", "wchar_t(int)"}) {
    EXPECT_TRUE(serves(ints, text)) << text;
  }
  const HostFunction longs = host([](unsigned long) { return 0L; });
  for (const char* text : {"long(unsigned long)", "long long(size_t)", "long int(std::size_t n)", "int64_t(uint64_t)",
                           "ssize_t(long unsigned int)", "ptrdiff_t(uintptr_t)", "long(unsigned long long int)"}) {
    EXPECT_TRUE(serves(longs, text)) << text;
  }
  const HostFunction bytes = host([](unsigned char) { return static_cast<signed char>(0); });
  for (const char* text : {"signed char(char)", "int8_t(uint8_t)", "char signed(unsigned char)", "int8_t(bool)"}) {
    EXPECT_TRUE(serves(bytes, text)) << text;
  }
  const HostFunction none = host([] {});
  for (const char* text : {"void()", "void(void)", "void ( void )"}) EXPECT_TRUE(serves(none, text)) << text;
  const HostFunction floats = host([](float, double) { return 0.0; });
  for (const char* text : {"double(float, double)", "double (float x,double y)"})
    EXPECT_TRUE(serves(floats, text)) << text;
}

TEST(HostSignatureTest, WidthSignAndClassMatter) {
  const HostFunction ints = host([](int) { return 0; });
  for (const char* text : {"int(unsigned)", "int(long)", "int(short)", "int(float)", "int(int, int)", "int()",
                           "void(int)", "long(int)", "int(int*)", "unsigned(int)", "int(bool)", "int(char)"}) {
    EXPECT_FALSE(serves(ints, text)) << text;
  }
  EXPECT_FALSE(serves(host([](double) {}), "void(float)"));
  EXPECT_FALSE(serves(host([](long) {}), "void(double)"));
}

TEST(HostSignatureTest, Pointers) {
  const HostFunction text = host([](std::string_view) {});
  for (const char* good : {"void(const char*)", "void(char *)", "void(char const * restrict s)", "void(const char s[])",
                           "void(const unsigned char*)"}) {
    EXPECT_TRUE(serves(text, good)) << good;
  }
  for (const char* bad :
       {"void(char)", "void(const int*)", "void(char**)", "void(const char*, size_t)", "void(struct text*)"}) {
    EXPECT_FALSE(serves(text, bad)) << bad;
  }
  const HostFunction reading = host([](std::span<const int>) {});
  EXPECT_TRUE(serves(reading, "void(const int*, size_t)"));
  EXPECT_TRUE(serves(reading, "void(int*, unsigned long)"));
  for (const char* bad :
       {"void(const unsigned*, size_t)", "void(const long*, size_t)", "void(const int*, int)",
        "void(const void*, size_t)", "void(const int*)", "void(size_t, const int*)", "void(const int**, size_t)"}) {
    EXPECT_FALSE(serves(reading, bad)) << bad;
  }
  const HostFunction writing = host([](std::span<int>) {});
  EXPECT_TRUE(serves(writing, "void(int*, size_t)"));
  EXPECT_FALSE(serves(writing, "void(const int*, size_t)"));
  EXPECT_FALSE(serves(writing, "void(int const*, size_t)"));
  EXPECT_TRUE(serves(writing, "void(int* const, size_t)"));
  const HostFunction bytes = host([](std::span<std::byte>) {});
  EXPECT_FALSE(serves(bytes, "void(const void*, size_t)"));
  const HostFunction octets = host([](std::span<std::uint8_t>) {});
  for (const char* good :
       {"void(void*, size_t)", "void(char*, size_t)", "void(std::byte*, size_t)", "void(signed char[], size_t)"}) {
    EXPECT_TRUE(serves(octets, good)) << good;
  }
  const HostFunction records = host([](std::span<const Point>) {});
  EXPECT_TRUE(serves(records, "void(const struct point*, size_t)"));
  EXPECT_TRUE(serves(records, "void(point_t*, size_t)"));
  EXPECT_FALSE(serves(records, "void(const double*, size_t)"));
  const HostFunction address = host([](std::uint64_t) {});
  for (const char* good :
       {"void(void*)", "void(const struct anything *)", "void(int (*)(int, char))", "void(char**)", "void(uint64_t)"}) {
    EXPECT_TRUE(serves(address, good)) << good;
  }
  EXPECT_TRUE(serves(host([](std::span<const std::uint64_t>) {}), "void(char**, size_t)"));
  EXPECT_TRUE(serves(host([] { return std::uint64_t{0}; }), "void*(void)"));
  EXPECT_TRUE(serves(host([](unsigned) {}), "void(enum color)"));
}

TEST(HostSignatureTest, WhatCannotBePassed) {
  for (const char* text :
       {"", "int", "int(", "int)", "(", "struct point(int)", "int(struct point)", "int(point_t)", "int(long double)",
        "int(void, int)", "int(int,)", "int(,)", "int(...)", "int(int, ...)", "))((", "()"}) {
    const auto signature = parse_signature(text);
    EXPECT_FALSE(signature) << text;
    if (!signature) EXPECT_EQ(signature.error().code, ErrorCode::kSignatureMismatch);
  }
}

TEST(HostSignatureTest, TextOfAHostFunction) {
  const HostFunction function =
      host([](Caller&, std::string, std::span<const double>, std::span<Point>, bool) -> Result<int> { return 0; });
  EXPECT_EQ(runtime::to_text(function.signature),
            "int32_t(const uint8_t*, const double*, uint64_t, struct*, uint64_t, uint8_t)");
}

}  // namespace
}  // namespace caisson
