// Instances: how runs end, how they are stopped and go on, and what calls find in registers and memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "caisson/engine.h"
#include "gas/gas_schedule.h"
#include "runtime/guest_instance.h"
#include "runtime/guest_layout.h"
#include "runtime/personality.h"
#include "support/guest_compiler.h"

namespace caisson {
namespace {

using runtime::EcallOutcome;
using runtime::GuestInstance;

// Functions that end in every way a guest can end by itself.
constexpr char kFunctions[] = R"guest(
#include <caisson/guest.h>
#include <stdint.h>
#include <unset_registers.h>

CAISSON_EXPORT int add(int a, int b) { return a + b; }
CAISSON_EXPORT void break_here(void) { __asm__ volatile(".globl break_at\n.type break_at, @function\nbreak_at: ebreak"); }
CAISSON_EXPORT void illegal(void) { __asm__ volatile(".globl illegal_at\n.type illegal_at, @function\nillegal_at: .4byte 0xffffffff"); }
CAISSON_EXPORT uint8_t load(const volatile uint8_t* address) { return *address; }
CAISSON_EXPORT void store(volatile uint64_t* address, uint64_t value) { *address = value; }
CAISSON_EXPORT void jump(void (*address)(void)) { address(); }
CAISSON_EXPORT void misaligned_atomic(void) {
  static uint64_t value[2];
  __asm__ volatile(".globl atomic_at\n.type atomic_at, @function\natomic_at: amoadd.w zero, zero, (%0)" ::"r"((char*)value + 1) : "memory");
}
CAISSON_EXPORT uint64_t call_number(uint64_t number, uint64_t argument) {
  register uint64_t a7 __asm__("a7") = number;
  register uint64_t a0 __asm__("a0") = argument;
  __asm__ volatile(".globl ecall_at\n.type ecall_at, @function\necall_at: ecall" : "+r"(a0) : "r"(a7) : "memory");
  return a0;
}
CAISSON_EXPORT void spin(void) { for (;;) __asm__ volatile(""); }
CAISSON_EXPORT uint64_t stack_pointer(void) { uint64_t sp; __asm__ volatile("mv %0, sp" : "=r"(sp)); return sp; }

// Every register that a call can leave unset, or'ed.
CAISSON_EXPORT __attribute__((naked)) void other_registers(void) {
  __asm__ volatile(
      OR_UNSET_REGISTERS
      "li s0, -1\n li t6, -1\n fmv.d.x fs0, s0\n fmv.d.x ft11, s0\n fscsr zero, s0\n li gp, -1\n li tp, -1\n ret");
}
CAISSON_EXPORT uint64_t global_pointer(void) { uint64_t gp; __asm__ volatile("mv %0, gp" : "=r"(gp)); return gp; }
CAISSON_EXPORT uint64_t six(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
  return a | b << 8 | c << 16 | d << 24 | e << 32 | f << 40;
}
CAISSON_EXPORT double mixed(int a, double b, float c, long d) { return a + b * c + d; }
CAISSON_EXPORT float half(float value) { return value / 2; }
CAISSON_EXPORT int is_negative(signed char value) { return value < 0; }
CAISSON_EXPORT _Bool negate(_Bool value) { return !value; }
static uint64_t counter = 40;
CAISSON_EXPORT uint64_t count(void) { return ++counter; }
CAISSON_EXPORT uint64_t read_time(void) { uint64_t time; __asm__ volatile("rdtime %0" : "=r"(time)); return time; }

// Some of everything: calls, a loop, memory, floating point, division, a host function.
CAISSON_IMPORT(int, tick, int);
static uint32_t table[64];
static uint32_t mix(uint32_t a, uint32_t b) { return (a ^ b) * 2654435761u + a / (b | 1); }
CAISSON_EXPORT uint64_t everything(unsigned rounds) {
  uint32_t hash = 17;
  double sum = 0;
  for (unsigned round = 0; round < rounds; ++round) {
    table[round % 64] = mix(hash, round);
    hash += tick((int)(hash & 1023)) + table[(round * 7) % 64];
    sum += hash / 3.0;
  }
  return hash + (uint64_t)sum;
}
)guest";

// A program that becomes callable, without any library.
constexpr char kProgram[] = R"guest(
#include <caisson/guest.h>
CAISSON_EXPORT long initialised;
static void run(long* stack) {
  initialised = *stack + 42;
  caisson_ready();
  __asm__ volatile("li a0, 7\n li a7, 93\n ecall");
}
__attribute__((naked)) void _start(void) {
  __asm__ volatile(".option push\n.option norelax\n la gp, __global_pointer$\n.option pop\n li tp, 0x1234\n mv a0, sp\n tail run_program");
}
void run_program(long* stack) { run(stack); __builtin_unreachable(); }
CAISSON_EXPORT long get(void) { return initialised; }
CAISSON_EXPORT long thread_pointer(void) { long tp; __asm__ volatile("mv %0, tp" : "=r"(tp)); return tp; }
CAISSON_EXPORT long ready_again(void) { caisson_ready(); return 5; }
CAISSON_EXPORT void quit(long status) { register long a7 __asm__("a7") = 93; register long a0 __asm__("a0") = status; __asm__ volatile("ecall" :: "r"(a7), "r"(a0)); }
)guest";

