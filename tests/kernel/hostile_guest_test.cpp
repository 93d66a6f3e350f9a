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
static unsigned char large[2048 * 4096];
// 2: writes that many pages.
CAISSON_EXPORT unsigned long fill(unsigned long pages, unsigned long value) {
  for (unsigned long i = 0; i < pages; ++i) *(volatile unsigned char*)(large + i * 4096) = value;
  return pages;
}
// 3: children in a CNode in slot 3, each of which fills so many pages; how many could << 32 | the first error.
CAISSON_EXPORT unsigned long fill_children(unsigned long children, unsigned long pages) {
  caisson_cnode_mint(3);
  for (unsigned long i = 0; i < children; ++i) {
    unsigned long error = caisson_derive_spawn(CAISSON_OWN_IMAGE, CAISSON_PATH2(3, i));
    if (!error) error = caisson_host_call(CAISSON_PATH2(3, i), 2, pages, 1, 0, 0, 0, 0).error;
    if (error) return i << 32 | error;
  }
  return children << 32;
}
// 4: maps a page.
CAISSON_EXPORT unsigned long map(void) {
  unsigned long error = caisson_data_mint("data", 4, 4);
  return error ? error : caisson_open_data(4, (void*)0x40000000, 3);
}
// 5: children as in 3, which map a page each.
CAISSON_EXPORT unsigned long map_children(unsigned long children) {
  caisson_cnode_mint(3);
  for (unsigned long i = 0; i < children; ++i) {
    unsigned long error = caisson_derive_spawn(CAISSON_OWN_IMAGE, CAISSON_PATH2(3, i));
    if (!error) error = caisson_host_call(CAISSON_PATH2(3, i), 4, 0, 0, 0, 0, 0, 0).error;
    if (error) return i << 32 | error;
  }
  return children << 32;
}
CAISSON_EXPORT unsigned long drop(unsigned long slot) { return caisson_drop(slot); }
// 7: fills CNodes in slots 10, 11, … with data; `live`: the last slot holds an instance.
CAISSON_EXPORT unsigned long hoard(unsigned long nodes, unsigned long live) {
  caisson_data_mint("data", 4, 9);
  for (unsigned long i = 0; i < nodes; ++i) {
    caisson_cnode_mint(10 + i);
    for (unsigned long j = 0; j < 250; ++j) {
      unsigned long error = caisson_copy(9, CAISSON_PATH2(10 + i, j));
      if (error) return error;
    }
  }
  return live ? caisson_derive_spawn(CAISSON_OWN_IMAGE, CAISSON_PATH2(9 + nodes, 255)) : 0;
}
// 8: a child in slot 5 that makes as many.
CAISSON_EXPORT unsigned long hoard_in_child(unsigned long nodes) {
  unsigned long error = caisson_derive_spawn(CAISSON_OWN_IMAGE, 5);
  if (error) return error;
  struct caisson_result child = caisson_host_call(5, 7, nodes, 0, 0, 0, 0, 0);
  return child.error ? child.error : child.value;
}
CAISSON_EXPORT unsigned long save(unsigned long slot) { return caisson_save(slot); }
CAISSON_EXPORT unsigned long open(unsigned long slot) { return caisson_open_instance(slot); }
CAISSON_EXPORT unsigned long copy(unsigned long from, unsigned long to) { return caisson_copy(from, to); }
CAISSON_EXPORT unsigned long call(unsigned long slot) { return caisson_host_call(slot, 0, 0, 0, 0, 0, 0, 0).error; }
// 13: a child in slot 6 that maps so many pages.
CAISSON_EXPORT unsigned long map_many(unsigned long pages) {
  unsigned long error = caisson_data_mint(large, pages * 4096, 7);
  return error ? error : caisson_open_data(7, (void*)0x40000000, 3);
}
CAISSON_EXPORT unsigned long map_in_child(unsigned long pages) {
  unsigned long error = caisson_derive_spawn(CAISSON_OWN_IMAGE, 6);
  if (error) return error;
  struct caisson_result child = caisson_host_call(6, 13, pages, 0, 0, 0, 0, 0);
  return child.error ? child.error : child.value;
}
// 15: a share of gas for a child whose COPY of what is in slot 10 it does not pay for; the error.
CAISSON_EXPORT unsigned long copy_with_share(unsigned long gas) {
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 8);
  unsigned long arguments[6] = {CAISSON_GIVEN_SLOT, 1, 0, 0, 0, 0};
  unsigned long error = caisson_host_call_with(8, 11, gas, 10, 0, arguments).error;
  caisson_drop(8);
  return error;
}
// 16: waits in HOST_YIELD; 17: for a child in slot 20 that does.
CAISSON_EXPORT unsigned long yield(void) { return caisson_host_yield(1, 7).value; }
CAISSON_EXPORT unsigned long catch(void) {
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 20);
  unsigned long none[6] = {0, 0, 0, 0, 0, 0};
  return caisson_host_call_with(20, 16, CAISSON_ALL_GAS, CAISSON_NO_SLOT, 7, none).error;
}
// 19: so many data capabilities of 8 MiB in slots 30, 31, …; how many << 32 | the first error.
CAISSON_EXPORT unsigned long mint_many(unsigned long count) {
  for (unsigned long i = 0; i < count; ++i) {
    *(volatile unsigned long*)large = i;
    unsigned long error = caisson_data_mint(large, sizeof large, 30 + i);
    if (error) return i << 32 | error;
  }
  return count << 32;
}
// 20: the same of images that differ by where they begin.
CAISSON_EXPORT unsigned long make_many(unsigned long count) {
  struct { struct caisson_image_description head; struct caisson_image_mapping mapping; struct caisson_image_endpoint endpoint; } image = {
    {1, 1, 1, 0}, {256, 1, 5, 0, CAISSON_NO_SLOT}, {0, 0, 0}};
  for (unsigned long i = 0; i < count; ++i) {
    image.endpoint.pc = 2 * i;
    unsigned long error = caisson_make_image(&image, sizeof image, 30 + i);
    if (error) return i << 32 | error;
  }
  return count << 32;
}
// 21: the same of CNodes, in CNodes.
CAISSON_EXPORT unsigned long nodes_many(unsigned long count) {
  for (unsigned long i = 0; i < count; ++i) {
    unsigned long error = i % 256 == 0 ? caisson_cnode_mint(30 + i / 256) : 0;
    if (!error) error = caisson_cnode_mint(CAISSON_PATH2(30 + i / 256, i % 256));
    if (error) return i << 32 | error;
  }
  return count << 32;
}
CAISSON_EXPORT unsigned long drop_many(unsigned long count) {
  for (unsigned long i = 0; i < count; ++i) caisson_drop(30 + i);
  return 0;
}
CAISSON_EXPORT unsigned long resume(void) { return caisson_call_resume(20, 5).value; }
)guest";
enum Endpoint : std::uint64_t {
  kEmpty,
  kToAndFro,
  kFill,
  kFillChildren,
  kMap,
  kMapChildren,
  kDrop,
  kHoard,
  kHoardInChild,
  kSave,
  kOpen,
  kCopy,
  kCall,
  kMapMany,
  kMapInChild,
  kCopyWithShare,
  kYield,
  kCatch,
  kResume,
  kMintMany,
  kMakeMany,
  kNodesMany,
  kDropMany,
};
constexpr std::initializer_list<const char*> kEndpoints = {
    "empty",        "to_and_fro",      "fill",  "fill_children", "map",    "map_children", "drop",
    "hoard",        "hoard_in_child",  "save",  "open",          "copy",   "call",         "map_many",
    "map_in_child", "copy_with_share", "yield", "catch",         "resume", "mint_many",    "make_many",
    "nodes_many",   "drop_many"};

