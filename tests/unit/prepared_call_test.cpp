// Prepared calls: the short way must give what Instance::invoke() gives, on every tier, whatever happens before, between and within
// the calls.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "baseline/baseline.h"
#include "caisson/engine.h"
#include "memory/address_space.h"
#include "runtime/guest_instance.h"
#include "support/guest_compiler.h"

namespace caisson {
namespace {

constexpr char kGuest[] = R"guest(
#include <caisson/guest.h>
#include <stdint.h>
#include <unset_registers.h>
CAISSON_IMPORT(int, twice, int);
CAISSON_IMPORT(double, third, double);
CAISSON_IMPORT(int, call_back, int);
CAISSON_IMPORT(int, refuse, void);
CAISSON_EXPORT int same(int value) { return value; }
CAISSON_EXPORT long sum(long a, long b, long c, long d, long e, long f) { return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f; }
CAISSON_EXPORT double mean(double a, double b, float c) { return (a + b + c) / 3; }
CAISSON_EXPORT double third_of(double value) { return third(value) + 1; }
CAISSON_EXPORT int twice_sum(int count) { int sum = 0; for (int i = 0; i < count; ++i) sum += twice(i); return sum; }
CAISSON_EXPORT uint32_t hash(uint32_t rounds) { uint32_t h = 1; for (uint32_t i = 0; i < rounds; ++i) h = (h ^ i) * 2654435761u + h / (i | 1); return h; }
CAISSON_EXPORT long load(long* address) { return *address; }
CAISSON_EXPORT void nothing(void) {}
CAISSON_EXPORT void spin(void) { for (;;) __asm__ volatile(""); }
CAISSON_EXPORT int calls_back(int value) { return call_back(value) + 1; }
CAISSON_EXPORT int refused(void) { return refuse(); }
CAISSON_EXPORT void stops(void) { __asm__ volatile("ebreak"); }

// Every register that a call can leave unset, or'ed, before it sets some.
CAISSON_EXPORT __attribute__((naked)) void other_registers(void) {
  __asm__ volatile(
      OR_UNSET_REGISTERS
      "fmv.x.d t0, fa0\n or a0, a0, t0\n"
      "li s0, -1\n li t6, -1\n li a5, -1\n li s7, -1\n fmv.d.x fs0, s0\n fmv.d.x ft11, s0\n fmv.d.x fa0, s0\n"
      "li t0, 0x7f\n fscsr zero, t0\n li gp, -1\n li tp, -1\n ret");
}
// Leaves every integer register but ra and the result set, and no float.
CAISSON_EXPORT __attribute__((naked)) void set_integers(void) {
  __asm__ volatile("li a0, 1\n li a1, -1\n li a6, -1\n li a7, -1\n li t0, -1\n li t3, -1\n li s0, -1\n li s1, -1\n li s11, -1\n ret");
}
)guest";

// Becomes callable, without any library.
constexpr char kProgram[] = R"guest(
#include <caisson/guest.h>
static long ready;
__attribute__((naked)) void _start(void) {
  __asm__ volatile(".option push\n.option norelax\n la gp, __global_pointer$\n.option pop\n li tp, 0x1234\n tail run_program");
}
void run_program(void) { ready = 5; caisson_ready(); __builtin_unreachable(); }
CAISSON_EXPORT long get(void) { return ready; }
CAISSON_EXPORT long thread_pointer(void) { long tp; __asm__ volatile("mv %0, tp" : "=r"(tp)); return tp; }
)guest";

class PreparedCallTest : public ::testing::TestWithParam<Tier> {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
    if (GetParam() == Tier::kBaseline && !baseline::Baseline::is_supported())
      GTEST_SKIP() << "this processor lacks x86-64-v3";
    engine.host_function("twice", [](int value) { return 2 * value; });
    engine.host_function("third", [](double value) { return value / 3; }, 17);
    engine.host_function("call_back", [this](int value) { return call_back(value); });
    engine.host_function("refuse", []() -> int { throw std::runtime_error("not today"); });
    module = load(kGuest, {"-O1", "-nostdlib", "-static", "-Wl,-e,0"});
  }

  std::optional<Module> load(const char* source, std::initializer_list<std::string> options) {
    const auto bytes = test::compile_guest({{"guest.c", source}}, options);
    if (!bytes) throw std::runtime_error(bytes.error().to_string());
    return engine.load_bytes(*bytes, "guest").value();
  }

  Instance instantiate(std::uint64_t call_gas = kUnlimitedGas, std::uint64_t crosscheck = 0) {
    return engine.instantiate(*module, {.call_gas = call_gas, .tier = GetParam(), .crosscheck = crosscheck}).value();
  }

  // Where both instances stand after the same calls.
  static void expect_same_state(const Instance& one, const Instance& other) {
    EXPECT_EQ(one.gas_used(), other.gas_used());
    EXPECT_EQ(one.program_counter(), other.program_counter());
    for (unsigned number = 0; number < 32; ++number) {
      EXPECT_EQ(one.integer_register(number), other.integer_register(number)) << 'x' << number;
      EXPECT_EQ(one.float_register(number), other.float_register(number)) << 'f' << number;
    }
  }

  Engine engine = Engine::create().value();
  std::optional<Module> module;
  std::function<int(int)> call_back;
};

