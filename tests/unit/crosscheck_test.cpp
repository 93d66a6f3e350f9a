// --crosscheck: guests run as they do without it, and a difference is found and named.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "caisson/linux.h"
#include "runtime/guest_instance.h"
#include "support/guest_compiler.h"

namespace caisson {
namespace {

constexpr char kFunctions[] = R"guest(
#include <caisson/guest.h>
#include <stdint.h>
CAISSON_IMPORT(void, fill, uint64_t);
static uint8_t table[64];
static uint8_t untouched[64];
CAISSON_EXPORT uint64_t untouched_address(void) { return (uint64_t)untouched; }
CAISSON_EXPORT __attribute__((naked)) void step(void) {
  __asm__ volatile(".option push\n .option norvc\n addi a0, a0, 1\n .option pop\n ret");
}
CAISSON_EXPORT uint64_t work(uint64_t rounds) {
  uint64_t hash = 17;
  double sum = 0;
  for (uint64_t round = 0; round < rounds; ++round) {
    if (round % 8 == 0) fill((uint64_t)table);
    table[round % 64] += hash;
    hash = hash * 31 + table[(round * 7) % 64];
    sum += hash / 3.0;
    __atomic_fetch_add((uint32_t*)table, 3, __ATOMIC_SEQ_CST);
    uint64_t time;
    __asm__ volatile("rdtime %0" : "=r"(time));
    hash ^= time != 0;
  }
  return hash + (uint64_t)sum;
}
CAISSON_EXPORT uint64_t load(volatile uint64_t* address) { return *address; }
)guest";

// System calls that write guest memory, memory that comes, moves and goes, signals, floats.
constexpr char kProgram[] = R"guest(
#define _GNU_SOURCE
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
static volatile int signals;
static void handler(int number) { signals += number; }
int main(void) {
  signal(SIGUSR1, handler);
  raise(SIGUSR1);
  double sum = 0;
  for (int i = 1; i < 400; ++i) sum += sqrt(i) / 3 + (float)i * 0.1f;
  char* block = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(block, 3, 1 << 16);
  mprotect(block, 4096, PROT_READ);
  mprotect(block, 8192, PROT_NONE);
  mprotect(block, 8192, PROT_READ | PROT_WRITE);
  block = mremap(block, 1 << 16, 1 << 18, MREMAP_MAYMOVE);
  block[(1 << 18) - 1] = 9;
  madvise(block + 8192, 4096, MADV_DONTNEED);
  char* heap = sbrk(100000);
  memset(heap, 5, 100000);
  int ends[2];
  struct timespec now;
  if (pipe(ends) != 0 || clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 1;
  char text[32] = "";
  if (write(ends[1], "through a pipe", 15) != 15 || read(ends[0], text, sizeof text) != 15) return 2;
  unsigned total = 0;
  for (int i = 0; i < 1 << 18; i += 512) total += (unsigned char)block[i];
  printf("%.6f %u %d %d %s\n", sum, total, heap[99999], signals, text);
  munmap(block, 1 << 18);
  return 7;
}
)guest";

// A page that is entered at its end first, in front of straight-line code, and then at its begin, from where two ways lead there through
// lui instructions that overlap: one to the same instruction, one behind it. The second compilation takes the first one's code for what
// both have. The calls come from another page.
constexpr char kOverlappingWays[] = R"guest(
#include <caisson/guest.h>
#include <stdint.h>
__asm__(
    ".pushsection .text.ways, \"ax\", @progbits\n"
    ".balign 4096\n .option push\n .option norvc\n"
    ".globl ways\n"
    "ways: bnez a0, first\n"
    "  bnez a1, straight\n"
    "  bnez a2, second\n"
    "  ret\n"
    "first: .half 0x0fb7\n"
    "second: .half 0x0f37, 0x0fb7\n"
    ".globl last\n"
    "last: .half 0x0e05\n"
    "  .rept 3\n"
    "  add t3, t4, s5\n add t4, t5, t1\n add t5, t6, s4\n add t6, t0, t3\n add t0, t1, s6\n add t1, t2, t5\n add t2, s2, t3\n"
    "  .endr\n"
    "end: add a0, t3, t4\n add a0, a0, t5\n add a0, a0, t6\n ret\n"
    "straight: .rept 40\n add t3, t3, t4\n xor t5, t5, t3\n add t6, t6, t5\n .endr\n"
    "  addi t4, t4, -1\n bnez t4, straight\n j end\n"
    ".balign 4096\n .option pop\n .popsection\n");
#define REGISTERS \
  "li t0, 3\n li t1, 5\n li t2, 7\n li s2, 11\n li s4, 13\n li s5, 17\n li s6, 19\n" \
  "li t3, 23\n li t4, 29\n li t5, 31\n li t6, 37\n"
CAISSON_EXPORT __attribute__((naked)) void enter_last(void) { __asm__(REGISTERS "j last"); }
CAISSON_EXPORT __attribute__((naked)) void enter(void) { __asm__(REGISTERS "j ways"); }
)guest";