constexpr std::uint64_t kEnoughGas = 10'000'000'000;

std::uint64_t invoke(KernelInstance& instance, std::uint64_t endpoint, std::vector<std::uint64_t> arguments = {}) {
  const auto result = instance.invoke(endpoint, arguments, kEnoughGas);
  EXPECT_TRUE(result) << result.error().to_string();
  if (!result) return ~std::uint64_t{0};
  EXPECT_EQ(result->exit_reason, ExitReason::kHostCall) << result->exit_arg;
  return result->return_value;
}

// The gas of a call that must give `expected`.
std::uint64_t gas_of(KernelInstance& instance, std::uint64_t endpoint, std::vector<std::uint64_t> arguments,
                     KernelError expected = KernelError::kOk) {
  const std::uint64_t before = instance.gas_used();
  EXPECT_EQ(invoke(instance, endpoint, std::move(arguments)), static_cast<std::uint64_t>(expected)) << endpoint;
  return instance.gas_used() - before;
}

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

// An instance that changed much, or mapped something, is parked as a base of its own. That takes memory like any other.
TEST_P(HostileGuest, BasesOfTheirOwnCountAsParkedBytes) {
  constexpr std::uint64_t kMebibyte = 1 << 20;
  KernelWorld world(GetParam(), {.resident_instances = 2, .parked_bytes = 20 * kMebibyte});
  KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
  for (int round = 0; round < 2; ++round) {
    // 8 MiB each, of which 20 MiB hold two beside those that are resident.
    const std::uint64_t filled = invoke(instance, kFillChildren, {12, 2048});
    EXPECT_EQ(filled & 0xFFFF'FFFF, static_cast<std::uint64_t>(KernelError::kNoMemory));
    EXPECT_GE(filled >> 32, 2u);
    EXPECT_LE(filled >> 32, 4u);
    EXPECT_EQ(invoke(instance, kDrop, {3}), 0u);
    // A page and a file descriptor each.
    const std::uint64_t mapped = invoke(instance, kMapChildren, {100});
    EXPECT_EQ(mapped & 0xFFFF'FFFF, static_cast<std::uint64_t>(KernelError::kNoMemory));
    EXPECT_GE(mapped >> 32, 10u);
    EXPECT_LE(mapped >> 32, 22u);
    EXPECT_EQ(invoke(instance, kDrop, {3}), 0u);
    EXPECT_EQ(instance.instance_count(), 1u);
  }
}

TEST_P(HostileGuest, WhatIsSealedAndOpenedIsPaidSlotBySlot) {
  std::uint64_t saved[2], opened[2];
  for (const std::uint64_t nodes : {1, 11}) {
    KernelWorld world(GetParam());
    KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
    ASSERT_EQ(invoke(instance, kHoardInChild, {nodes}), 0u);
    saved[nodes / 11] = gas_of(instance, kSave, {5});
    opened[nodes / 11] = gas_of(instance, kOpen, {5});
  }
  EXPECT_GE(saved[1] - saved[0], 10 * 250 * 200u);
  EXPECT_GE(opened[1] - opened[0], 10 * 250 * 16u);
}

TEST_P(HostileGuest, WhatCannotBeCopiedIsPaidAsFarAsItWas) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
  ASSERT_EQ(invoke(instance, kHoard, {1, 1}), 0u);
  EXPECT_GE(gas_of(instance, kCopy, {10, 200}, KernelError::kNotCopyable), 250 * 10u);
}

// An operation gives back what it charged where gas falls short. What it did until then is not free.
TEST_P(HostileGuest, AShareThatFallsShortIsUsedUp) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
  ASSERT_EQ(invoke(instance, kHoard, {1, 0}), 0u);
  EXPECT_GE(gas_of(instance, kCopyWithShare, {2'000}, KernelError::kChildOutOfGas), 2'000u);
  const std::uint64_t whole = gas_of(instance, kCopyWithShare, {100'000});
  EXPECT_LT(whole, 50'000u);
}

TEST_P(HostileGuest, CallsArePaidByWhatTheCalleeHasMapped) {
  std::uint64_t gas[2];
  for (const std::uint64_t pages : {1, 1001}) {
    KernelWorld world(GetParam());
    KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
    ASSERT_EQ(invoke(instance, kMapInChild, {pages}), 0u);
    gas[pages / 1001] = gas_of(instance, kCall, {6});
  }
  EXPECT_EQ(gas[1] - gas[0], 1000 * 2u);
}

TEST_P(HostileGuest, GasIsTheSameWhateverIsResident) {
  std::vector<std::uint64_t> gas;
  for (const std::size_t residents : {2, 3, 64}) {
    KernelWorld world(GetParam(), {.resident_instances = residents});
    KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
    EXPECT_EQ(invoke(instance, kMapInChild, {20}), 0u);
    EXPECT_EQ(invoke(instance, kHoardInChild, {3}), 0u);
    EXPECT_EQ(invoke(instance, kMapChildren, {5}), std::uint64_t{5} << 32);
    EXPECT_EQ(invoke(instance, kCatch), static_cast<std::uint64_t>(KernelError::kYielded));
    EXPECT_EQ(invoke(instance, kCall, {6}), 0u);
    EXPECT_EQ(invoke(instance, kResume), 5u);
    for (const std::uint64_t slot : {6, 5, 3}) EXPECT_EQ(invoke(instance, kSave, {slot}), 0u);
    for (const std::uint64_t slot : {6, 5}) EXPECT_EQ(invoke(instance, kOpen, {slot}), 0u);
    EXPECT_EQ(invoke(instance, kCall, {6}), 0u);
    gas.push_back(instance.gas_used());
  }
  EXPECT_EQ(gas[0], gas[2]);
  EXPECT_EQ(gas[1], gas[2]);
}

TEST_P(HostileGuest, AYieldedCallByItselfIsNotSealed) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
  EXPECT_EQ(invoke(instance, kCatch), static_cast<std::uint64_t>(KernelError::kYielded));
  EXPECT_EQ(invoke(instance, kSave, {20}), static_cast<std::uint64_t>(KernelError::kUnsupported));
  EXPECT_EQ(invoke(instance, kResume), 5u);
}

// What a guest keeps beside instances is bounded as well, and there is room again when it lets go.
TEST_P(HostileGuest, WhatIsHeldIsBounded) {
  constexpr std::uint64_t kMebibyte = 1 << 20;
  KernelWorld world(GetParam(), {.parked_bytes = 16 * kMebibyte});
  KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
  EXPECT_EQ(invoke(instance, kFill, {2048, 1}), 2048u);
  const auto expect_bounded = [&](std::uint64_t endpoint, std::uint64_t count, std::uint64_t least,
                                  std::uint64_t most) {
    for (int round = 0; round < 3; ++round) {
      const std::uint64_t made = invoke(instance, endpoint, {count});
      EXPECT_EQ(made & 0xFFFF'FFFF, static_cast<std::uint64_t>(KernelError::kNoMemory)) << endpoint;
      EXPECT_GE(made >> 32, least) << endpoint;
      EXPECT_LE(made >> 32, most) << endpoint;
      EXPECT_EQ(invoke(instance, kDropMany, {200}), 0u);
    }
  };
  // 32 MiB in all.
  expect_bounded(kMintMany, 20, 3, 4);
  expect_bounded(kMakeMany, 200, 20, 32);
  expect_bounded(kNodesMany, 50'000, 1'000, 5'000);
}

// An image that a guest makes lets nobody have more memory than the guest itself.
TEST_P(HostileGuest, NoImageHasMoreMemoryThanWhoMakesIt) {
  KernelWorld world(GetParam());
  const Hash hash = world.image(guest_elf(), kEndpoints);
  Image image = std::get<Image>(**world.store().get(hash));
  image.memory_limit = std::uint64_t{12} << 20;
  KernelInstance instance = world.kernel().derive(world.store().put(image).value()).value();
  EXPECT_EQ(invoke(instance, kMakeMany, {1}), std::uint64_t{1} << 32);
  const auto made = instance.capability(30);
  ASSERT_TRUE(made && *made) << made.error().to_string();
  EXPECT_EQ(std::get<Image>(**world.store().get((*made)->hash)).memory_limit, image.memory_limit);
}

// Every reference that capability() gives can be given back, and takes none from the guest.
TEST_P(HostileGuest, ReferencesToWhatASlotHoldsAreTheCallers) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
  ASSERT_EQ(invoke(instance, kHoardInChild, {1}), 0u);
  ASSERT_EQ(invoke(instance, kSave, {5}), 0u);
  for (int round = 0; round < 3; ++round) {
    const auto reference = instance.capability(5);
    ASSERT_TRUE(reference && *reference);
    EXPECT_TRUE(world.store().release((*reference)->hash));
  }
  world.store().gc().value();
  EXPECT_EQ(invoke(instance, kOpen, {5}), 0u);
}

INSTANTIATE_TEST_SUITE_P(Tiers, HostileGuest, testing::Values(Tier::kInterp, Tier::kBaseline),
                         [](const testing::TestParamInfo<Tier>& info) { return test::tier_name(info.param); });

}  // namespace
}  // namespace caisson
