// A store may hold any sealed instance that keeps the rules of its fields: opening and running it is an Error or a result, never a crash.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>

#include "kernel_guests.h"

namespace caisson {
namespace {

constexpr char kGuest[] = R"guest(
static unsigned long counter;
CAISSON_EXPORT unsigned long nest(unsigned long depth) {
  if (depth == 0) { for (unsigned long i = 0; i < 3000; ++i) counter += i ^ (counter << 1); return counter; }
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 1);
  caisson_data_mint(&counter, 8, 2);
  unsigned long arguments[6] = {depth - 1, 0, 0, 0, 0, 0};
  struct caisson_result r = caisson_host_call_with(1, 0, CAISSON_ALL_GAS, 2, 7, arguments);
  return r.error ? r.error : r.value + 1;
}
)guest";

// Another value of one field, often one that means something elsewhere.
void mutate(SealedInstance& instance, std::mt19937_64& random) {
  const std::uint64_t values[] = {
      0, 1, 2, 7, 255, 256, ~std::uint64_t{0}, std::uint64_t{2} << 56 | 1, 0x100000000, random(), random() % 4096};
  const std::uint64_t value = values[random() % std::size(values)];
  switch (random() % 14) {
    case 0:
      instance.phase = static_cast<InstancePhase>(random() % 4);
      break;
    case 1:
      instance.pending.slot_path = value;
      break;
    case 2:
      instance.pending.gas_share = value;
      break;
    case 3:
      instance.pending.gas_granted = value;
      break;
    case 4:
      instance.pending.given_path = value;
      break;
    case 5:
      instance.pending.catch_key = value;
      break;
    case 6:
      instance.pc = value & ~std::uint64_t{1};
      break;
    case 7:
      instance.gas_remaining = value;
      break;
    case 8:
      instance.gas_used = value;
      break;
    case 9:
      instance.integer_registers[1 + random() % 31] = value;
      break;
    case 10:
      if (!instance.mappings.empty()) instance.mappings[random() % instance.mappings.size()].permissions = random() % 8;
      break;
    case 11:
      if (!instance.mappings.empty())
        instance.mappings[random() % instance.mappings.size()].page_count = 1 + value % 64;
      break;
    case 12:
      instance.float_control = static_cast<std::uint32_t>(value & 0xFF);
      break;
    default:
      instance.reservation = {value, random(), (random() & 1) != 0 ? 8U : 4U};
  }
}

// The chain of instances that `hash` begins, each sealed in a slot of the one before, with some of them changed; the hash of the whole.
Hash change_chain(CapabilityStore& store, const Hash& hash, std::mt19937_64& random) {
  SealedInstance instance = std::get<SealedInstance>(**store.get(hash));
  CNode root = std::get<CNode>(**store.get(instance.root));
  for (CNode::Slot& slot : root.slots) {
    if (!slot.owned) continue;
    slot.reference.hash = change_chain(store, slot.reference.hash, random);
    if (random() % 16 == 0) slot.owned = false;
    if (random() % 16 == 0) slot.number = static_cast<std::uint8_t>(random());
  }
  if (check(root)) instance.root = store.put(root).value();
  SealedInstance changed = instance;
  if (random() % 2 == 0) mutate(changed, random);
  return check(changed) ? store.put(changed).value() : store.put(instance).value();
}

TEST(HostileStore, WhatItHoldsIsAnErrorOrARun) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  const auto elf = test::compile_functions(kGuest);
  ASSERT_TRUE(elf) << elf.error().to_string();
  for (const Tier tier : {Tier::kInterp, Tier::kBaseline}) {
    test::KernelWorld world(tier);
    KernelInstance whole = world.kernel().derive(world.image(*elf, {"nest"})).value();
    const std::array<std::uint64_t, 1> depth{4};
    ASSERT_EQ(whole.invoke(0, depth, 9'000)->exit_reason, ExitReason::kOutOfGas);
    const Hash sealed = whole.seal().value();
    std::mt19937_64 random(20261126);
    int opened = 0, refused = 0;
    for (int round = 0; round < 600; ++round) {
      const Hash changed = change_chain(world.store(), sealed, random);
      Result<KernelInstance> instance = world.kernel().open(changed);
      if (!instance) {
        ++refused;
        continue;
      }
      ++opened;
      if (instance->resume(20'000)) instance->seal().value_or(Hash());
      if (instance->invoke(0, depth, 20'000)) instance->fork().has_value();
    }
    EXPECT_GT(opened, 50);
    EXPECT_GT(refused, 50);
  }
}

// A frame that was granted more than its share, and used it: what is left of the share must not come out as nearly 2^64.
TEST(HostileStore, NoShareIsLessThanWhatWasUsedOfIt) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  const auto elf = test::compile_functions(kGuest);
  ASSERT_TRUE(elf) << elf.error().to_string();
  test::KernelWorld world(Tier::kInterp);
  KernelInstance whole = world.kernel().derive(world.image(*elf, {"nest"})).value();
  ASSERT_EQ(whole.invoke(0, std::array<std::uint64_t, 1>{1}, 9'000)->exit_reason, ExitReason::kOutOfGas);
  SealedInstance caller = std::get<SealedInstance>(**world.store().get(whole.seal().value()));
  ASSERT_EQ(caller.phase, InstancePhase::kCalling);
  ASSERT_GT(caller.pending.gas_granted, 1'000u);
  const SealedInstance honest = caller;
  caller.pending.gas_share = 5;
  EXPECT_FALSE(world.kernel().open(world.store().put(caller).value()));
  EXPECT_TRUE(world.kernel().open(world.store().put(honest).value()));
}

// More memory than the image allows would look like a host without windows.
TEST(HostileStore, NoInstanceHasMoreMemoryThanItsImageAllows) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  const auto elf = test::compile_functions(kGuest);
  ASSERT_TRUE(elf) << elf.error().to_string();
  test::KernelWorld world(Tier::kInterp);
  KernelInstance whole = world.kernel().derive(world.image(*elf, {"nest"})).value();
  SealedInstance sealed = std::get<SealedInstance>(**world.store().get(whole.seal().value()));
  Image image = std::get<Image>(**world.store().get(sealed.image));
  std::uint64_t pages = 0;
  for (const ImageMapping& mapping : sealed.mappings) pages += mapping.page_count;
  image.memory_limit = pages * kCapabilityPageSize;
  sealed.image = world.store().put(image).value();
  EXPECT_TRUE(world.kernel().open(world.store().put(sealed).value()));
  const Data more = Data::zeros(static_cast<std::uint32_t>(pages + 1));
  sealed.memory = world.store().put(more).value();
  sealed.mappings.back().page_count += 1;
  const auto opened = world.kernel().open(world.store().put(sealed).value());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kInvalidImage) << opened.error().to_string();
}

}  // namespace
}  // namespace caisson
