// Programs of an engine: forks, and seals that another engine opens half-way through them.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "caisson/linux.h"
#include "kernel_guests.h"

namespace caisson {
namespace {

constexpr char kFunctions[] = R"guest(
static unsigned long counter;
static unsigned char large[4 << 20];
CAISSON_EXPORT unsigned long count(unsigned long by) { return counter += by; }
CAISSON_EXPORT unsigned long fill(unsigned long value) {
  for (unsigned long i = 0; i < sizeof large; i += 8) *(volatile unsigned long*)(large + i) = value + i;
  return value;
}
CAISSON_EXPORT unsigned long look(unsigned long at) { return *(volatile unsigned long*)(large + at) - at; }
CAISSON_EXPORT unsigned long spin(unsigned long n) { for (unsigned long i = 0; i < n; ++i) counter = counter * 31 + i; return counter; }
)guest";

constexpr char kProgram[] = R"guest(
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
static volatile int ticks;
static void tick(int number) { (void)number; ++ticks; }
int main(int count, char** words) {
  signal(SIGALRM, tick);
  struct itimerval often = {{0, 200}, {0, 200}};
  setitimer(ITIMER_REAL, &often, 0);
  unsigned long hash = 5381;
  double sum = 0;
  for (int i = 0; i < 6; ++i) {
    char* piece = malloc(100000);
    memset(piece, i, 100000);
    for (int j = 0; j < 60000; ++j) {
      hash = hash * 33 + (unsigned char)piece[j] + j;
      sum += 1.0 / (j + 1);
    }
    printf("%d %lx %.12f %d\n", i, hash, sum, ticks);
    fflush(stdout);
  }
  printf("%s ends\n", words[count - 1]);
  return 3;
}
)guest";

class ProgramSeal : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  }
};

std::uint64_t call(Instance& instance, const char* function, std::uint64_t argument) {
  const std::array<std::uint64_t, 1> arguments{argument};
  const auto result = instance.invoke(function, arguments);
  EXPECT_TRUE(result) << result.error().to_string();
  return result ? result->return_value : ~std::uint64_t{0};
}

Instance functions(const Engine& engine, Tier tier) {
  const auto elf = test::compile_functions(kFunctions);
  EXPECT_TRUE(elf) << elf.error().to_string();
  return engine.instantiate(engine.load_bytes(*elf).value(), {.tier = tier}).value();
}

TEST_F(ProgramSeal, ForksGoTheirOwnWays) {
  for (const Tier tier : test::kKernelTiers) {
    const Engine engine = Engine::create({.resident_forks = 2}).value();
    Instance instance = functions(engine, tier);
    EXPECT_EQ(call(instance, "count", 5), 5u);
    EXPECT_EQ(call(instance, "fill", 1000), 1000u);
    std::vector<Instance> forks;
    for (int i = 0; i < 8; ++i) {
      Result<Instance> fork = instance.fork();
      ASSERT_TRUE(fork) << fork.error().to_string();
      EXPECT_EQ(fork->gas_used(), instance.gas_used());
      forks.push_back(*std::move(fork));
    }
    // More run than keep a window.
    for (int round = 1; round < 3; ++round) {
      for (std::size_t i = 0; i < forks.size(); ++i) {
        EXPECT_EQ(call(forks[i], "count", i), 5 + static_cast<unsigned>(round) * i);
        EXPECT_EQ(call(forks[i], "look", 8 * 4096 * i), 1000u);
      }
      EXPECT_EQ(call(instance, "count", 1), 5u + static_cast<unsigned>(round));
    }
    EXPECT_EQ(call(forks[3], "fill", 7), 7u);
    EXPECT_EQ(call(forks[4], "look", 4096), 1000u);
    EXPECT_EQ(call(instance, "look", 4096), 1000u);
    Instance of_fork = forks[3].fork().value();
    EXPECT_EQ(call(of_fork, "look", 4096), 7u);
    // A prepared call keeps its fork's window.
    const auto prepared = forks[5].prepare<unsigned long(unsigned long)>("count").value();
    const unsigned long before = prepared(0).value();
    for (Instance& each : forks) call(each, "look", 0);
    EXPECT_EQ(prepared(1).value(), before + 1);
  }
}