constexpr Tier kTiers[] = {Tier::kInterp, Tier::kBaseline, Tier::kAuto};
constexpr std::uint64_t kIntervals[] = {1, 500, 60'000};

class CrosscheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
    engine.host_function("fill", [](Caller& caller, std::uint64_t address) {
      constexpr std::array<std::uint8_t, 3> kBytes = {1, 2, 3};
      caller.write_memory(address + 20, kBytes);
    });
  }

  Module load(const char* source, std::initializer_list<std::string> options) {
    const auto bytes = test::compile_guest({{"guest.c", source}}, options);
    if (!bytes) throw std::runtime_error(bytes.error().to_string());
    return engine.load_bytes(*bytes, "guest").value();
  }
  Module functions() { return load(kFunctions, {"-O1", "-nostdlib", "-static", "-Wl,-e,0", "-Wl,--build-id=none"}); }
  Instance instantiate(const Module& module, InstanceOptions options) {
    Result<Instance> instance = engine.instantiate(module, std::move(options));
    if (!instance) throw std::runtime_error(instance.error().to_string());
    return *std::move(instance);
  }

  Engine engine = Engine::create().value();
};

TEST_F(CrosscheckTest, FunctionsComputeTheSame) {
  const Module module = functions();
  Instance alone = instantiate(module, {.tier = Tier::kInterp});
  const InvocationResult expected = alone.invoke("work", std::array<std::uint64_t, 1>{200}).value();
  for (const Tier tier : kTiers) {
    for (const std::uint64_t interval : kIntervals) {
      Instance instance = instantiate(module, {.tier = tier, .crosscheck = interval});
      const Result<InvocationResult> result = instance.invoke("work", std::array<std::uint64_t, 1>{200});
      ASSERT_TRUE(result) << result.error().to_string();
      EXPECT_EQ(result->return_value, expected.return_value);
      EXPECT_EQ(instance.gas_used(), alone.gas_used());
      // A fault, and running out of gas and going on, are the same too.
      const Result<InvocationResult> fault = instance.invoke("load", std::array<std::uint64_t, 1>{8});
      ASSERT_TRUE(fault) << fault.error().to_string();
      EXPECT_EQ(fault->exit_reason, ExitReason::kPageFault);
      Result<InvocationResult> part = instance.invoke("work", std::array<std::uint64_t, 1>{50}, 700);
      unsigned stops = 0;
      for (; part && part->exit_reason == ExitReason::kOutOfGas && stops < 100; ++stops) part = instance.resume(700);
      ASSERT_TRUE(part) << part.error().to_string();
      EXPECT_TRUE(part->ok());
      EXPECT_GT(stops, 2U);
    }
  }
}

TEST_F(CrosscheckTest, LinuxProgramsPrintTheSame) {
  const Module module = load(kProgram, {"-O1", "-static", "-fno-math-errno"});
  const auto output = [&](Tier tier, std::uint64_t interval) {
    const int file = ::memfd_create("output", MFD_CLOEXEC);
    Instance instance = instantiate(
        module, {.tier = tier,
                 .crosscheck = interval,
                 .personality = make_linux_personality({.program = "/guest", .standard_output = file}).value()});
    const Result<InvocationResult> result = instance.start();
    std::array<char, 256> text{};
    const ssize_t length = ::pread(file, text.data(), text.size(), 0);
    ::close(file);
    if (!result) return result.error().to_string();
    return fmt::format("{} {} {}", to_string(result->exit_reason), result->return_value,
                       std::string(text.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))));
  };
  const std::string expected = output(Tier::kInterp, 0);
  EXPECT_TRUE(expected.starts_with("halt 7 ")) << expected;
  EXPECT_TRUE(expected.ends_with(" 10 through a pipe\n")) << expected;
  for (const Tier tier : kTiers) {
    for (const std::uint64_t interval : kIntervals) EXPECT_EQ(output(tier, interval), expected);
  }
}

