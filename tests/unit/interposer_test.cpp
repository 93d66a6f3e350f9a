// Interposers: what they see, answer and pass on, what it costs, and what a failing one does; in every tier.
#include "caisson/interposer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "caisson/linux.h"
#include "support/guest_compiler.h"

namespace caisson {
namespace {

constexpr char kProgram[] = R"guest(
#include <caisson/guest.h>
#include <stdint.h>
CAISSON_IMPORT(long, host, long);
CAISSON_EXPORT long call(long number, long first, long second, long third) {
  register long a7 __asm__("a7") = number;
  register long a0 __asm__("a0") = first;
  register long a1 __asm__("a1") = second;
  register long a2 __asm__("a2") = third;
  register long a5 __asm__("a5") = 55;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a5) : "memory");
  return a0;
}
CAISSON_EXPORT long call_host(long value) { return host(value); }
CAISSON_EXPORT char text[16] = "before";
CAISSON_EXPORT char* address_of_text(void) { return text; }
CAISSON_EXPORT long call_many(long number, long count) {
  long sum = 0;
  for (long i = 0; i < count; ++i) sum += call(number, i, 0, 0);
  return sum;
}
#ifdef PROGRAM
void _start(void) {
  caisson_ready();
  for (;;) call(93, 7, 0, 0);
}
#endif
)guest";

constexpr std::uint64_t kIoSetup = 0, kCloseCall = 57, kWriteCall = 64, kGetuid = 174, kGetgid = 176, kNobodys = 1000;

struct Seen {
  std::uint64_t number;
  std::array<std::uint64_t, 6> arguments;
};

class InterposerTest : public ::testing::TestWithParam<Tier> {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
    engine.host_function("host", [](long value) { return value + 1; });
    const auto program = test::compile_guest({{"program.c", kProgram}}, {"-DPROGRAM", "-O2", "-static", "-nostdlib",
                                                                         "-Wl,--no-relax", "-Wl,-z,separate-code"});
    const auto functions = test::compile_guest({{"functions.c", kProgram}},
                                               {"-O2", "-static", "-nostdlib", "-Wl,-e,0", "-Wl,-z,separate-code"});
    ASSERT_TRUE(program) << program.error().to_string();
    ASSERT_TRUE(functions) << functions.error().to_string();
    program_module.emplace(engine.load_bytes(*program).value());
    functions_module.emplace(engine.load_bytes(*functions).value());
    const auto probe = engine.instantiate(*functions_module, {.tier = GetParam()});
    if (!probe && (probe.error().code == ErrorCode::kNotFound || probe.error().code == ErrorCode::kUnsupported)) {
      GTEST_SKIP() << probe.error().to_string();
    }
  }

  std::optional<Instance> start(SystemCallInterposer interposer) {
    const auto personality =
        make_linux_personality({.standard_input = null_, .standard_output = null_, .standard_error = null_});
    if (!personality) return std::nullopt;
    return instantiate(*program_module,
                       {.tier = GetParam(), .personality = *personality, .interposer = std::move(interposer)});
  }

  std::optional<Instance> instantiate(const Module& module, const InstanceOptions& options) {
    auto instance = engine.instantiate(module, options);
    if (instance) return *std::move(instance);
    ADD_FAILURE() << instance.error().to_string();
    return std::nullopt;
  }

  static std::int64_t call(Instance& instance, std::uint64_t number, std::uint64_t first = 0, std::uint64_t second = 0,
                           std::uint64_t third = 0) {
    const auto result = instance.call<long>("call", number, first, second, third);
    EXPECT_TRUE(result) << result.error().to_string();
    return result.value_or(-77777);
  }

  // Remembers everything and answers nothing.
  SystemCallInterposer recorder() {
    return [this](Caller&, std::uint64_t number, SystemCallArguments arguments) -> std::optional<std::int64_t> {
      Seen one{number, {}};
      std::ranges::copy(arguments, one.arguments.begin());
      seen.push_back(one);
      return std::nullopt;
    };
  }

  void TearDown() override { close(null_); }

  Engine engine = Engine::create().value();
  std::optional<Module> program_module, functions_module;
  std::vector<Seen> seen;

 private:
  const int null_ = open("/dev/null", O_RDWR | O_CLOEXEC);  // what guests have as 0, 1 and 2
};