std::string tier_name(const ::testing::TestParamInfo<Tier>& info) {
  constexpr std::string_view kNames[] = {"auto", "interp", "baseline"};
  return std::string(kNames[static_cast<std::size_t>(info.param)]);
}

// A child of fork() has none of its parent's compiled code.
TEST_P(PreparedCallTest, AForkedChildIsToldThatItHasNoCode) {
  Instance instance = instantiate();
  const auto same = instance.prepare<int(int)>("same").value();
  ASSERT_EQ(same(3).value(), 3);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto is_right = [](const auto& result, bool runs) {
      return runs ? result.has_value() : !result && result.error().code == ErrorCode::kUnsupported;
    };
    const bool old_runs = GetParam() == Tier::kInterp, new_runs = GetParam() != Tier::kBaseline;
    int wrong = 0;
    for (int round = 0; round < 2; ++round) {
      wrong += is_right(same(4), old_runs) ? 0 : 1;
      wrong += is_right(instance.invoke("nothing"), old_runs) ? 0 : 2;
      Result<Instance> copy = instance.fork();
      wrong += is_right(copy ? copy->invoke("nothing") : std::unexpected(copy.error()), new_runs) ? 0 : 4;
    }
    wrong += is_right(engine.instantiate(*module, {.tier = GetParam()}), new_runs) ? 0 : 64;
    // And it can be taken down.
    {
      const Instance ended = std::move(instance);
    }
    ::_exit(wrong);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(same(5).value(), 5);
}

INSTANTIATE_TEST_SUITE_P(Tiers, PreparedCallTest, ::testing::Values(Tier::kAuto, Tier::kInterp, Tier::kBaseline),
                         tier_name);

TEST_P(PreparedCallTest, LeavesTheStateThatInvokeLeaves) {
  Instance prepared = instantiate(), invoked = instantiate();
  const auto same = prepared.prepare<int(int)>("same").value();
  const auto sum = prepared.prepare<long(long, long, long, long, long, long)>("sum").value();
  const auto mean = prepared.prepare<double(double, double, float)>("mean").value();
  const auto third_of = prepared.prepare<double(double)>("third_of").value();
  const auto twice_sum = prepared.prepare<int(int)>("twice_sum").value();
  const auto hash = prepared.prepare<std::uint32_t(std::uint32_t)>("hash").value();
  const auto other_registers = prepared.prepare<std::uint64_t()>("other_registers").value();
  const auto set_integers = prepared.prepare<int()>("set_integers").value();
  for (int round = 0; round < 4; ++round) {
    EXPECT_EQ(same(round - 2), invoked.call<int>("same", round - 2).value());
    expect_same_state(prepared, invoked);
    EXPECT_EQ(set_integers(), invoked.call<int>("set_integers").value());
    expect_same_state(prepared, invoked);
    EXPECT_EQ(other_registers(), std::uint64_t{0});
    EXPECT_EQ(invoked.call<std::uint64_t>("other_registers"), std::uint64_t{0});
    expect_same_state(prepared, invoked);
    EXPECT_EQ(sum(1, 2, 3, 4, 5, 6), invoked.call<long>("sum", 1L, 2L, 3L, 4L, 5L, 6L).value());
    expect_same_state(prepared, invoked);
    EXPECT_EQ(mean(1.5, 2.5, 8.0F), 4.0);
    EXPECT_EQ(invoked.call<double>("mean", 1.5, 2.5, 8.0F), 4.0);
    expect_same_state(prepared, invoked);
    EXPECT_EQ(same(7), invoked.call<int>("same", 7).value());
    expect_same_state(prepared, invoked);
    EXPECT_EQ(third_of(4.5), 2.5);
    EXPECT_EQ(invoked.call<double>("third_of", 4.5), 2.5);
    expect_same_state(prepared, invoked);
    EXPECT_EQ(twice_sum(20), invoked.call<int>("twice_sum", 20).value());
    expect_same_state(prepared, invoked);
    EXPECT_EQ(hash(20'000), invoked.call<std::uint32_t>("hash", 20'000U).value()) << "several slices";
    expect_same_state(prepared, invoked);
  }
}