// A page is compiled in several pieces, under comparison as without.
TEST_F(CrosscheckTest, ComparesLaterPiecesOfAPage) {
  const auto bytes = test::compile_guest({{"guest.c", kOverlappingWays}},
                                         {"-O1", "-nostdlib", "-static", "-Wl,-e,0", "-Wl,--build-id=none"});
  ASSERT_TRUE(bytes) << bytes.error().to_string();
  const auto load_ways = [&] { return engine.load_bytes(*bytes, "guest").value(); };
  Instance alone = instantiate(load_ways(), {.tier = Tier::kInterp});
  // Ways are taken twice, so that Tier::kAuto compiles. The first order takes the long one soon: each checkpoint is a sample, and after
  // some of them other registers are chosen and the page is compiled anew. The second one has compiled the page when it comes to that.
  const std::vector<std::uint64_t> orders[] = {{0, 0, 2, 2, 1, 1, 4, 4, 0}, {0, 0, 1, 1, 4, 4, 2, 2, 4, 4, 0}};
  const auto compare = [&](Tier tier, std::uint64_t interval, const std::vector<std::uint64_t>& order) {
    // Its own module, since instances share what any of them has compiled, be it in one piece.
    Instance instance = instantiate(load_ways(), {.tier = tier, .crosscheck = interval});
    for (const std::uint64_t way : order) {
      const std::array arguments = {way & 1, way >> 1 & 1, way >> 2 & 1};
      const auto call = [&](Instance& guest) {
        return way == 0 ? guest.invoke("enter_last") : guest.invoke("enter", arguments);
      };
      const Result<InvocationResult> result = call(instance);
      ASSERT_TRUE(result) << result.error().to_string();
      EXPECT_EQ(result->return_value, call(alone).value().return_value);
    }
    if (tier == Tier::kAuto) EXPECT_GT(instance.guest().execution().baseline_stats().compiled.units, 1U);
  };
  for (const auto& order : orders) {
    for (const Tier tier : kTiers) {
      for (const std::uint64_t interval : kIntervals) {
        SCOPED_TRACE(fmt::format("tier {} interval {} order {}", static_cast<int>(tier), interval, &order - orders));
        compare(tier, interval, order);
      }
    }
  }
}

TEST_F(CrosscheckTest, FindsARegister) {
  const Module module = functions();
  std::uint64_t step = 0;
  for (const ExportedFunction& function : module.exports()) {
    if (function.name == "step") step = function.address;
  }
  for (const std::uint64_t interval : kIntervals) {
    Instance instance = instantiate(module, {.tier = Tier::kBaseline, .crosscheck = interval});
    ASSERT_TRUE(instance.invoke("step", std::array<std::uint64_t, 1>{4}));
    // The interpreter alone is told to add 2.
    memory::AddressSpace& shadow = instance.guest().crosscheck()->shadow_memory();
    constexpr std::uint32_t kAddTwo = 0x00250513;
    const std::uint64_t page = step / memory::kPageSize * memory::kPageSize;
    ASSERT_EQ(shadow.protect(page, memory::kPageSize, memory::kRead | memory::kWrite), memory::MapStatus::kOk);
    ASSERT_TRUE(shadow.write_value(step, kAddTwo));
    ASSERT_EQ(shadow.protect(page, memory::kPageSize, memory::kRead | memory::kExecute), memory::MapStatus::kOk);

    const Result<InvocationResult> result = instance.invoke("step", std::array<std::uint64_t, 1>{4});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kInternal);
    const std::string& report = result.error().message;
    EXPECT_NE(report.find(fmt::format("pc {:#x}", step)), report.npos) << report;
    EXPECT_NE(report.find("x10 (a0): 0x5, interpreter 0x6"), report.npos) << report;
    EXPECT_NE(report.find("addi a0,a0,1"), report.npos) << report;
    EXPECT_EQ(instance.invoke("step", std::array<std::uint64_t, 1>{4}).error().code, ErrorCode::kGuestEnded);
  }
}

TEST_F(CrosscheckTest, FindsAByteOfMemory) {
  Instance instance = instantiate(functions(), {.tier = Tier::kBaseline, .crosscheck = 1});
  const Result<InvocationResult> where = instance.invoke("untouched_address");
  ASSERT_TRUE(where) << where.error().to_string();
  const std::uint64_t address = where->return_value + 5;
  ASSERT_TRUE(instance.guest().crosscheck()->shadow_memory().write_value(address, std::uint8_t{0x40}));
  const Result<InvocationResult> result = instance.invoke("step", std::array<std::uint64_t, 1>{4});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find(fmt::format("byte at {:#x}: 0x00, interpreter 0x40", address)),
            std::string::npos)
      << result.error().message;
}

TEST_F(CrosscheckTest, FollowsWhatTheEmbedderWrites) {
  Instance instance = instantiate(functions(), {.tier = Tier::kBaseline, .crosscheck = 1});
  const std::uint64_t address = instance.invoke("untouched_address").value().return_value;
  constexpr std::array<std::uint8_t, 8> kBytes = {1, 2, 3};
  ASSERT_TRUE(instance.write_memory(address, kBytes));
  const Result<InvocationResult> result = instance.invoke("load", std::array{address});
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->return_value, 0x030201U);
}

}  // namespace
}  // namespace caisson
