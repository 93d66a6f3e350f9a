// An instance that is stopped at any block boundary, sealed, and opened in another kernel, tier or process, ends as if never interrupted.
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kernel_guests.h"
#include "support/child_process.h"
#include "support/scratch_directory.h"

namespace caisson {
namespace {

using test::KernelWorld;

// Calls that nest, give, share gas, fail, yield and are resumed; floating point, atomics, memory that changes; data and sealed capabilities.
constexpr char kGuest[] = R"guest(
static unsigned long memory[1024];
static double average;
CAISSON_EXPORT unsigned long works(unsigned long n, unsigned long depth) {
  for (unsigned long i = 0; i < n; ++i) {
    memory[(i * 97) % 1024] += i + depth;
    average = average * 0.75 + (double)(long)i / 3;
    __atomic_fetch_add(&memory[5], i, __ATOMIC_SEQ_CST);
  }
  unsigned long value = memory[97] + (unsigned long)(long)average;
  if (depth == 0) return value;
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, 1)) return ~0ul;
  unsigned long arguments[6] = {n, depth - 1, 0, 0, 0, 0};
  caisson_data_mint(memory, 4096, 2);
  struct caisson_result r = caisson_host_call_with(1, 0, depth & 1 ? CAISSON_ALL_GAS : 1000000, 2, 0, arguments);
  value += r.value * 3 + r.error;
  r = caisson_host_call_with(1, 1, 300, CAISSON_NO_SLOT, 0, arguments);
  value = value * 7 + r.error;
  r = caisson_host_call_with(1, 2, CAISSON_ALL_GAS, CAISSON_NO_SLOT, 9, arguments);
  value = value * 7 + r.error + r.value;
  memory[7] += value;
  r = caisson_call_resume(1, value);
  value += r.value + memory[7];
  if (depth == 1) {
    caisson_save(1);
    caisson_copy(1, 3);
    value += caisson_open_instance(3) + caisson_host_call(3, 2, 1, 0, 0, 0, 0, 0).error;
  }
  return value;
}
CAISSON_EXPORT unsigned long never_ends(void) { for (;;) memory[3]++; }
CAISSON_EXPORT unsigned long waits(unsigned long n) { memory[9] += n; struct caisson_result r = caisson_host_yield(memory[9], 9); return r.value + memory[9] + r.error; }
)guest";

constexpr std::array<std::uint64_t, 2> kArguments{3, 2};

const std::vector<std::uint8_t>& guest_elf() {
  static const std::vector<std::uint8_t> elf = [] {
    auto made = test::compile_functions(kGuest);
    EXPECT_TRUE(made) << made.error().to_string();
    return made.value_or(std::vector<std::uint8_t>());
  }();
  return elf;
}

struct End {
  std::uint64_t value = 0, gas_used = 0;
  Hash sealed;
  friend bool operator==(const End&, const End&) = default;
};

End end_of(KernelInstance& instance, const Result<InvocationResult>& result) {
  EXPECT_TRUE(result) << result.error().to_string();
  if (!result) return {};
  EXPECT_EQ(result->exit_reason, ExitReason::kHostCall);
  return {result->return_value, instance.gas_used(), instance.seal().value()};
}

End resume_to_the_end(KernelInstance& instance) { return end_of(instance, instance.resume(100'000'000)); }

class SealAnywhere : public testing::TestWithParam<Tier> {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  }
};

// First: a process that has compiled code before cannot run its forked children's.
TEST_P(SealAnywhere, InAnotherProcess) {
  const test::ScratchDirectory scratch;
  const std::string path = scratch / "store", notes = scratch / "notes";
  const auto open_world = [&path] {
    return std::make_unique<KernelWorld>(GetParam(), KernelOptions{}, CapabilityStore::open(path).value());
  };
  const int made = test::run_child([&] {
    const std::unique_ptr<KernelWorld> world = open_world();
    const Hash image = world->image(guest_elf(), {"works", "never_ends", "waits"});
    KernelInstance whole = world->kernel().derive(image).value();
    const End end = end_of(whole, whole.invoke(0, kArguments, 100'000'000));
    std::ofstream file(notes);
    for (const std::uint64_t part : {1u, 3u, 5u, 7u, 9u}) {
      KernelInstance stopped = world->kernel().derive(image).value();
      if (stopped.invoke(0, kArguments, end.gas_used * part / 10)->exit_reason != ExitReason::kOutOfGas) return 1;
      file << stopped.seal().value().to_string() << ' ' << end.value << ' ' << end.gas_used << ' '
           << end.sealed.to_string() << '\n';
    }
    return 0;
  });
  ASSERT_EQ(made, 0);
  std::ifstream file(notes);
  int opened_count = 0;
  for (std::string sealed, end_sealed; file >> sealed; ++opened_count) {
    End expected;
    file >> expected.value >> expected.gas_used >> end_sealed;
    expected.sealed = Hash::parse(end_sealed).value();
    const int status = test::run_child([&] {
      const std::unique_ptr<KernelWorld> world = open_world();
      KernelInstance opened = world->kernel().open(Hash::parse(sealed).value()).value();
      return resume_to_the_end(opened) == expected ? 0 : 1;
    });
    EXPECT_EQ(status, 0) << sealed;
  }
  EXPECT_EQ(opened_count, 5);
}

TEST_P(SealAnywhere, AtEveryBlockBoundary) {
  KernelWorld world(GetParam());
  // Sealed under one tier, opened under another.
  std::vector<std::unique_ptr<KernelWorld>> others;
  for (const Tier tier : test::kKernelTiers)
    others.push_back(std::make_unique<KernelWorld>(tier, KernelOptions{}, world.shared_store()));
  const Hash image = world.image(guest_elf(), {"works", "never_ends", "waits"});
  KernelInstance whole = world.kernel().derive(image).value();
  const End expected = end_of(whole, whole.invoke(0, kArguments, 100'000'000));

  // One gas more each time: every place where a run can stop is stopped at.
  KernelInstance fresh = world.kernel().derive(image).value();
  std::set<std::uint64_t> places;  // by the gas used until there
  for (std::uint64_t gas = 0;; ++gas) {
    KernelInstance stopped = fresh.fork().value();
    const Result<InvocationResult> result = stopped.invoke(0, kArguments, gas);
    ASSERT_TRUE(result) << result.error().to_string();
    if (result->exit_reason != ExitReason::kOutOfGas) {
      EXPECT_EQ(end_of(stopped, result), expected);
      break;
    }
    if (!places.insert(gas - result->gas_remaining).second) continue;
    const Hash sealed = stopped.seal().value();
    KernelInstance opened = others[places.size() % others.size()]->kernel().open(sealed).value();
    ASSERT_EQ(opened.seal().value(), sealed) << gas;
    ASSERT_EQ(resume_to_the_end(opened), expected) << gas;
    if (places.size() % 16 == 0) ASSERT_EQ(resume_to_the_end(stopped), expected) << gas;
  }
  EXPECT_GT(places.size(), 100u);
}

INSTANTIATE_TEST_SUITE_P(Tiers, SealAnywhere, testing::ValuesIn(test::kKernelTiers),
                         [](const auto& info) { return test::tier_name(info.param); });

}  // namespace
}  // namespace caisson