const std::initializer_list<std::string> kFunctionOptions = {"-O1", "-nostdlib", "-static", "-Wl,-e,0",
                                                             "-Wl,--build-id=none"};
const std::initializer_list<std::string> kProgramOptions = {"-O1", "-nostdlib", "-static", "-Wl,--build-id=none"};

// Answers exit (93) by ending the run, and kills at faults with signal 11 if told to.
class TestPersonality : public runtime::Personality {
 public:
  bool kills = false;
  bool skips_ebreak = false;
  unsigned slices = 0;
  std::uint64_t load_pages = 0;  // charged beyond the program's own

  Result<void> start(GuestInstance& instance) override {
    if (Result<void> mapped = map_segments(instance, instance.module().elf, instance.module().bytes, 0); !mapped)
      return mapped;
    if (Result<void> paid = instance.charge_pages(load_pages); !paid) return paid;
    const std::uint64_t stack_low = runtime::kStackTop - instance.options().stack_size;
    if (instance.memory().map_anonymous(stack_low, instance.options().stack_size, memory::kRead | memory::kWrite) !=
        memory::MapStatus::kOk) {
      return fail(ErrorCode::kOutOfMemory, "no stack");
    }
    instance.set_ecall(93, {&TestPersonality::exit, nullptr});
    instance.set_unknown_ecall({&TestPersonality::unknown, nullptr});
    instance.hart().pc = instance.module().elf.entry;
    instance.hart().x[riscv::kSp] = runtime::kStackTop - 64;
    return {};
  }
  bool on_trap(GuestInstance& instance, riscv::HartState& hart, const riscv::Trap& trap) override {
    if (skips_ebreak && trap.kind == riscv::TrapKind::kEbreak) {
      hart.pc += 2;
      return true;
    }
    if (kills) instance.finish(ExitReason::kSignalled, 11, 0);
    return false;
  }
  void on_slice(GuestInstance&, riscv::HartState&) override { ++slices; }

 private:
  static EcallOutcome exit(GuestInstance& instance, riscv::HartState& hart, void*) {
    instance.finish(ExitReason::kHalt, 0, hart.x[riscv::kA0]);
    return EcallOutcome::kExit;
  }
  static EcallOutcome unknown(GuestInstance&, riscv::HartState& hart, void*) {
    hart.x[riscv::kA0] = static_cast<std::uint64_t>(-38);
    return EcallOutcome::kContinue;
  }
};

class RuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
    engine.host_function("tick", [](int value) { return value / 2; }, 30);
    functions = load(kFunctions, kFunctionOptions);
  }

  std::optional<Module> load(const char* source, std::initializer_list<std::string> options) {
    const auto bytes = test::compile_guest({{"guest.c", source}}, options);
    if (!bytes) {
      ADD_FAILURE() << bytes.error().to_string();
      return std::nullopt;
    }
    const Result<Module> module = engine.load_bytes(*bytes, "guest");
    if (!module) {
      ADD_FAILURE() << module.error().to_string();
      return std::nullopt;
    }
    return *module;
  }

  Instance instantiate(const Module& module, InstanceOptions options = {}) {
    Result<Instance> instance = engine.instantiate(module, std::move(options));
    if (!instance) throw std::runtime_error(instance.error().to_string());
    return *std::move(instance);
  }

  std::uint64_t address_of(std::string_view name) const {
    for (const ExportedFunction& function : functions->exports()) {
      if (function.name == name) return function.address;
    }
    return 0;
  }

  static InvocationResult invoke(Instance& instance, std::string_view name, std::vector<std::uint64_t> arguments = {},
                                 std::uint64_t gas = kUnlimitedGas) {
    const Result<InvocationResult> result = instance.invoke(name, arguments, gas);
    if (!result) throw std::runtime_error(result.error().to_string());
    return *result;
  }

  Engine engine = Engine::create().value();
  std::optional<Module> functions;
};

TEST_F(RuntimeTest, CallReturns) {
  Instance instance = instantiate(*functions);
  const InvocationResult result = invoke(instance, "add", {3, 4});
  EXPECT_EQ(result.exit_reason, ExitReason::kHostCall);
  EXPECT_EQ(result.exit_arg, 0U);
  EXPECT_EQ(result.return_value, 7U);
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(instance.call<int>("add", 40, 2), 42);
  EXPECT_EQ(instance.call<int>("add", -40, 2), -38);
}

