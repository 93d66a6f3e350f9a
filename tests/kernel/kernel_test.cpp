// The kernel personality: calls between instances, in every tier with the same results, gas and hashes.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel/kernel_error.h"
#include "kernel_guests.h"

namespace caisson {
namespace {

using kernel::KernelError;
using test::KernelWorld;

constexpr char kGuest[] = R"guest(
static unsigned long counter;
static unsigned char buffer[8192];

// 0: adds to memory that lasts from call to call.
CAISSON_EXPORT unsigned long count(unsigned long by) { return counter += by; }
// 1: derives a child of itself and calls this again, down to depth 0; the depth comes back, or the error of the deepest call that failed.
CAISSON_EXPORT unsigned long recurse(unsigned long depth) {
  if (depth == 0) return 0;
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, 1)) return 1000000;
  struct caisson_result child = caisson_host_call(1, 1, depth - 1, 0, 0, 0, 0, 0);
  caisson_drop(1);
  if (child.error) return 2000000 + child.error;
  return child.value + 1;
}
// 2: calls endpoint 0 of a child `n` times; the sum of what it answers.
CAISSON_EXPORT unsigned long call_child(unsigned long n) {
  unsigned long sum = 0;
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, 2)) return ~0ul;
  for (unsigned long i = 0; i < n; ++i) {
    struct caisson_result child = caisson_host_call(2, 0, i, 0, 0, 0, 0, 0);
    if (child.error) return 3000000 + child.error;
    sum += child.value;
  }
  caisson_drop(2);
  return sum;
}
// 3: fails in the way that is asked for.
CAISSON_EXPORT unsigned long fail(unsigned long how) {
  switch (how) {
    case 0: return *(volatile unsigned long*)0x20000000;
    case 1: __asm__ volatile(".4byte 0"); break;
    case 2: for (;;) __asm__ volatile("");
    case 3: __asm__ volatile("ebreak"); break;
    case 4: __asm__ volatile("li a7, 0x77\n ecall" ::: "a7", "a0"); break;
    case 5: caisson_reply(55);
    case 6: counter = 99; *(volatile unsigned long*)0x20000000 = 1; break;
  }
  return how;
}
// 4: the error of a child that fails, with a share of gas; value << 8 | error.
CAISSON_EXPORT unsigned long call_failing(unsigned long how, unsigned long gas, unsigned long deeper) {
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, 3)) return ~0ul;
  unsigned long arguments[6] = {how, gas, deeper - 1, 0, 0, 0};
  if (deeper != 0) {
    struct caisson_result nested = caisson_host_call_with(3, 4, CAISSON_ALL_GAS, CAISSON_NO_SLOT, 0, arguments);
    caisson_drop(3);
    return nested.error ? 4000000 + nested.error : nested.value;
  }
  struct caisson_result child = caisson_host_call_with(3, 3, gas, CAISSON_NO_SLOT, 0, arguments);
  if (how == 6) { struct caisson_result again = caisson_host_call(3, 0, 1, 0, 0, 0, 0, 0); caisson_drop(3); return again.value << 8 | child.error; }
  caisson_drop(3);
  return child.value << 8 | child.error;
}
// 5: yields twice under key 7, then answers what it was given; 6: its caller.
CAISSON_EXPORT unsigned long yielding(unsigned long a) {
  counter += 1;
  struct caisson_result first = caisson_host_yield(a + 1, 7);
  if (first.error) return 5000000 + first.error;
  struct caisson_result second = caisson_host_yield(first.value + 1, 7);
  return second.value * 10 + counter;
}
// Between the yielding one and who catches: does not catch key 7.
CAISSON_EXPORT unsigned long between(unsigned long a) {
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 4);
  unsigned long arguments[6] = {a, 0, 0, 0, 0, 0};
  struct caisson_result inner = caisson_host_call_with(4, 5, CAISSON_ALL_GAS, CAISSON_NO_SLOT, 8, arguments);
  return inner.error ? 6000000 + inner.error : inner.value + 1000;
}
CAISSON_EXPORT unsigned long catching(unsigned long endpoint, unsigned long drop) {
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 5);
  unsigned long arguments[6] = {100, 0, 0, 0, 0, 0};
  struct caisson_result r = caisson_host_call_with(5, endpoint, CAISSON_ALL_GAS, CAISSON_NO_SLOT, 7, arguments);
  if (r.error != CAISSON_ERROR_YIELDED || r.value != 101) return 7000000 + r.error;
  // The slot holds a yielded call: it cannot be called or copied.
  if (caisson_host_call(5, 0, 1, 0, 0, 0, 0, 0).error != CAISSON_ERROR_WRONG_KIND) return 7000100;
  if (caisson_copy(5, 6) != CAISSON_ERROR_NOT_COPYABLE) return 7000200;
  if (caisson_move(5, 9)) return 7000300;
  if (drop) {
    if (caisson_drop_resume(9)) return 7000400;
    struct caisson_result after = caisson_host_call(9, 0, 0, 0, 0, 0, 0, 0);
    return after.error ? 7000500 + after.error : after.value;
  }
  r = caisson_call_resume(9, 200);
  if (r.error != CAISSON_ERROR_YIELDED || r.value != 201) return 7000600 + r.error;
  r = caisson_call_resume(9, 300);
  if (r.error) return 7000700 + r.error;
  return r.value;
}
// 8: gives a data capability to a child, which writes into its own slot and hands back something else.
CAISSON_EXPORT unsigned long takes_given(void) {
  unsigned long word = 0;
  struct caisson_result read = caisson_data_read(CAISSON_GIVEN_SLOT, 8, &word, 8);
  if (read.error) return 8000000 + read.error;
  caisson_move(CAISSON_GIVEN_SLOT, 10);
  word += 1;
  caisson_data_mint(&word, 8, CAISSON_GIVEN_SLOT);
  return read.value;
}
CAISSON_EXPORT unsigned long gives(void) {
  ((unsigned long*)buffer)[1] = 41;
  if (caisson_data_mint(buffer, 5000, 11)) return 8100000;
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 12);
  unsigned long none[6] = {0, 0, 0, 0, 0, 0};
  struct caisson_result r = caisson_host_call_with(12, 8, CAISSON_ALL_GAS, 11, 0, none);
  if (r.error || r.value != 8192) return 8200000 + r.error;
  unsigned long word = 0;
  struct caisson_result back = caisson_data_read(11, 0, &word, 8);
  return back.error ? 8300000 + back.error : word;
}
// 10: the error codes of operations that cannot be.
CAISSON_EXPORT unsigned long errors(unsigned long which) {
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 20);
  caisson_cnode_mint(21);
  unsigned long word = 0;
  switch (which) {
    case 0: return caisson_copy(30, 31);                       // empty
    case 1: return caisson_copy(CAISSON_PATH2(20, 1), 31);     // through an instance
    case 2: return caisson_copy(256, 31);                      // no path
    case 3: return caisson_move(20, 21);                       // taken
    case 4: return caisson_copy(20, 31);                       // a live instance
    case 5: return caisson_move(21, CAISSON_PATH2(21, 0));     // a CNode into itself
    case 6: return caisson_drop(30);
    case 7: return caisson_host_call(30, 0, 0, 0, 0, 0, 0, 0).error;
    case 8: return caisson_host_call(21, 0, 0, 0, 0, 0, 0, 0).error;   // a CNode
    case 9: return caisson_host_call(20, 999, 0, 0, 0, 0, 0, 0).error; // no endpoint
    case 10: return caisson_data_mint((void*)0x20000000, 8, 31);
    case 11: return caisson_data_read(20, 0, &word, 8).error;
    case 12: return caisson_host_yield(1, 5).error;            // nobody catches
    case 13: return caisson_host_yield(1, 0).error;
    case 14: return caisson_derive_spawn(21, 31);              // of a CNode
    case 15: return caisson_derive_spawn(CAISSON_OWN_IMAGE, 21);
    case 16: { unsigned long a[6] = {0}; return caisson_host_call_with(20, 0, CAISSON_ALL_GAS, 20, 0, a).error; }  // gives the callee itself
    case 17: return caisson_call_resume(20, 0).error;
    case 18: return caisson_set_image(20);
    case 19: return caisson_open_instance(20);
    case 20: return caisson_save(21);                          // nothing to seal in it
    case 21: { unsigned int d[4] = {2, 0, 0, 0}; return caisson_make_image(d, sizeof d, 31); }
    case 22: caisson_data_mint(buffer, 4096, 22); return caisson_open_data(22, (void*)0x1000, 3);
    case 23: return caisson_data_read(22, 0, &word, 8).error;
    case 24: caisson_data_mint(buffer, 4096, 23); return caisson_data_read(23, 4096, &word, 1).error;
    case 25: caisson_data_mint(buffer, 4096, 24); return caisson_data_read(24, 0, (void*)0x20000000, 8).error;
    case 26: return caisson_move(20, CAISSON_PATH2(21, 3));    // fine
    case 27: return caisson_cnode_swap(20, 21);                // fine
    case 28: return caisson_cnode_swap(21, CAISSON_PATH2(21, 0));
    case 29: return caisson_image_lineage(30, &word);
    case 30: return caisson_image_lineage(CAISSON_SELF, (void*)0x20000000);
  }
  return 77;
}
// 11: seals a child that counted to 5, opens a copy of it, and goes on counting in both.
CAISSON_EXPORT unsigned long saves(void) {
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 40);
  caisson_host_call(40, 0, 5, 0, 0, 0, 0, 0);
  if (caisson_save(40)) return 9000000;
  if (caisson_copy(40, 41)) return 9100000;
  if (caisson_open_instance(40) || caisson_open_instance(41)) return 9200000;
  unsigned long a = caisson_host_call(40, 0, 10, 0, 0, 0, 0, 0).value;
  unsigned long b = caisson_host_call(41, 0, 100, 0, 0, 0, 0, 0).value;
  return a * 1000 + b;
}
// 12: an image made of data: one page with code that returns a0 + a1, run as a child.
CAISSON_EXPORT unsigned long makes_image(void) {
  static const unsigned int code[] = {0x00b50533, 0x00008067};  // add a0, a0, a1; ret
  if (caisson_data_mint(code, sizeof code, 50)) return 1;
  struct {
    struct caisson_image_description head;
    struct caisson_image_mapping mapping;
    struct caisson_image_endpoint endpoint;
  } image = {{1, 1, 1, 0}, {0x100, 1, 5, 0, 50}, {3, 0, 0x100000}};
  unsigned long error = caisson_make_image(&image, sizeof image, 51);
  if (error) return 100 + error;
  if (caisson_derive_spawn(51, 52)) return 2;
  struct caisson_result r = caisson_host_call(52, 3, 30, 12, 0, 0, 0, 0);
  return r.error ? 200 + r.error : r.value;
}
// 13: maps data and reads it through memory.
CAISSON_EXPORT unsigned long opens_data(void) {
  ((unsigned long*)buffer)[0] = 1234;
  if (caisson_data_mint(buffer, 8, 60)) return 1;
  if (caisson_open_data(60, (void*)0x30000000, 3)) return 2;
  volatile unsigned long* mapped = (volatile unsigned long*)0x30000000;
  unsigned long first = *mapped;
  *mapped = 1;
  unsigned long word;
  caisson_data_read(60, 0, &word, 8);
  return first + word + *mapped;
}
// 14: becomes the image in slot 1 at its next call.
CAISSON_EXPORT unsigned long becomes(void) { return caisson_set_image(1); }
CAISSON_EXPORT unsigned long spin(unsigned long n) { for (unsigned long i = 0; i < n; ++i) counter += i ^ (counter << 1); return counter; }
// 16: the same in a child.
CAISSON_EXPORT unsigned long spin_child(unsigned long n, unsigned long depth) {
  if (depth == 0) return spin(n);
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 70);
  struct caisson_result r = caisson_host_call(70, 16, n, depth - 1, 0, 0, 0, 0);
  unsigned long own = spin(n / 4);
  return r.error ? r.error : r.value + own;
}
// 17: leaves a yielded call in a slot; 18: goes on with it.
CAISSON_EXPORT unsigned long keeps_yielded(unsigned long endpoint) {
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 9);
  unsigned long arguments[6] = {100, 0, 0, 0, 0, 0};
  struct caisson_result r = caisson_host_call_with(9, endpoint, CAISSON_ALL_GAS, CAISSON_NO_SLOT, 7, arguments);
  return r.value * 100 + r.error;
}
CAISSON_EXPORT unsigned long resumes_kept(unsigned long value) {
  struct caisson_result r = caisson_call_resume(9, value);
  return r.value * 100 + r.error;
}
)guest";

