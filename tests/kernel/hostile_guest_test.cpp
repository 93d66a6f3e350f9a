// A guest that means harm to who runs it: it cannot be stopped, takes work that it does not pay for, or memory past the limits.
//
// Time is no oracle here. Work is told by gas — what an operation makes or looks at has its price, whoever runs out of gas for it — and memory by
// what the tree and the kernel count.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "kernel/kernel_error.h"
#include "kernel_guests.h"

namespace caisson {
namespace {

using kernel::KernelError;
using test::KernelWorld;

constexpr char kGuest[] = R"guest(
// 0: nothing at all.
CAISSON_EXPORT unsigned long empty(unsigned long value) { return value; }
// 1: calls endpoint 0 of what is in slot 1, for ever.
CAISSON_EXPORT unsigned long to_and_fro(void) {
  caisson_derive_spawn(1, 2);
  for (;;) caisson_host_call(2, 0, 1, 0, 0, 0, 0, 0);
}
)guest";
enum Endpoint : std::uint64_t { kEmpty, kToAndFro };
constexpr std::initializer_list<const char*> kEndpoints = {"empty", "to_and_fro"};

const std::vector<std::uint8_t>& guest_elf() {
  static const std::vector<std::uint8_t> elf = test::compile_functions(kGuest).value();
  return elf;
}

class HostileGuest : public testing::TestWithParam<Tier> {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  }
};

// Calls of an endpoint that sets a register beyond x5 are never made within the caller's run: each run is shorter than a slice.
TEST_P(HostileGuest, CallsToAndFroCanBeStopped) {
  constexpr std::uint64_t kGas = 5'000'000'000;  // used up in seconds where nothing stops it
  KernelWorld world(GetParam());
  const Hash image = world.image(guest_elf(), kEndpoints);
  Image called = std::get<Image>(**world.store().get(image));
  for (caisson::Endpoint& endpoint : called.endpoints) endpoint.registers.push_back({31, 1});
  KernelInstance instance = world.kernel().derive(image).value();
  ASSERT_TRUE(instance.put_capability(1, world.store().put(called).value()));

  instance.set_deadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
  const auto late = instance.invoke(kToAndFro, {}, kGas);
  ASSERT_TRUE(late) << late.error().to_string();
  EXPECT_EQ(late->exit_reason, ExitReason::kInterrupted);

  // It goes on from there.
  instance.set_deadline();
  std::atomic<bool> has_ended = false;
  std::thread other([&] {
    while (!has_ended) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      instance.interrupt();
    }
  });
  const auto interrupted = instance.resume(0);
  has_ended = true;
  other.join();
  ASSERT_TRUE(interrupted) << interrupted.error().to_string();
  EXPECT_EQ(interrupted->exit_reason, ExitReason::kInterrupted);
  EXPECT_GT(interrupted->gas_remaining, 0u);
  EXPECT_LT(interrupted->gas_remaining, late->gas_remaining);
}

INSTANTIATE_TEST_SUITE_P(Tiers, HostileGuest, testing::Values(Tier::kInterp, Tier::kBaseline),
                         [](const testing::TestParamInfo<Tier>& info) { return test::tier_name(info.param); });

}  // namespace
}  // namespace caisson