TEST_F(RuntimeTest, EveryExitOfTheGuest) {
  Instance instance = instantiate(*functions);
  struct Case {
    const char* function;
    std::vector<std::uint64_t> arguments;
    ExitReason reason;
    std::uint64_t exit_arg;
  };
  const Case cases[] = {
      {"break_here", {}, ExitReason::kTrap, address_of("break_at")},
      {"illegal", {}, ExitReason::kPanic, address_of("illegal_at")},
      {"misaligned_atomic", {}, ExitReason::kTrap, address_of("atomic_at")},
      {"load", {0}, ExitReason::kPageFault, 0},
      {"load", {0xFFFF'0000}, ExitReason::kPageFault, 0xFFFF'0000},
      {"load", {0x1'0000'0010}, ExitReason::kPageFault, 0x10},
      {"store", {0x8000'0000, 1}, ExitReason::kPageFault, 0x8000'0000},
      {"store", {address_of("add") & ~7ULL, 1}, ExitReason::kPageFault, address_of("add") & ~7ULL},
      {"jump", {0x7000'0000}, ExitReason::kPageFault, 0x7000'0000},
      {"jump", {runtime::kStackTop - 64}, ExitReason::kPageFault, runtime::kStackTop - 64},
      {"call_number", {0x7777, 5}, ExitReason::kEcall, 0x7777},
      {"call_number", {~0ULL, 5}, ExitReason::kEcall, ~0ULL},
      {"call_number", {93, 5}, ExitReason::kEcall, 93},
  };
  for (const Case& test_case : cases) {
    const InvocationResult result = invoke(instance, test_case.function, test_case.arguments);
    EXPECT_EQ(result.exit_reason, test_case.reason) << test_case.function;
    EXPECT_EQ(result.exit_arg, test_case.exit_arg) << test_case.function;
    EXPECT_FALSE(result.ok());
    EXPECT_EQ(instance.call<int>("add", 1, 2), 3) << "the next call starts afresh";
  }
}

TEST_F(RuntimeTest, StackOverflowFaultsBelowTheStack) {
  Instance instance = instantiate(*functions, {.stack_size = 8192});
  const std::uint64_t low = runtime::kStackTop - 8192;
  EXPECT_EQ(invoke(instance, "load", {low}).exit_reason, ExitReason::kHostCall);
  const InvocationResult below = invoke(instance, "load", {low - 1});
  EXPECT_EQ(below.exit_reason, ExitReason::kPageFault);
  EXPECT_EQ(below.exit_arg, low - 1);
}

TEST_F(RuntimeTest, CallsBeginWithCleanRegisters) {
  Instance instance = instantiate(*functions);
  EXPECT_EQ(instance.call<std::uint64_t>("other_registers"), 0U);
  EXPECT_EQ(instance.call<std::uint64_t>("other_registers"), 0U) << "the first call set registers";
  EXPECT_EQ(instance.call<std::uint64_t>("stack_pointer"), runtime::kStackTop);
  EXPECT_EQ(instance.call<std::uint64_t>("global_pointer"), functions->state()->elf.global_pointer)
      << "relaxed code needs it";
  EXPECT_NE(functions->state()->elf.global_pointer, 0U);
}

TEST_F(RuntimeTest, TypedCalls) {
  Instance instance = instantiate(*functions);
  EXPECT_EQ(instance.call<std::uint64_t>("six", 1, 2, 3, 4, 5, 6), 0x060504030201U);
  EXPECT_EQ(instance.call<double>("mixed", 1, 2.5, 4.0F, -7L), 1 + 2.5 * 4 - 7);
  EXPECT_EQ(instance.call<float>("half", 5.0F), 2.5F);
  EXPECT_EQ(instance.call<bool>("is_negative", static_cast<signed char>(-1)), true);
  EXPECT_EQ(instance.call<bool>("negate", true), false);
  EXPECT_EQ(instance.call<bool>("negate", false), true);
  EXPECT_TRUE(instance.call<void>("count").has_value());
  EXPECT_EQ(instance.call<std::uint64_t>("count"), 42U) << "memory stays between calls";
}

TEST_F(RuntimeTest, CallsThatCannotBeMade) {
  Instance instance = instantiate(*functions);
  EXPECT_EQ(instance.invoke("nothing").error().code, ErrorCode::kNotFound);
  const std::vector<std::uint64_t> seven(7), nine(9);
  EXPECT_EQ(instance.invoke("add", seven).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(instance.invoke("add", CallArguments({}, nine), kUnlimitedGas).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(instance.start().error().code, ErrorCode::kInvalidArgument) << "there is no entry point";
  EXPECT_EQ(instance.resume().error().code, ErrorCode::kInvalidArgument);
  invoke(instance, "add", {1, 2});
  EXPECT_EQ(instance.resume().error().code, ErrorCode::kInvalidArgument) << "the call returned";
  const Result<int> failed = instance.call<int>("load", std::uint64_t{0});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kGuestEnded);
  EXPECT_NE(failed.error().message.find("page fault"), std::string::npos);
}

TEST_F(RuntimeTest, OptionsAreChecked) {
  EXPECT_EQ(engine.instantiate(*functions, {.memory_limit = 4095}).error().where, "memory_limit");
  EXPECT_EQ(engine.instantiate(*functions, {.memory_limit = (1ULL << 32) + 1}).error().where, "memory_limit");
  EXPECT_EQ(engine.instantiate(*functions, {.stack_size = 0}).error().where, "stack_size");
  EXPECT_EQ(engine.instantiate(*functions, {.stack_size = 1ULL << 40}).error().where, "stack_size");
  EXPECT_EQ(engine.instantiate(*functions, {.memory_limit = 64 << 10}).error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(engine.instantiate(*functions, {.memory_limit = 64 << 10, .stack_size = 64 << 10}).error().code,
            ErrorCode::kOutOfMemory)
      << "the stack fits and the program does not";
  Instance small = instantiate(*functions, {.memory_limit = 128 << 10, .stack_size = 8192});
  EXPECT_EQ(small.call<int>("add", 1, 2), 3);
  EXPECT_LE(small.peak_committed_bytes(), 128U << 10);
}

TEST_F(RuntimeTest, InstantiationCostsSixteenGasAPage) {
  Instance instance = instantiate(*functions);
  EXPECT_EQ(instance.gas_used(), instance.committed_bytes() / memory::kPageSize * gas::kPageGrantGas);
  EXPECT_EQ(engine.instantiate(*functions, {.gas = instance.gas_used() - 1}).error().code, ErrorCode::kLimit);
  EXPECT_TRUE(engine.instantiate(*functions, {.gas = instance.gas_used()}).has_value());
}

TEST_F(RuntimeTest, GasIsTheSameEveryTime) {
  std::set<std::uint64_t> cold, warm;
  for (int repetition = 0; repetition < 3; ++repetition) {
    Instance instance = instantiate(*functions);
    std::uint64_t before = instance.gas_used();
    invoke(instance, "everything", {50});
    cold.insert(instance.gas_used() - before);
    before = instance.gas_used();
    invoke(instance, "everything", {50});
    warm.insert(instance.gas_used() - before);
  }
  EXPECT_EQ(cold.size(), 1U);
  EXPECT_EQ(cold, warm);
}

TEST_F(RuntimeTest, OutOfGasAtEveryPointResumesToTheSameEnd) {
  Instance whole = instantiate(*functions);
  const std::uint64_t mapped = whole.gas_used();
  const InvocationResult expected = invoke(whole, "everything", {5});
  ASSERT_TRUE(expected.ok()) << to_string(expected.exit_reason) << ' ' << expected.exit_arg << ' '
                             << whole.program_counter();
  const std::uint64_t total = whole.gas_used() - mapped;
  EXPECT_EQ(invoke(whole, "everything", {5}, total).gas_remaining, 0U) << "exactly enough is enough";

  std::set<std::uint64_t> stops;
  for (std::uint64_t gas = 0; gas < total; ++gas) {
    Instance instance = instantiate(*functions);
    const InvocationResult stopped = invoke(instance, "everything", {5}, gas);
    ASSERT_EQ(stopped.exit_reason, ExitReason::kOutOfGas) << gas;
    ASSERT_EQ(stopped.exit_arg, instance.program_counter());
    ASSERT_EQ(stopped.gas_remaining, gas - (instance.gas_used() - mapped)) << gas;
    stops.insert(stopped.exit_arg);
    const Result<InvocationResult> resumed = instance.resume(total - gas);
    ASSERT_TRUE(resumed) << resumed.error().to_string();
    ASSERT_TRUE(resumed->ok()) << gas;
    ASSERT_EQ(resumed->return_value, expected.return_value) << gas;
    ASSERT_EQ(resumed->gas_remaining, 0U) << gas;
    ASSERT_EQ(instance.gas_used() - mapped, total) << gas;
  }
  EXPECT_GT(stops.size(), 5U) << "the program stops at many different places";
}

TEST_F(RuntimeTest, OutOfGasAfterOutOfGas) {
  Instance whole = instantiate(*functions);
  const std::uint64_t mapped = whole.gas_used();
  const InvocationResult expected = invoke(whole, "everything", {3});
  const std::uint64_t total = whole.gas_used() - mapped;

  Instance instance = instantiate(*functions);
  InvocationResult result = invoke(instance, "everything", {3}, 0);
  std::uint64_t granted = 0;
  while (result.exit_reason == ExitReason::kOutOfGas) {
    ASSERT_LE(++granted, total);
    result = instance.resume(1).value();
  }
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.return_value, expected.return_value);
  EXPECT_EQ(granted, total);
  EXPECT_EQ(instance.gas_used() - mapped, total);
}

TEST_F(RuntimeTest, InterruptFromAnotherThread) {
  Instance instance = instantiate(*functions);
  std::atomic<bool> done{false};
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    instance.interrupt();
    done = true;
  });
  const InvocationResult result = invoke(instance, "spin");
  EXPECT_TRUE(done);
  stopper.join();
  EXPECT_EQ(result.exit_reason, ExitReason::kInterrupted);
  EXPECT_EQ(result.exit_arg, 0U);
  EXPECT_EQ(instance.call<int>("add", 1, 2), 3) << "an interruption is over once it is reported";
}

TEST_F(RuntimeTest, InterruptedRunsGoOn) {
  Instance whole = instantiate(*functions);
  const std::uint64_t mapped = whole.gas_used();
  const InvocationResult expected = invoke(whole, "everything", {200});
  const std::uint64_t total = whole.gas_used() - mapped;

  Instance instance = instantiate(*functions);
  instance.interrupt();
  InvocationResult result = invoke(instance, "everything", {200});
  EXPECT_EQ(result.exit_reason, ExitReason::kInterrupted) << "a request before the run stops it at once";
  std::atomic<bool> done{false};
  std::thread stopper([&] {
    while (!done) instance.interrupt();
  });
  for (int stop = 0; stop < 50 && result.exit_reason == ExitReason::kInterrupted; ++stop)
    result = instance.resume().value();
  done = true;
  stopper.join();
  while (result.exit_reason == ExitReason::kInterrupted) result = instance.resume().value();
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.return_value, expected.return_value);
  EXPECT_EQ(instance.gas_used() - mapped, total);
}

TEST_F(RuntimeTest, DeadlineEndsARun) {
  Instance instance = instantiate(*functions);
  const auto begin = Instance::Clock::now();
  instance.set_deadline(begin + std::chrono::milliseconds(20));
  EXPECT_EQ(invoke(instance, "spin").exit_reason, ExitReason::kInterrupted);
  EXPECT_GE(Instance::Clock::now() - begin, std::chrono::milliseconds(20));
  EXPECT_EQ(instance.resume().value().exit_reason, ExitReason::kInterrupted) << "it has passed";
  instance.set_deadline();
  EXPECT_EQ(instance.call<int>("add", 1, 2), 3);
}

TEST_F(RuntimeTest, DeterministicTimeIsGas) {
  Instance instance = instantiate(*functions, {.deterministic = true});
  const std::uint64_t before = instance.gas_used();
  const std::uint64_t time = instance.call<std::uint64_t>("read_time").value();
  EXPECT_GE(time, before / 100);
  EXPECT_LE(time, instance.gas_used() / 100);
  Instance again = instantiate(*functions, {.deterministic = true});
  EXPECT_EQ(again.call<std::uint64_t>("read_time"), time);
}

TEST_F(RuntimeTest, DecodeCacheModesAgree) {
  using DecodeCache = InstanceOptions::DecodeCache;
  std::set<std::pair<std::uint64_t, std::uint64_t>> outcomes;
  for (const DecodeCache mode : {DecodeCache::kOn, DecodeCache::kOff, DecodeCache::kVerify}) {
    Instance instance = instantiate(*functions, {.decode_cache = mode});
    const InvocationResult result = invoke(instance, "everything", {20});
    outcomes.emplace(result.return_value, instance.gas_used());
  }
  EXPECT_EQ(outcomes.size(), 1U);
}

TEST_F(RuntimeTest, MemoryFromOutside) {
  Instance instance = instantiate(*functions);
  const std::uint64_t low = runtime::kStackTop - 4096;
  const std::vector<std::uint8_t> bytes = {1, 2, 3, 4};
  EXPECT_TRUE(instance.write_memory(low, bytes));
  std::vector<std::uint8_t> copy(4);
  EXPECT_TRUE(instance.read_memory(low, copy));
  EXPECT_EQ(copy, bytes);
  EXPECT_FALSE(instance.read_memory(runtime::kStackTop - 2, copy));
  EXPECT_FALSE(instance.write_memory(0, bytes));
  EXPECT_FALSE(instance.write_memory(1ULL << 40, bytes));
}

TEST_F(RuntimeTest, InstancesOnSeveralThreads) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int repetition = 0; repetition < 20; ++repetition) {
        Result<Instance> instance = engine.instantiate(*functions);
        if (instance && instance->call<int>("add", repetition, 1) == repetition + 1) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 80);
}