constexpr std::initializer_list<const char*> kEndpoints = {
    "count",    "recurse",     "call_child", "fail",          "call_failing", "yielding",    "between",
    "catching", "takes_given", "gives",      "errors",        "saves",        "makes_image", "opens_data",
    "becomes",  "spin",        "spin_child", "keeps_yielded", "resumes_kept"};
enum EndpointNumber : std::uint64_t {
  kCount,
  kRecurse,
  kCallChild,
  kFail,
  kCallFailing,
  kYielding,
  kBetween,
  kCatching,
  kTakesGiven,
  kGives,
  kErrors,
  kSaves,
  kMakesImage,
  kOpensData,
  kBecomes,
  kSpin,
  kSpinChild,
  kKeepsYielded,
  kResumesKept
};

const std::vector<std::uint8_t>& guest_elf() {
  static const std::vector<std::uint8_t> elf = [] {
    auto made = test::compile_functions(kGuest);
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? *made : std::vector<std::uint8_t>();
  }();
  return elf;
}

class KernelTest : public testing::TestWithParam<Tier> {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  }
  Hash image(KernelWorld& world) { return world.image(guest_elf(), kEndpoints); }
};

InvocationResult invoke(KernelInstance& instance, std::uint64_t endpoint,
                        std::initializer_list<std::uint64_t> arguments = {}, std::uint64_t gas = 100'000'000'000) {
  const Result<InvocationResult> result =
      instance.invoke(endpoint, std::span(arguments.begin(), arguments.size()), gas);
  EXPECT_TRUE(result) << result.error().to_string();
  return result.value_or(InvocationResult{ExitReason::kAborted, 0, 0, 0});
}