TEST_P(InterposerTest, SeesEveryCallAndChangesNothing) {
  auto plain = start(nullptr), watched = start(recorder());
  ASSERT_TRUE(plain && watched);
  for (Instance* const instance : {&*plain, &*watched}) {
    EXPECT_EQ(call(*instance, kCloseCall, ~std::uint64_t{0}), -EBADF);
    EXPECT_EQ(call(*instance, kNobodys, 1, 2, 3), -ENOSYS);
    EXPECT_GE(call(*instance, kGetuid), 0);
    EXPECT_EQ(instance->call<long>("call_host", 41).value(), 42);
  }
  EXPECT_EQ(plain->gas_used(), watched->gas_used());
  // Neither host functions nor caisson_ready() are system calls.
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].number, kCloseCall);
  EXPECT_EQ(seen[0].arguments[0], ~std::uint64_t{0});
  EXPECT_EQ(seen[1].number, kNobodys);
  EXPECT_EQ(seen[1].arguments[0], 1u);
  EXPECT_EQ(seen[1].arguments[1], 2u);
  EXPECT_EQ(seen[1].arguments[2], 3u);
  EXPECT_EQ(seen[1].arguments[5], 55u);
  EXPECT_EQ(seen[2].number, kGetuid);
}

TEST_P(InterposerTest, AnswersWhatItLikes) {
  auto instance = start([](Caller&, std::uint64_t number, SystemCallArguments) -> std::optional<std::int64_t> {
    if (number == kGetuid) return 4242;
    if (number == kCloseCall) return -EPERM;
    return std::nullopt;
  });
  ASSERT_TRUE(instance);
  EXPECT_EQ(call(*instance, kGetuid), 4242);
  EXPECT_EQ(call(*instance, kCloseCall, 0), -EPERM);
  EXPECT_NE(call(*instance, kGetgid), 4242);
  // What was answered did not reach the personality: the descriptor is still open.
  EXPECT_EQ(call(*instance, kWriteCall, 0, instance->call<std::uint64_t>("address_of_text").value(), 3), 3);
}

TEST_P(InterposerTest, ReadsAndWritesTheGuestsMemory) {
  auto instance =
      start([](Caller& caller, std::uint64_t number, SystemCallArguments arguments) -> std::optional<std::int64_t> {
        if (number != kNobodys) return std::nullopt;
        std::array<std::uint8_t, 6> bytes = {};
        if (!caller.read_memory(arguments[0], bytes)) return -EFAULT;
        if (std::memcmp(bytes.data(), "before", bytes.size()) != 0) return -EINVAL;
        std::memcpy(bytes.data(), "after!", bytes.size());
        return caller.write_memory(arguments[0], bytes) ? 0 : -EFAULT;
      });
  ASSERT_TRUE(instance);
  const std::uint64_t address = instance->call<std::uint64_t>("address_of_text").value();
  EXPECT_EQ(call(*instance, kNobodys, address), 0);
  std::array<std::uint8_t, 6> bytes = {};
  ASSERT_TRUE(instance->read_memory(address, bytes));
  EXPECT_EQ(std::memcmp(bytes.data(), "after!", bytes.size()), 0);
  EXPECT_EQ(call(*instance, kNobodys, 0), -EFAULT);
  EXPECT_EQ(call(*instance, kNobodys, ~std::uint64_t{0} - 2), -EFAULT);
}

TEST_P(InterposerTest, WithoutAPersonalityItIsTheOnlyOneToAnswer) {
  auto instance = instantiate(
      *functions_module,
      {.tier = GetParam(),
       .interposer = [](Caller&, std::uint64_t number, SystemCallArguments arguments) -> std::optional<std::int64_t> {
         if (number != kNobodys) return std::nullopt;
         return static_cast<std::int64_t>(arguments[0] * 2);
       }});
  ASSERT_TRUE(instance);
  EXPECT_EQ(call(*instance, kNobodys, 21), 42);
  EXPECT_EQ(instance->call<long>("call_host", 41).value(), 42);
  for (const std::uint64_t number : {kGetuid, std::uint64_t{0x1000}, std::uint64_t{0x2000}, ~std::uint64_t{0}}) {
    const std::array<std::uint64_t, 4> arguments = {number, 0, 0, 0};
    const auto result = instance->invoke("call", arguments, kUnlimitedGas);
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(result->exit_reason, ExitReason::kEcall);
    EXPECT_EQ(result->exit_arg, number);
  }
}