// --- programs ---

TEST_F(RuntimeTest, ProgramIsStartedByItsFirstCall) {
  const std::optional<Module> program = load(kProgram, kProgramOptions);
  EXPECT_TRUE(program->has_start());
  Instance instance = instantiate(*program);
  EXPECT_EQ(instance.call<long>("get"), 42);
  EXPECT_EQ(instance.call<long>("thread_pointer"), 0x1234);
  EXPECT_EQ(instance.call<long>("ready_again"), 5);
  EXPECT_EQ(instance.start().error().code, ErrorCode::kInvalidArgument);
}

TEST_F(RuntimeTest, ProgramIsStartedExplicitlyAndMayGoOn) {
  const std::optional<Module> program = load(kProgram, kProgramOptions);
  Instance instance = instantiate(*program, {.personality = std::make_shared<TestPersonality>()});
  const Result<InvocationResult> ready = instance.start();
  ASSERT_TRUE(ready) << ready.error().to_string();
  EXPECT_EQ(ready->exit_reason, ExitReason::kHostCall);
  EXPECT_EQ(ready->exit_arg, 0U);
  const InvocationResult ended = instance.resume().value();
  EXPECT_EQ(ended.exit_reason, ExitReason::kHalt);
  EXPECT_EQ(ended.return_value, 7U);
  EXPECT_EQ(instance.invoke("get").error().code, ErrorCode::kGuestEnded);
  EXPECT_EQ(instance.resume().error().code, ErrorCode::kInvalidArgument);
}