TEST_P(PreparedCallTest, UsesTheSameGasOnEveryTier) {
  const auto gas_of_calls = [&](Tier tier) {
    Instance instance = engine.instantiate(*module, {.tier = tier}).value();
    const auto same = instance.prepare<int(int)>("same").value();
    const auto twice_sum = instance.prepare<int(int)>("twice_sum").value();
    const auto hash = instance.prepare<std::uint32_t(std::uint32_t)>("hash").value();
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(same(i), i);
      EXPECT_EQ(twice_sum(300), 300 * 299);
      EXPECT_TRUE(hash(5000).has_value());
    }
    return instance.gas_used();
  };
  EXPECT_EQ(gas_of_calls(GetParam()), gas_of_calls(Tier::kInterp));
}

TEST_P(PreparedCallTest, BeginsAfreshAfterAFault) {
  Instance instance = instantiate(), invoked = instantiate();
  const auto load = instance.prepare<std::uint64_t(std::uint64_t)>("load").value();
  const auto refused = instance.prepare<int()>("refused").value();
  const auto stops = instance.prepare<void()>("stops").value();
  const auto same = instance.prepare<int(int)>("same").value();
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(same(round), round);
    const Result<std::uint64_t> faulted = load(0x10);
    ASSERT_FALSE(faulted);
    EXPECT_EQ(faulted.error().code, ErrorCode::kGuestEnded);
    EXPECT_NE(faulted.error().message.find("page fault (0x10)"), std::string::npos) << faulted.error().message;
    EXPECT_EQ(same(round), round);
    const Result<int> failed = refused();
    ASSERT_FALSE(failed);
    EXPECT_NE(failed.error().message.find("not today"), std::string::npos) << failed.error().message;
    EXPECT_EQ(instance.host_error(), "not today");
    EXPECT_FALSE(stops().has_value());
    EXPECT_EQ(same(round), round);
    EXPECT_EQ(instance.host_error(), "");
    EXPECT_EQ(instance.resume().error().code, ErrorCode::kInvalidArgument) << "the call returned";
    EXPECT_TRUE(invoked.call<int>("same", round).has_value());
    EXPECT_FALSE(invoked.call<std::uint64_t>("load", std::uint64_t{0x10}).has_value());
    EXPECT_TRUE(invoked.call<int>("same", round).has_value());
    EXPECT_FALSE(invoked.call<int>("refused").has_value());
    EXPECT_FALSE(invoked.call<void>("stops").has_value());
    EXPECT_TRUE(invoked.call<int>("same", round).has_value());
    expect_same_state(instance, invoked);
  }
}

TEST_P(PreparedCallTest, RunsOutOfGasAtEveryPointAndIsResumed) {
  Instance whole = instantiate();
  const std::uint64_t mapped = whole.gas_used();
  ASSERT_EQ(whole.prepare<int(int)>("twice_sum").value()(3), 6);
  const std::uint64_t total = whole.gas_used() - mapped;
  for (std::uint64_t gas = 0; gas <= total; ++gas) {
    Instance instance = instantiate(gas);
    const auto twice_sum = instance.prepare<int(int)>("twice_sum").value();
    const Result<int> result = twice_sum(3);
    ASSERT_EQ(result.has_value(), gas == total) << gas;
    if (result) continue;
    ASSERT_EQ(result.error().code, ErrorCode::kLimit);
    const Result<InvocationResult> resumed = instance.resume(total - gas);
    ASSERT_TRUE(resumed && resumed->ok()) << gas;
    ASSERT_EQ(resumed->return_value, 6U);
    ASSERT_EQ(instance.gas_used() - mapped, total) << gas;
  }
}