TEST_P(KernelTest, MemoryLastsBetweenCallsOfAnInstance) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(instance, kCount, {3}).return_value, 3u);
  EXPECT_EQ(invoke(instance, kCount, {4}).return_value, 7u);
}

TEST_P(KernelTest, InstancesCallTheirChildren) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(instance, kRecurse, {0}).return_value, 0u);
  EXPECT_EQ(invoke(instance, kRecurse, {1}).return_value, 1u);
  EXPECT_EQ(invoke(instance, kRecurse, {100}).return_value, 100u);
  EXPECT_EQ(instance.instance_count(), 1u);
  // 0 + 1 + 3 + 6 + …
  EXPECT_EQ(invoke(instance, kCallChild, {10}).return_value, 165u);
}

TEST_P(KernelTest, GasIsAffineInDepthWhateverIsResident) {
  std::vector<std::uint64_t> gas;
  for (const std::size_t residents : {std::size_t{2}, std::size_t{8}, std::size_t{4096}}) {
    KernelWorld world(GetParam(), {.resident_instances = residents});
    KernelInstance instance = world.kernel().derive(image(world)).value();
    std::uint64_t used[4];
    for (int i = 0; i < 4; ++i) {
      const std::uint64_t before = instance.gas_used();
      const std::uint64_t depth =
          i < 2 ? 200 + 200 * static_cast<std::uint64_t>(i) : 200 + 200 * static_cast<std::uint64_t>(i);
      EXPECT_EQ(invoke(instance, kRecurse, {depth}).return_value, depth);
      used[i] = instance.gas_used() - before;
    }
    EXPECT_EQ(used[1] - used[0], used[3] - used[2]);
    EXPECT_LE(instance.resident_count(), residents);
    gas.push_back(used[0]);
  }
  EXPECT_EQ(gas[0], gas[1]);
  EXPECT_EQ(gas[0], gas[2]);
}

