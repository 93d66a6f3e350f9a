// The counters of the layers: each is passed a known number of times, and has counted it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "caisson/jit_backend.h"
#include "caisson/kernel.h"
#include "caisson/linux.h"
#include "caisson/perf.h"
#include "kernel/kernel_guests.h"
#include "memory/address_space.h"
#include "memory/fault_recovery.h"
#include "memory/memory_state.h"
#include "memory/window_pool.h"
#include "support/sample_capability.h"
#include "support/scratch_directory.h"

namespace caisson::perf {
namespace {

using Counts = std::map<std::string, std::uint64_t>;

// What one run of `body` counted with all counters on.
Counts counts_of(const std::function<void()>& body) {
  const Result<Report> report = measure({.mode = Mode::kNested}, [&]() -> Result<void> {
    body();
    return {};
  });
  EXPECT_TRUE(report) << report.error().to_string();
  Counts counts;
  if (report) {
    for (const Row& row : report->rows) counts[row.name] = row.calls;
  }
  return counts;
}

// Those of `counts` whose names begin so.
Counts section(const Counts& counts, const std::string& prefix) {
  Counts found;
  for (const auto& [name, calls] : counts) {
    if (name.starts_with(prefix)) found[name] = calls;
  }
  return found;
}

// Separate mode counts the same, each counter in a run of its own.
Counts counts_one_by_one(const std::function<void()>& body) {
  const Result<Report> report = measure({}, [&]() -> Result<void> {
    body();
    return {};
  });
  EXPECT_TRUE(report) << report.error().to_string();
  Counts counts;
  if (report) {
    for (const Row& row : report->rows) counts[row.name] = row.calls;
  }
  return counts;
}

// --- KERNEL, ROUTER, BOOT ---

constexpr char kCallsAChild[] = R"guest(
CAISSON_EXPORT unsigned long echo(unsigned long value) { caisson_reply(value); }
CAISSON_EXPORT unsigned long call(unsigned long n) {
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, 2)) return ~0ul;
  unsigned long sum = 0;
  for (unsigned long i = 0; i < n; ++i) sum += caisson_host_call(2, 0, i, 0, 0, 0, 0, 0).value;
  caisson_drop(2);
  return sum;
}
)guest";

TEST(CountedLayers, CallsBetweenInstances) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  const auto elf = test::compile_functions(kCallsAChild);
  ASSERT_TRUE(elf) << elf.error().to_string();
  constexpr std::uint64_t kCalls = 100;
  for (const Tier tier : {Tier::kInterp, Tier::kBaseline, Tier::kAuto}) {
    SCOPED_TRACE(test::tier_name(tier));
    test::KernelWorld world(tier);
    const Hash image = world.image(*elf, {"echo", "call"});
    const auto run = [&] {
      KernelInstance instance = world.kernel().derive(image).value();
      const std::uint64_t arguments[] = {kCalls};
      const Result<InvocationResult> result = instance.invoke(1, arguments, 100'000'000);
      ASSERT_TRUE(result) << result.error().to_string();
      EXPECT_EQ(result->return_value, kCalls * (kCalls - 1) / 2);
    };
    const Counts counts = counts_of(run);
    EXPECT_EQ(section(counts, "kernel::"),
              (Counts{{"kernel::derive_spawn", 1}, {"kernel::host_call", kCalls}, {"kernel::reply", kCalls}}));
    EXPECT_EQ(section(counts, "boot::"), (Counts{{"boot::instantiate", 1}, {"boot::invoke", 1}}));
    // Those, and DROP.
    EXPECT_EQ(section(counts, "router::"), (Counts{{"router::ecall", 2 * kCalls + 2}}));
    const Counts one_by_one = counts_one_by_one(run);
    for (const char* const part : {"kernel::", "boot::", "router::"})
      EXPECT_EQ(section(one_by_one, part), section(counts, part));
  }
}

// --- STORE ---

void put_and_get(CapabilityStore& store) {
  const Capability first(test::sample_data());
  const Hash hash = store.put(first).value();
  for (int again = 0; again < 3; ++again) EXPECT_EQ(store.put(first).value(), hash);
  EXPECT_TRUE(store.get(hash).value() != nullptr);
  EXPECT_TRUE(store.get(hash).value() != nullptr);
  EXPECT_EQ(store.get(Hash{}).value(), nullptr);
}

constexpr std::uint64_t kHashesOfPuts = 4;
const Counts kPutsAndGets = {
    {"store::put", 1}, {"store::put_hit", 3}, {"store::get", 3}, {"store::hash", kHashesOfPuts}};

TEST(CountedLayers, AStoreInMemory) {
  const std::shared_ptr<CapabilityStore> store = CapabilityStore::in_memory();
  EXPECT_EQ(counts_of([&] { put_and_get(*store); }), kPutsAndGets);
}

TEST(CountedLayers, AStoreInADirectory) {
  const test::ScratchDirectory directory;
  const auto store = CapabilityStore::open(directory.path(), {});
  ASSERT_TRUE(store) << store.error().to_string();
  EXPECT_EQ(counts_of([&] { put_and_get(**store); }), kPutsAndGets);
}

// --- MEMORY ---

constexpr std::uint64_t kBase = 0x100000;

// As a guest's store: false where it faults.
bool guest_store(memory::AddressSpace& space, std::uint64_t address) {
  const std::uint64_t value = 1;
  memory::GuestScope scope{.window_base = space.base()};
  memory::enter_guest(scope);
  const bool stored = memory::guarded_copy(space.base() + address, &value, sizeof value, space.base() + address) == 0;
  memory::leave_guest(scope);
  return stored;
}