TEST_F(RuntimeTest, ProgramEndsInACall) {
  const std::optional<Module> program = load(kProgram, kProgramOptions);
  Instance instance = instantiate(*program, {.personality = std::make_shared<TestPersonality>()});
  const InvocationResult result = invoke(instance, "quit", {3});
  EXPECT_EQ(result.exit_reason, ExitReason::kHalt);
  EXPECT_EQ(result.return_value, 3U);
  EXPECT_EQ(instance.invoke("get").error().code, ErrorCode::kGuestEnded);
}

TEST_F(RuntimeTest, ProgramThatIsNeverReady) {
  const std::optional<Module> program = load(
      "__attribute__((naked)) void _start(void) { __asm__ volatile(\"li a0, 9\\n li a7, 93\\n ecall\"); } void "
      "get(void) {}",
      kProgramOptions);
  Instance instance = instantiate(*program, {.personality = std::make_shared<TestPersonality>()});
  const Result<InvocationResult> result = instance.invoke("get");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kGuestEnded);
  EXPECT_NE(result.error().message.find("caisson_ready"), std::string::npos);
  EXPECT_NE(result.error().message.find("status 9"), std::string::npos);
}

TEST_F(RuntimeTest, OutOfGasWhileStartingResumesToTheSameEnd) {
  const std::optional<Module> program = load(kProgram, kProgramOptions);
  const auto make = [&] {
    auto personality = std::make_shared<TestPersonality>();
    personality->load_pages = 3;
    return instantiate(*program, {.gas = 0, .personality = personality});
  };
  Instance whole = make();
  const InvocationResult expected = invoke(whole, "get");
  ASSERT_EQ(expected.return_value, 42U);
  const std::uint64_t total = whole.gas_used();
  for (std::uint64_t gas = 0; gas < total; ++gas) {
    Instance instance = make();
    const InvocationResult stopped = invoke(instance, "get", {}, gas);
    ASSERT_EQ(stopped.exit_reason, ExitReason::kOutOfGas) << gas;
    const Result<InvocationResult> resumed = instance.resume(total - gas);
    ASSERT_TRUE(resumed) << resumed.error().to_string();
    ASSERT_TRUE(resumed->ok()) << gas;
    ASSERT_EQ(resumed->return_value, 42U);
    ASSERT_EQ(instance.gas_used(), total) << gas;
  }
}