TEST_P(PreparedCallTest, SeesCodeThatChangedBetweenCalls) {
  Instance instance = instantiate();
  const auto nothing = instance.prepare<int()>("nothing").value();
  const auto same = instance.prepare<int(int)>("same").value();
  for (int round = 0; round < 3; ++round) EXPECT_EQ(nothing(), 0);
  ASSERT_TRUE(same(1).has_value());
  std::uint64_t address = 0;
  for (const ExportedFunction& function : module->exports()) {
    if (function.name == "nothing") address = function.address;
  }
  const std::uint64_t page = address & ~(memory::kPageSize - 1);
  memory::AddressSpace& memory = instance.guest().memory();
  for (const std::uint8_t value : {7, 9}) {
    // c.li a0, value; nothing() has a lone c.jr ra, and what comes behind it is for functions that are not called again.
    const std::uint8_t code[] = {static_cast<std::uint8_t>(0x01 | value << 2), 0x45, 0x82, 0x80};
    ASSERT_EQ(memory.protect(page, memory::kPageSize, memory::kRead | memory::kWrite), memory::MapStatus::kOk);
    EXPECT_EQ(nothing().error().code, ErrorCode::kGuestEnded) << "not executable";
    ASSERT_TRUE(instance.write_memory(address, code));
    ASSERT_EQ(memory.protect(page, memory::kPageSize, memory::kRead | memory::kExecute), memory::MapStatus::kOk);
    for (int round = 0; round < 3; ++round) EXPECT_EQ(nothing(), value);
  }
  // Now of a page that may change at any time.
  ASSERT_EQ(memory.protect(page, memory::kPageSize, memory::kRead | memory::kWrite | memory::kExecute),
            memory::MapStatus::kOk);
  for (const std::uint8_t value : {3, 4, 5}) {
    const std::uint8_t code[] = {static_cast<std::uint8_t>(0x01 | value << 2), 0x45, 0x82, 0x80};
    ASSERT_TRUE(instance.write_memory(address, code));
    for (int round = 0; round < 3; ++round) EXPECT_EQ(nothing(), value);
  }
}

TEST_P(PreparedCallTest, NestsInstancesButNotItself) {
  Instance outer = instantiate(), inner = instantiate();
  const auto calls_back = outer.prepare<int(int)>("calls_back").value();
  const auto same = outer.prepare<int(int)>("same").value();
  const auto inner_same = inner.prepare<int(int)>("same").value();
  const auto inner_load = inner.prepare<std::uint64_t(std::uint64_t)>("load").value();
  call_back = [&](int value) {
    EXPECT_EQ(same(1).error().code, ErrorCode::kBusy);
    EXPECT_FALSE(inner_load(0).has_value());
    return inner_same(value).value() * 10;
  };
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(calls_back(round), 10 * round + 1);
    EXPECT_EQ(same(round), round);
  }
  const auto outer_load = outer.prepare<std::uint64_t(std::uint64_t)>("load").value();
  EXPECT_FALSE(outer_load(0).has_value()) << "a fault of the outer one is still its own";
}

TEST_P(PreparedCallTest, CanBeInterrupted) {
  Instance instance = instantiate();
  const auto same = instance.prepare<int(int)>("same").value();
  const auto spin = instance.prepare<void()>("spin").value();
  ASSERT_EQ(same(1), 1);
  instance.interrupt();
  const Result<int> stopped = same(2);
  ASSERT_FALSE(stopped);
  EXPECT_NE(stopped.error().message.find(to_string(ExitReason::kInterrupted)), std::string::npos)
      << stopped.error().message;
  const Result<InvocationResult> resumed = instance.resume();
  ASSERT_TRUE(resumed.has_value());
  EXPECT_EQ(resumed->return_value, 2U) << "the interrupted call goes on";
  EXPECT_EQ(same(3), 3);

  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    instance.interrupt();
  });
  EXPECT_FALSE(spin().has_value());
  stopper.join();
  EXPECT_EQ(same(4), 4);

  instance.set_deadline(Instance::Clock::now() + std::chrono::milliseconds(20));
  EXPECT_FALSE(spin().has_value());
  instance.set_deadline();
  EXPECT_EQ(same(5), 5);
}

TEST_P(PreparedCallTest, IsCompared) {
  Instance instance = instantiate(kUnlimitedGas, 1);
  const auto twice_sum = instance.prepare<int(int)>("twice_sum").value();
  const auto mean = instance.prepare<double(double, double, float)>("mean").value();
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(twice_sum(5), 20);
    EXPECT_EQ(mean(1, 2, 3), 2.0);
  }
}

TEST_P(PreparedCallTest, StartsTheProgramFirst) {
  const auto program = load(kProgram, {"-O1", "-nostdlib", "-static"});
  Instance instance = engine.instantiate(*program, {.tier = GetParam()}).value();
  const auto get = instance.prepare<long()>("get").value();
  const auto thread_pointer = instance.prepare<long()>("thread_pointer").value();
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(get(), 5);
    EXPECT_EQ(thread_pointer(), 0x1234);
  }
}

}  // namespace
}  // namespace caisson