// Number 0 would be a return, were the end that of a host function.
TEST_P(InterposerTest, FailureEndsTheRun) {
  auto instance = start([](Caller& caller, std::uint64_t number, SystemCallArguments) -> std::optional<std::int64_t> {
    if (number == kIoSetup) caller.fail("not here");
    if (number == kGetuid) throw std::runtime_error("thrown");
    if (number == kGetgid) throw 3;
    return std::nullopt;
  });
  ASSERT_TRUE(instance);
  ASSERT_TRUE(instance->start());
  struct Failure {
    std::uint64_t number;
    const char* text;
  };
  for (const Failure& failure :
       {Failure{kIoSetup, "not here"}, {kGetuid, "thrown"}, {kGetgid, "not a std::exception"}}) {
    const std::array<std::uint64_t, 4> arguments = {failure.number, 0, 0, 0};
    const auto result = instance->invoke("call", arguments, kUnlimitedGas);
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_FALSE(result->ok());
    EXPECT_EQ(result->exit_reason, ExitReason::kEcall);
    EXPECT_EQ(result->exit_arg, failure.number);
    EXPECT_NE(instance->host_error().find(failure.text), std::string_view::npos) << instance->host_error();
  }
  EXPECT_EQ(call(*instance, kCloseCall, 1000), -EBADF);
}

// Paid once however often the run stops, and asked again where nothing came of the call.
TEST_P(InterposerTest, ChargesExactly) {
  constexpr std::uint64_t kPrice = 1000, kCalls = 20;
  const auto interposer = [this](Caller& caller, std::uint64_t number,
                                 SystemCallArguments arguments) -> std::optional<std::int64_t> {
    if (number != kNobodys) return std::nullopt;
    if (!caller.charge(kPrice)) return std::nullopt;
    seen.push_back({number, {}});
    return static_cast<std::int64_t>(arguments[0]);
  };
  auto instance = start(interposer),
       free = start([](Caller&, std::uint64_t number, SystemCallArguments arguments) -> std::optional<std::int64_t> {
         if (number != kNobodys) return std::nullopt;
         return static_cast<std::int64_t>(arguments[0]);
       });
  ASSERT_TRUE(instance && free);
  ASSERT_TRUE(instance->start());
  ASSERT_TRUE(free->start());
  const std::uint64_t before = instance->gas_used(), free_before = free->gas_used();
  ASSERT_EQ(before, free_before);
  const std::array<std::uint64_t, 2> arguments = {kNobodys, kCalls};
  auto result = instance->invoke("call_many", arguments, 300);
  std::size_t stops = 0;
  while (result && result->exit_reason == ExitReason::kOutOfGas && stops < 1000) {
    ++stops;
    result = instance->resume(300);
  }
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_TRUE(result->ok());
  EXPECT_EQ(result->return_value, kCalls * (kCalls - 1) / 2);
  EXPECT_GT(stops, kCalls);
  EXPECT_EQ(seen.size(), kCalls);
  ASSERT_TRUE(free->invoke("call_many", arguments, kUnlimitedGas));
  EXPECT_EQ(instance->gas_used() - before, free->gas_used() - free_before + kCalls * kPrice);
}

TEST_P(InterposerTest, ForksHaveItToo) {
  auto instance = start(recorder());
  ASSERT_TRUE(instance);
  ASSERT_TRUE(instance->start());
  auto fork = instance->fork();
  ASSERT_TRUE(fork) << fork.error().to_string();
  seen.clear();
  EXPECT_EQ(call(*fork, kNobodys), -ENOSYS);
  EXPECT_EQ(call(*instance, kNobodys), -ENOSYS);
  EXPECT_EQ(seen.size(), 2u);
}

TEST_P(InterposerTest, CrosscheckAgreesWithIt) {
  auto instance = instantiate(
      *functions_module,
      {.tier = GetParam(), .crosscheck = 1, .interposer = [](Caller&, std::uint64_t, SystemCallArguments arguments) {
         return std::optional(static_cast<std::int64_t>(arguments[0] + 1));
       }});
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->call<long>("call_many", kNobodys, 100).value(), 5050);
}

struct NamedTier {
  Tier tier;
  const char* name;
};
constexpr NamedTier kTiers[] = {
    {Tier::kInterp, "interp"}, {Tier::kBaseline, "baseline"}, {Tier::kOptimized, "optimized"}, {Tier::kAuto, "auto"}};

INSTANTIATE_TEST_SUITE_P(Tiers, InterposerTest,
                         ::testing::Values(Tier::kInterp, Tier::kBaseline, Tier::kOptimized, Tier::kAuto),
                         [](const auto& tier) {
                           return std::string(std::ranges::find(kTiers, tier.param, &NamedTier::tier)->name);
                         });

}  // namespace
}  // namespace caisson