TEST_F(RuntimeTest, PersonalityDecidesAboutTrapsAndSlices) {
  auto personality = std::make_shared<TestPersonality>();
  const std::optional<Module> program = load(
      "#include <caisson/guest.h>\n"
      "__attribute__((naked)) void _start(void) { __asm__ volatile(\"li a7, 0x103f\\n ecall\"); }\n"
      "CAISSON_EXPORT int skip(void) { __asm__ volatile(\"c.ebreak\"); return 3; }\n"
      "CAISSON_EXPORT int load(volatile int* address) { return *address; }\n"
      "CAISSON_EXPORT long unknown(void) { register long a7 __asm__(\"a7\") = 999; register long a0 __asm__(\"a0\") = "
      "1;"
      " __asm__ volatile(\"ecall\" : \"+r\"(a0) : \"r\"(a7)); return a0; }\n"
      "CAISSON_EXPORT void loop(int count) { for (volatile int i = 0; i < count; ++i) {} }\n",
      kProgramOptions);
  Instance instance = instantiate(*program, {.personality = personality});
  ASSERT_TRUE(instance.start().value().ok());
  personality->skips_ebreak = true;
  EXPECT_EQ(instance.call<int>("skip"), 3);
  EXPECT_EQ(instance.call<long>("unknown"), -38);
  personality->slices = 0;
  invoke(instance, "loop", {200'000});
  EXPECT_GE(personality->slices, 10U);
  personality->kills = true;
  const InvocationResult killed = invoke(instance, "load", {0});
  EXPECT_EQ(killed.exit_reason, ExitReason::kSignalled);
  EXPECT_EQ(killed.exit_arg, 11U);
  EXPECT_EQ(instance.invoke("skip").error().code, ErrorCode::kGuestEnded);
}

TEST_F(RuntimeTest, TheTrampolineIsOnlyForCalls) {
  const std::optional<Module> program =
      load("__attribute__((naked)) void _start(void) { __asm__ volatile(\"li t0, 0xffff0000\\n jr t0\"); }",
           kProgramOptions);
  Instance instance = instantiate(*program);
  const InvocationResult result = instance.start().value();
  EXPECT_EQ(result.exit_reason, ExitReason::kPageFault);
  EXPECT_EQ(result.exit_arg, 0xFFFF'0000U);
}

TEST_F(RuntimeTest, FunctionsWithoutEntryOption) {
  // The linker takes the first function for the entry point where there is no _start.
  const std::optional<Module> module =
      load("int first(int a) { return a + 1; } int second(int a) { return a + 2; }", {"-O1", "-nostdlib", "-static"});
  EXPECT_FALSE(module->has_start());
  Instance instance = instantiate(*module);
  EXPECT_EQ(instance.call<int>("second", 5), 7);
}

TEST_F(RuntimeTest, PositionIndependentFunctionsAreRelocated) {
  const std::optional<Module> module =
      load("static int value = 11; static int* volatile pointer = &value; int get(void) { return *pointer; }",
           {"-O1", "-nostdlib", "-static-pie", "-fPIE", "-Wl,-e,0"});
  EXPECT_FALSE(module->has_start());
  Instance instance = instantiate(*module);
  EXPECT_EQ(instance.call<int>("get"), 11);
}

TEST_F(RuntimeTest, RelocationsThatNeedALinkerAreRefused) {
  const auto bytes = test::compile_guest({{"guest.c", "extern int other; int get(void) { return other; }"}},
                                         {"-O1", "-nostdlib", "-shared", "-fPIC"});
  ASSERT_TRUE(bytes) << bytes.error().to_string();
  const Result<Module> module = engine.load_bytes(*bytes);
  ASSERT_TRUE(module) << module.error().to_string();
  EXPECT_EQ(engine.instantiate(*module).error().code, ErrorCode::kUnsupported);
}

TEST_F(RuntimeTest, ProgramFiles) {
  EXPECT_EQ(engine.load_file("/nonexistent/program").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(engine.load_file("/").error().code, ErrorCode::kNotExecutable);
  EXPECT_EQ(engine.load_file("/dev/null").error().code, ErrorCode::kNotExecutable);
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "program").string();
  test::write_file(path, {});
  EXPECT_EQ(engine.load_file(path).error().code, ErrorCode::kNotExecutable);
  const auto bytes = test::compile_guest({{"guest.c", kFunctions}}, kFunctionOptions);
  ASSERT_TRUE(bytes) << bytes.error().to_string();
  test::write_file(path, std::span(*bytes).first(100));
  const Result<Module> cut = engine.load_file(path);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::kInvalidImage);
  EXPECT_TRUE(cut.error().where.starts_with(path)) << cut.error().where;
  test::write_file(path, *bytes);
  const Result<Module> module = engine.load_file(path);
  ASSERT_TRUE(module) << module.error().to_string();
  EXPECT_EQ(module->name(), path);
  EXPECT_TRUE(std::ranges::equal(module->content_hash(), engine.load_bytes(*bytes)->content_hash()));
  EXPECT_FALSE(std::ranges::equal(module->content_hash(), load("void f(void) {}", kFunctionOptions)->content_hash()));
}

}  // namespace
}  // namespace caisson