TEST_P(KernelTest, DepthIsLimitedByAnErrorCode) {
  KernelWorld world(GetParam(), {.max_depth = 50});
  KernelInstance instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(instance, kRecurse, {49}).return_value, 49u);
  // The deepest says that it may not, and those above it count.
  const std::uint64_t deepest = 2'000'000 + static_cast<std::uint64_t>(KernelError::kDepth);
  EXPECT_EQ(invoke(instance, kRecurse, {50}).return_value, deepest + 49);
  EXPECT_EQ(instance.instance_count(), 1u);
}

TEST_P(KernelTest, FailuresOfAChildAreErrorCodesAtEveryDepth) {
  struct Case {
    std::uint64_t how;
    KernelError error;
    std::optional<std::uint64_t> value;
  };
  const Case cases[] = {{0, KernelError::kChildFault, 0x20000000},
                        {1, KernelError::kChildPanic, std::nullopt},
                        {2, KernelError::kChildOutOfGas, std::nullopt},
                        {3, KernelError::kChildTrap, std::nullopt},
                        {4, KernelError::kChildEcall, 0x77},
                        {5, KernelError::kOk, 55}};
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  for (const Case& each : cases) {
    for (const std::uint64_t deeper : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{30}}) {
      const InvocationResult result = invoke(instance, kCallFailing, {each.how, 100'000, deeper});
      EXPECT_EQ(result.return_value & 255, static_cast<std::uint64_t>(each.error)) << each.how << ' ' << deeper;
      if (each.value) EXPECT_EQ(result.return_value >> 8, *each.value) << each.how;
      EXPECT_EQ(instance.instance_count(), 1u);
    }
  }
  // What a child did before it failed stays, and it can be called again.
  EXPECT_EQ(invoke(instance, kCallFailing, {6, ~std::uint64_t{0}, 0}).return_value,
            100u << 8 | static_cast<unsigned>(KernelError::kChildFault));
}

TEST_P(KernelTest, FailuresOfTheRootAreResults) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(instance, kFail, {0}).exit_reason, ExitReason::kPageFault);
  EXPECT_EQ(invoke(instance, kFail, {1}).exit_reason, ExitReason::kPanic);
  EXPECT_EQ(invoke(instance, kFail, {3}).exit_reason, ExitReason::kTrap);
  EXPECT_EQ(invoke(instance, kFail, {4}).exit_reason, ExitReason::kEcall);
  EXPECT_EQ(invoke(instance, kFail, {2}, 1'000'000).exit_reason, ExitReason::kOutOfGas);
  EXPECT_EQ(invoke(instance, kCount, {1}).return_value, 1u);
}