TEST_F(ProgramSeal, AForkOfARunThatStoppedResumes) {
  const Engine engine = Engine::create().value();
  Instance instance = functions(engine, Tier::kAuto);
  Instance whole = functions(engine, Tier::kInterp);
  const std::uint64_t expected = call(whole, "spin", 20'000);
  const std::array<std::uint64_t, 1> arguments{20'000};
  ASSERT_EQ(instance.invoke("spin", arguments, 30'000)->exit_reason, ExitReason::kOutOfGas);
  Instance fork = instance.fork().value();
  EXPECT_EQ(fork.resume()->return_value, expected);
  EXPECT_EQ(instance.resume()->return_value, expected);
  EXPECT_EQ(fork.gas_used(), whole.gas_used());
  EXPECT_EQ(instance.gas_used(), whole.gas_used());
}

// Where a guest's standard output goes.
class Output {
 public:
  Output() : descriptor_(memfd_create("output", MFD_CLOEXEC)) {}
  ~Output() { close(descriptor_); }
  int descriptor() const { return descriptor_; }
  std::string text() const {
    std::string text(static_cast<std::size_t>(lseek(descriptor_, 0, SEEK_END)), '\0');
    EXPECT_EQ(pread(descriptor_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }

 private:
  const int descriptor_;
};

InstanceOptions options_of(const Output& output, Tier tier) {
  LinuxOptions linux_options{.arguments = {"program", "it"}, .program = "/program"};
  linux_options.standard_output = output.descriptor();
  return {.tier = tier, .deterministic = true, .personality = make_linux_personality(std::move(linux_options)).value()};
}

TEST_F(ProgramSeal, AProgramGoesOnInAnotherEngineAsIfNothingHadHappened) {
  const auto elf = test::compile_guest({{"main.c", kProgram}}, {"-O2", "-static"});
  ASSERT_TRUE(elf) << elf.error().to_string();
  const Engine engine = Engine::create().value();
  const Module module = engine.load_bytes(*elf).value();
  const Output expected;
  Instance whole = engine.instantiate(module, options_of(expected, Tier::kInterp)).value();
  const InvocationResult end = whole.start().value();
  ASSERT_EQ(end.exit_reason, ExitReason::kHalt);
  ASSERT_EQ(end.return_value, 3u);
  ASSERT_TRUE(expected.text().ends_with("it ends\n")) << expected.text();

  for (const Tier tier : {Tier::kInterp, Tier::kBaseline, Tier::kAuto}) {
    const auto store = CapabilityStore::in_memory();
    const Output output;
    InstanceOptions first = options_of(output, tier);
    first.gas = whole.gas_used() / 7;
    Instance instance = engine.instantiate(module, first).value();
    Result<InvocationResult> result = instance.start();
    int stops = 0;
    while (result && result->exit_reason == ExitReason::kOutOfGas && stops < 100) {
      ++stops;
      const Result<Hash> sealed = seal_program(instance, *store);
      ASSERT_TRUE(sealed) << sealed.error().to_string();
      const Engine other = Engine::create().value();
      Result<Instance> opened = open_program(other, *store, *sealed, options_of(output, tier));
      ASSERT_TRUE(opened) << opened.error().to_string();
      instance = *std::move(opened);
      result = instance.resume(whole.gas_used() / 7);
    }
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_GE(stops, 6);
    EXPECT_EQ(result->exit_reason, ExitReason::kHalt);
    EXPECT_EQ(result->return_value, 3u);
    EXPECT_EQ(instance.gas_used(), whole.gas_used());
    EXPECT_EQ(output.text(), expected.text());
  }
}

TEST_F(ProgramSeal, WhatCannotBeOpenedSaysWhy) {
  const auto store = CapabilityStore::in_memory();
  const Engine engine = Engine::create().value();
  EXPECT_EQ(open_program(engine, *store, Hash()).error().code, ErrorCode::kNotFound);
  const Hash node = store->put(CNode()).value();
  EXPECT_EQ(open_program(engine, *store, node).error().code, ErrorCode::kInvalidArgument);
  const auto elf = test::compile_guest({{"main.c", kProgram}}, {"-O2", "-static"});
  const Output output;
  InstanceOptions options = options_of(output, Tier::kInterp);
  options.gas = 100'000;
  Instance instance = engine.instantiate(engine.load_bytes(*elf).value(), options).value();
  ASSERT_EQ(instance.start()->exit_reason, ExitReason::kOutOfGas);
  const Hash sealed = seal_program(instance, *store).value();
  EXPECT_EQ(open_program(engine, *store, sealed).error().code, ErrorCode::kInvalidArgument);  // no personality
  // Every byte of the runtime's part changed, one after the other: an error, or a program that only the guest can tell from another.
  const SealedInstance good = std::get<SealedInstance>(**store->get(sealed));
  for (std::size_t i = 0; i < good.runtime_state.size(); i += 3) {
    SealedInstance bad = good;
    bad.runtime_state[i] ^= 0x41;
    const Result<Hash> put = store->put(bad);
    ASSERT_TRUE(put);
    Result<Instance> opened = open_program(engine, *store, *put, options_of(output, Tier::kInterp));
    if (opened) EXPECT_NE(opened->resume(10'000).value_or(InvocationResult()).exit_reason, ExitReason::kAborted);
  }
}

}  // namespace
}  // namespace caisson