TEST(CountedLayers, GuestMemory) {
  ASSERT_TRUE(memory::install_fault_recovery());
  auto space = memory::AddressSpace::create(std::make_shared<memory::WindowPool>(), std::uint64_t{1} << 28).value();
  const Counts counts = counts_of([&] {
    ASSERT_EQ(space->map_anonymous(kBase, 64 * memory::kPageSize, memory::kRead | memory::kWrite),
              memory::MapStatus::kOk);
    const memory::MemoryState state = space->state().value();
    // Twice: the second store finds the page writable.
    for (const std::uint64_t page : {0, 0, 8, 8, 16})
      EXPECT_TRUE(guest_store(*space, kBase + page * memory::kPageSize));
    // On the guest's behalf.
    EXPECT_TRUE(space->write_value<std::uint64_t>(kBase + 40 * memory::kPageSize, 1));
    // Below and behind it.
    EXPECT_FALSE(guest_store(*space, kBase - memory::kPageSize));
    EXPECT_FALSE(guest_store(*space, kBase + 64 * memory::kPageSize));
    EXPECT_TRUE(space->load(state));
  });
  // A copy that is refused is made again byte by byte, to find the first that is: two faults each.
  EXPECT_EQ(counts, (Counts{{"memory::grow", 1}, {"memory::cow", 4}, {"memory::fault", 4}, {"memory::reset", 1}}));
}

// --- all the way of a program ---

constexpr char kFaults[] = R"guest(
#include <setjmp.h>
#include <signal.h>
static sigjmp_buf again;
static void handle(int signal) { siglongjmp(again, signal); }
int main(void) {
  signal(SIGSEGV, handle);
  for (volatile int i = 0; i < 50; ++i)
    if (sigsetjmp(again, 1) == 0) *(volatile int*)0x30 = 1;
  return 0;
}
)guest";

TEST(CountedLayers, FaultsOfAProgram) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  const auto program = test::compile_guest({{"main.c", kFaults}}, {"-static", "-O1"});
  ASSERT_TRUE(program) << program.error().to_string();
  for (const Tier tier : {Tier::kInterp, Tier::kBaseline}) {
    const Counts counts = counts_of([&] {
      const Engine engine = Engine::create().value();
      const Module module = engine.load_bytes(*program, "faults").value();
      InstanceOptions options{.tier = tier};
      options.personality = make_linux_personality({.arguments = {"faults"}, .program = "/faults"}).value();
      options.interposer = [](Caller&, std::uint64_t, SystemCallArguments) { return std::optional<std::int64_t>(); };
      Instance instance = engine.instantiate(module, options).value();
      const Result<InvocationResult> result = instance.start();
      ASSERT_TRUE(result) << result.error().to_string();
      EXPECT_EQ(result->exit_reason, ExitReason::kHalt);
    });
    EXPECT_EQ(section(counts, "boot::"),
              (Counts{{"boot::load_elf", 1}, {"boot::validate", 1}, {"boot::instantiate", 1}, {"boot::invoke", 1}}));
    EXPECT_EQ(section(counts, "memory::fault"), (Counts{{"memory::fault", 50}})) << test::tier_name(tier);
    EXPECT_EQ(counts.at("interpose::handler"), counts.at("router::ecall"));
    EXPECT_EQ(counts.contains("compile::decode"), tier == Tier::kInterp);
    EXPECT_EQ(counts.contains("compile::baseline"), tier == Tier::kBaseline);
  }
}

// --- COMPILE: what tests/perf/command_line_test.py cannot see ---

constexpr char kSpins[] = R"guest(
CAISSON_EXPORT unsigned long spin(unsigned long n) {
  unsigned long sum = 0;
  for (unsigned long i = 0; i < n; ++i) sum = (sum ^ i) * 31;
  return sum;
}
)guest";

TEST(CountedLayers, LookUpsOfCompiledCode) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  const auto elf = test::compile_functions(kSpins);
  ASSERT_TRUE(elf) << elf.error().to_string();
  RuntimeStatsSnapshot stats;
  const Counts counts = counts_of([&] {
    const Engine engine = Engine::create({.hot_threshold = 0, .blocking = true}).value();
    Instance instance = engine.instantiate(engine.load_bytes(*elf, "spin").value(), {.tier = Tier::kAuto}).value();
    ASSERT_TRUE(instance.call<std::uint64_t>("spin", std::uint64_t{2'000'000}));
    stats = engine.stats().jit.value();
  });
  EXPECT_GT(stats.hits, 0);
  EXPECT_EQ(counts.at("compile::lookup"), std::accumulate(stats.misses.begin(), stats.misses.end(), stats.hits));
  EXPECT_EQ(counts.at("compile::publish"), stats.hits);
}

TEST(CountedLayers, TheReportOfABenchsCase) {
  const std::shared_ptr<CapabilityStore> store = CapabilityStore::in_memory();
  int runs = 0;
  const Result<std::string> text = report_of_case("store/put", [&]() -> Result<void> {
    ++runs;
    put_and_get(*store);
    return {};
  });
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(text->starts_with("path counters of store/put\ntimer clock, all counters in one run;")) << *text;
  EXPECT_TRUE(text->contains("CAISSON-STORE")) << *text;
}

}  // namespace
}  // namespace caisson::perf