TEST_P(KernelTest, YieldedCallsGoOnOrAreDropped) {
  KernelWorld world(GetParam());
  for (const std::uint64_t endpoint : {kYielding, kBetween}) {
    KernelInstance instance = world.kernel().derive(image(world)).value();
    const std::uint64_t plus = endpoint == kBetween ? 1000 : 0;
    EXPECT_EQ(invoke(instance, kCatching, {endpoint, 0}).return_value, 3001 + plus);
    KernelInstance dropping = world.kernel().derive(image(world)).value();
    // The first of the chain is in the slot again, with its memory: it counted once where it is the one that yielded.
    EXPECT_EQ(invoke(dropping, kCatching, {endpoint, 1}).return_value, endpoint == kYielding ? 1u : 0u);
  }
}

TEST_P(KernelTest, CapabilitiesAreGivenAndComeBack) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(instance, kGives).return_value, 42u);
}

TEST_P(KernelTest, RejectedOperationsSayWhy) {
  const KernelError expected[] = {
      KernelError::kEmptySlot,   KernelError::kBadSlot,     KernelError::kBadSlot,     KernelError::kSlotTaken,
      KernelError::kNotCopyable, KernelError::kBadArgument, KernelError::kEmptySlot,   KernelError::kEmptySlot,
      KernelError::kWrongKind,   KernelError::kNoEndpoint,  KernelError::kBadAddress,  KernelError::kWrongKind,
      KernelError::kNoCatcher,   KernelError::kBadArgument, KernelError::kWrongKind,   KernelError::kSlotTaken,
      KernelError::kMoved,       KernelError::kWrongKind,   KernelError::kWrongKind,   KernelError::kWrongKind,
      KernelError::kWrongKind,   KernelError::kBadArgument, KernelError::kBadArgument, KernelError::kEmptySlot,
      KernelError::kBadArgument, KernelError::kBadAddress,  KernelError::kOk,          KernelError::kOk,
      KernelError::kBadArgument, KernelError::kEmptySlot,   KernelError::kBadAddress};
  KernelWorld world(GetParam());
  for (std::uint64_t which = 0; which < std::size(expected); ++which) {
    KernelInstance instance = world.kernel().derive(image(world)).value();
    EXPECT_EQ(invoke(instance, kErrors, {which}).return_value, static_cast<std::uint64_t>(expected[which])) << which;
  }
}

