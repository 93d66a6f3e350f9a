// One Kernel used by several threads: each with instances of its own, all with the same images, sealed instances, cells and store.
//
// What each thread does gives the same everywhere, so whatever one takes from another shows as another result. Run under the thread sanitizer
// (`cmake --preset tsan`) it also shows what is not ordered.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "kernel_guests.h"

namespace caisson {
namespace {

using test::KernelWorld;

constexpr char kGuest[] = R"guest(
static unsigned long counter;
static unsigned char page[4096];
// 0: adds to memory that lasts.
CAISSON_EXPORT unsigned long count(unsigned long by) { return counter += by; }
// 1: children of children, each with data, sealed and opened on the way; the sum of what they count.
CAISSON_EXPORT unsigned long nest(unsigned long depth, unsigned long seed) {
  counter += seed;
  if (depth == 0) return counter;
  for (unsigned long i = 0; i < sizeof page; i += 64) page[i] = (unsigned char)(seed + i);
  if (caisson_data_mint(page, sizeof page, 2)) return 1000000;
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, 1)) return 2000000;
  struct caisson_result child = caisson_host_call(1, 1, depth - 1, seed + 1, 0, 0, 0, 0);
  if (child.error) return 3000000 + child.error;
  if (caisson_save(1)) return 4000000;
  if (caisson_copy(1, 3)) return 5000000;
  if (caisson_open_instance(1)) return 6000000;
  struct caisson_result again = caisson_host_call(1, 0, 1, 0, 0, 0, 0, 0);
  if (again.error) return 7000000 + again.error;
  caisson_drop(1);
  caisson_drop(2);
  caisson_drop(3);
  return counter + child.value + again.value;
}
// 2: makes an image, which other threads make as well, and an instance of it.
CAISSON_EXPORT unsigned long make(unsigned long which) {
  struct { struct caisson_image_description head; struct caisson_image_mapping mapping; struct caisson_image_endpoint endpoint; } image = {
    {1, 1, 1, 0}, {256, 1, 5, 0, CAISSON_NO_SLOT}, {0, 0, 0x100000}};
  image.endpoint.number = which % 8;
  unsigned long error = caisson_make_image(&image, sizeof image, 4);
  if (!error) error = caisson_derive_spawn(4, 5);
  if (!error) error = caisson_host_call(5, which % 8, 0, 0, 0, 0, 0, 0).error;
  caisson_drop(4);
  caisson_drop(5);
  return error;
}
CAISSON_EXPORT unsigned long endless(void) { for (;;) __asm__ volatile(""); }
)guest";
enum Endpoint : std::uint64_t { kCount, kNest, kMake, kEndless };
constexpr std::uint64_t kGas = 1'000'000'000;
constexpr unsigned kThreads = 4;
constexpr int kRounds = 12;

class KernelThreads : public testing::TestWithParam<Tier> {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  }
};

// As text, so that every thread can be compared with one that was alone.
std::string call(KernelInstance& instance, std::uint64_t endpoint, std::vector<std::uint64_t> arguments) {
  const auto result = instance.invoke(endpoint, arguments, kGas);
  if (!result) return result.error().to_string();
  return std::to_string(static_cast<int>(result->exit_reason)) + ' ' + std::to_string(result->return_value) + ' ' +
         std::to_string(instance.gas_used());
}

std::string work(const Kernel& kernel, const Hash& image, const Hash& published, unsigned seed) {
  std::string all;
  KernelInstance instance = kernel.derive(image).value();
  for (int round = 0; round < kRounds; ++round) {
    all +=
        call(instance, kNest, {3, seed}) + '\n' + call(instance, kMake, {seed + static_cast<unsigned>(round)}) + '\n';
    const auto cached = kernel.invoke_cached(published, kCount, std::array<std::uint64_t, 1>{5}, kGas);
    all += cached ? std::to_string(cached->return_value) : cached.error().to_string();
    const Hash sealed = instance.seal().value();
    KernelInstance copy = kernel.open(sealed).value();
    all += ' ' + sealed.to_string() + ' ' + call(copy, kCount, {1}) + '\n';
    if (round % 3 == 0) instance = std::move(copy);
    EXPECT_TRUE(kernel.store()->release(sealed));
  }
  return all;
}

TEST_P(KernelThreads, ShareAKernel) {
  // Little of everything, so that windows and cells go from one to another all the time.
  KernelWorld world(GetParam(), {.resident_instances = 2, .resident_total = 3, .idle_cells = 2});
  const auto elf = test::compile_functions(kGuest);
  ASSERT_TRUE(elf) << elf.error().to_string();
  const Hash image = world.image(*elf, {"count", "nest", "make", "endless"});
  KernelInstance publisher = world.kernel().derive(image).value();
  ASSERT_TRUE(publisher.invoke(kCount, std::array<std::uint64_t, 1>{37}, kGas));
  const Hash published = publisher.seal().value();

  std::array<std::string, kThreads> alone, together;
  for (unsigned i = 0; i < kThreads; ++i) alone[i] = work(world.kernel(), image, published, i % 2);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] { together[i] = work(world.kernel(), image, published, i % 2); });
  for (std::thread& thread : threads) thread.join();
  for (unsigned i = 0; i < kThreads; ++i) EXPECT_EQ(together[i], alone[i]);
  EXPECT_EQ(alone[0], alone[2]);
  EXPECT_NE(alone[0], alone[1]);
}

// interrupt() is the one function of an instance that another thread may call while it runs.
TEST_P(KernelThreads, InterruptEachOther) {
  KernelWorld world(GetParam());
  const auto elf = test::compile_functions(kGuest);
  ASSERT_TRUE(elf) << elf.error().to_string();
  const Hash image = world.image(*elf, {"count", "nest", "make", "endless"});
  std::vector<KernelInstance> instances;
  for (unsigned i = 0; i < kThreads; ++i) instances.push_back(world.kernel().derive(image).value());
  std::atomic<unsigned> running{kThreads};
  std::vector<std::thread> threads;
  for (KernelInstance& instance : instances) {
    threads.emplace_back([&] {
      const auto result = instance.invoke(kEndless, {}, kUnlimitedGas);
      EXPECT_TRUE(result && result->exit_reason == ExitReason::kInterrupted);
      --running;
    });
  }
  while (running != 0) {
    for (KernelInstance& instance : instances) instance.interrupt();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Tiers, KernelThreads, testing::Values(Tier::kInterp, Tier::kBaseline),
                         [](const testing::TestParamInfo<Tier>& info) { return test::tier_name(info.param); });

}  // namespace
}  // namespace caisson