TEST_P(KernelTest, SealedInstancesAreCopiedAndOpened) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(instance, kSaves).return_value, 15'105u);
}

TEST_P(KernelTest, ImagesAreMadeOfData) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(instance, kMakesImage).return_value, 42u);
}

TEST_P(KernelTest, DataIsMappedCopyOnWrite) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(instance, kOpensData).return_value, 1234u + 1234 + 1);
}

TEST_P(KernelTest, SetImageTakesEffectAtTheNextCall) {
  KernelWorld world(GetParam());
  const auto other_elf =
      test::compile_functions("CAISSON_EXPORT unsigned long other(unsigned long a) { return a * 2; }");
  ASSERT_TRUE(other_elf) << other_elf.error().to_string();
  const Hash other = world.image(*other_elf, {"other"});
  KernelInstance instance = world.kernel().derive(image(world)).value();
  ASSERT_TRUE(instance.put_capability(1, other));
  const Hash lineage = instance.lineage();
  EXPECT_EQ(invoke(instance, kBecomes).return_value, 0u);
  EXPECT_EQ(instance.lineage(), lineage);
  EXPECT_EQ(invoke(instance, 0, {21}).return_value, 42u);
  EXPECT_NE(instance.lineage(), lineage);
  EXPECT_EQ(instance.image(), other);
}

TEST_P(KernelTest, StoppedCallsResumeToTheSameResultAndGas) {
  KernelWorld world(GetParam());
  const Hash hash = image(world);
  KernelInstance whole = world.kernel().derive(hash).value();
  const InvocationResult expected = invoke(whole, kSpinChild, {4000, 6});
  for (const std::uint64_t step : {std::uint64_t{500}, std::uint64_t{1777}}) {
    KernelInstance stopped = world.kernel().derive(hash).value();
    Result<InvocationResult> result = stopped.invoke(kSpinChild, std::array<std::uint64_t, 2>{4000, 6}, step);
    int stops = 0;
    while (result && result->exit_reason == ExitReason::kOutOfGas && stops++ < 100'000) result = stopped.resume(step);
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_GT(stops, 1);
    EXPECT_EQ(result->return_value, expected.return_value);
    EXPECT_EQ(stopped.gas_used(), whole.gas_used());
  }
}

TEST_P(KernelTest, SealedInTheMiddleOfCallsItGoesOnElsewhere) {
  KernelWorld world(GetParam());
  const Hash hash = image(world);
  KernelInstance whole = world.kernel().derive(hash).value();
  const InvocationResult expected = invoke(whole, kSpinChild, {4000, 6});
  const Hash expected_hash = whole.seal().value();
  for (const std::uint64_t step : {std::uint64_t{700}, std::uint64_t{2999}}) {
    KernelInstance stopped = world.kernel().derive(hash).value();
    Result<InvocationResult> result = stopped.invoke(kSpinChild, std::array<std::uint64_t, 2>{4000, 6}, step);
    int stops = 0;
    while (result && result->exit_reason == ExitReason::kOutOfGas && stops++ < 100'000) {
      const Result<Hash> sealed = stopped.seal();
      ASSERT_TRUE(sealed) << sealed.error().to_string();
      Result<KernelInstance> opened = world.kernel().open(*sealed);
      ASSERT_TRUE(opened) << opened.error().to_string();
      stopped = *std::move(opened);
      result = stopped.resume(step);
    }
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_GT(stops, 1);
    EXPECT_EQ(result->return_value, expected.return_value);
    EXPECT_EQ(stopped.gas_used(), whole.gas_used());
    EXPECT_EQ(stopped.seal().value().to_string(), expected_hash.to_string());
  }
}

TEST_P(KernelTest, YieldedCallsAreSealedAndGoOnElsewhere) {
  constexpr auto kYielded = static_cast<std::uint64_t>(KernelError::kYielded);
  for (const std::uint64_t endpoint : {kYielding, kBetween}) {
    KernelWorld world(GetParam());
    KernelInstance here = world.kernel().derive(image(world)).value();
    EXPECT_EQ(invoke(here, kKeepsYielded, {endpoint}).return_value, 10'100 + kYielded);
    const Hash sealed = here.seal().value();
    KernelWorld elsewhere(GetParam(), {}, world.shared_store());
    Result<KernelInstance> opened = elsewhere.kernel().open(sealed);
    ASSERT_TRUE(opened) << opened.error().to_string();
    KernelInstance there = *std::move(opened);
    EXPECT_EQ(there.seal().value(), sealed);
    for (KernelInstance* const instance : {&here, &there}) {
      EXPECT_EQ(invoke(*instance, kResumesKept, {200}).return_value, 20'100 + kYielded);
      EXPECT_EQ(invoke(*instance, kResumesKept, {300}).return_value, 100 * (endpoint == kBetween ? 4001 : 3001));
    }
    EXPECT_EQ(there.gas_used(), here.gas_used());
    EXPECT_EQ(there.seal().value(), here.seal().value());
    // One that is dropped is an instance again, as it is where it was made.
    KernelInstance again = elsewhere.kernel().open(sealed).value();
    EXPECT_EQ(again.instance_count(), endpoint == kBetween ? 3u : 2u);
  }
}

TEST_P(KernelTest, CachedInvocationsLeaveNothing) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  invoke(instance, kCount, {5});
  const Hash sealed = instance.seal().value();
  for (int i = 0; i < 3; ++i) {
    const auto result = world.kernel().invoke_cached(sealed, kCount, std::array<std::uint64_t, 1>{2}, 1'000'000);
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(result->return_value, 7u);
  }
  const auto successor = world.kernel().invoke(sealed, kCount, std::array<std::uint64_t, 1>{2}, 1'000'000);
  ASSERT_TRUE(successor) << successor.error().to_string();
  EXPECT_NE(successor->instance, sealed);
  const auto next =
      world.kernel().invoke_cached(successor->instance, kCount, std::array<std::uint64_t, 1>{2}, 1'000'000);
  EXPECT_EQ(next->return_value, 9u);
  // The same call on the live instance gives the same successor.
  invoke(instance, kCount, {2}, 1'000'000);
  EXPECT_EQ(instance.seal().value().to_string(), successor->instance.to_string());
}

TEST_P(KernelTest, ForksGoTheirOwnWays) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  invoke(instance, kCount, {5});
  KernelInstance fork = instance.fork().value();
  EXPECT_EQ(fork.gas_used(), instance.gas_used());
  EXPECT_EQ(invoke(instance, kCount, {1}).return_value, 6u);
  EXPECT_EQ(invoke(fork, kCount, {10}).return_value, 15u);
  EXPECT_EQ(invoke(instance, kCount, {1}).return_value, 7u);
}

// Who makes an image chooses where its endpoints are: anywhere.
TEST(KernelTiers, EndpointsMayBeAnywhere) {
  constexpr std::uint64_t kCode = 0x100000;
  constexpr std::uint64_t kPlaces[] = {
      kCode,       kCode + 2,           kCode + 4, kCode + 0xFFE,     0, 0xFFFF0000, 0xFFFF0002,
      0x100000000, 0x100000000 + kCode, ~0ull - 1, 0x8000000000000000};
  Data::Page page{};
  constexpr std::uint8_t kReturn[] = {0x82, 0x80};  // c.ret
  for (std::size_t at = 0; at < page.size(); at += sizeof kReturn)
    std::ranges::copy(kReturn, page.begin() + static_cast<std::ptrdiff_t>(at));
  Data code = Data::zeros(1);
  code.set_page(0, page);
  Image image{
      .mappings = {
          {.first_page = kCode / 4096, .page_count = 1, .permissions = kMapRead | kMapExecute, .data = hash_of(code)}}};
  for (const std::uint64_t pc : kPlaces)
    image.endpoints.push_back(
        {.number = static_cast<std::uint32_t>(image.endpoints.size()), .name = {}, .pc = pc, .registers = {}});
  Image odd = image;
  odd.endpoints.front().pc = kCode + 1;
  EXPECT_EQ(check(odd).error().where, "image.endpoints[0].pc");
  std::vector<std::string> first;
  for (const Tier tier : test::kKernelTiers) {
    KernelWorld world(tier);
    const Hash hash = put_image(world.store(), {image, {code}}).value();
    std::vector<std::string> seen;
    for (std::size_t i = 0; i < std::size(kPlaces); ++i) {
      KernelInstance instance = world.kernel().derive(hash).value();
      const auto result = instance.invoke(i, {}, 1'000'000);
      ASSERT_TRUE(result) << result.error().to_string();
      seen.push_back(std::to_string(i) + ": " + std::string(to_string(result->exit_reason)) + ' ' +
                     std::to_string(result->exit_arg) + ' ' + std::to_string(result->gas_remaining));
    }
    if (first.empty()) first = seen;
    EXPECT_EQ(seen, first) << test::tier_name(tier);
  }
}

TEST(KernelTiers, GiveTheSameResultsGasAndHashes) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  struct Call {
    std::uint64_t endpoint;
    std::vector<std::uint64_t> arguments;
  };
  const Call calls[] = {{kCount, {3}},
                        {kRecurse, {40}},
                        {kCallChild, {20}},
                        {kCallFailing, {0, 9999, 2}},
                        {kCatching, {kYielding, 0}},
                        {kGives, {}},
                        {kSaves, {}},
                        {kMakesImage, {}},
                        {kOpensData, {}},
                        {kSpinChild, {1000, 5}},
                        {kErrors, {26}},
                        {kCallFailing, {2, 5000, 0}}};
  std::vector<std::string> first;
  for (const Tier tier : test::kKernelTiers) {
    KernelWorld world(tier);
    const Hash hash = world.image(guest_elf(), kEndpoints);
    std::vector<std::string> seen;
    for (const Call& call : calls) {
      KernelInstance instance = world.kernel().derive(hash).value();
      const auto result = instance.invoke(call.endpoint, call.arguments, 1'000'000'000);
      ASSERT_TRUE(result) << result.error().to_string();
      seen.push_back(std::to_string(static_cast<unsigned>(result->exit_reason)) + ' ' +
                     std::to_string(result->return_value) + ' ' + std::to_string(result->gas_remaining) + ' ' +
                     instance.seal().value().to_string());
    }
    if (first.empty()) first = seen;
    EXPECT_EQ(seen, first) << test::tier_name(tier);
  }
}

INSTANTIATE_TEST_SUITE_P(Tiers, KernelTest, testing::ValuesIn(test::kKernelTiers),
                         [](const testing::TestParamInfo<Tier>& info) { return test::tier_name(info.param); });

}  // namespace
}  // namespace caisson
