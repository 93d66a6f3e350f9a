// The kernel at the limits that its embedder sets: an error code or an exit, nothing that remains, and an instance that goes on afterwards.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "kernel/kernel_error.h"
#include "kernel_guests.h"
#include "support/sanitizers.h"

namespace caisson {
namespace {

using kernel::KernelError;
using test::KernelWorld;

constexpr char kGuest[] = R"guest(
// 0: a child of itself down to depth 0, each dropped on the way back; the depth, or the error of the deepest call that failed.
CAISSON_EXPORT unsigned long recurse(unsigned long depth) {
  if (depth == 0) return 0;
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, 1)) return 1000000;
  struct caisson_result child = caisson_host_call(1, 0, depth - 1, 0, 0, 0, 0, 0);
  caisson_drop(1);
  return child.error ? 2000000 + child.error : child.value + 1;
}
// 1: the same, and each keeps its child.
CAISSON_EXPORT unsigned long nest(unsigned long depth) {
  if (depth == 0) return 0;
  unsigned long error = caisson_derive_spawn(CAISSON_OWN_IMAGE, 1);
  if (error) return 1000000 + (error << 32);
  struct caisson_result child = caisson_host_call(1, 1, depth - 1, 0, 0, 0, 0, 0);
  return child.error ? 2000000 + child.error : child.value + 1;
}
CAISSON_EXPORT unsigned long drop(unsigned long slot) { return caisson_drop(slot); }
// 3: children in a CNode in slot 2; how many << 32 | the error of the first that could not be made.
CAISSON_EXPORT unsigned long spawn(unsigned long most) {
  caisson_cnode_mint(2);
  for (unsigned long i = 0; i < most; ++i) {
    unsigned long error = caisson_derive_spawn(CAISSON_OWN_IMAGE, CAISSON_PATH2(2, i));
    if (error) return i << 32 | error;
  }
  return most << 32;
}
// 4: writes pages of its own stack, so that it takes memory when it is parked.
CAISSON_EXPORT unsigned long touch(unsigned long value) {
  volatile unsigned char pages[14 * 4096];
  for (unsigned long i = 0; i < sizeof pages; i += 4096) pages[i] = (unsigned char)(value + i / 4096);
  unsigned long sum = 0;
  for (unsigned long i = 0; i < sizeof pages; i += 4096) sum += pages[i];
  return sum;
}
// 5: calls 4 of each of its children; how many answered << 32 | the first error.
CAISSON_EXPORT unsigned long touch_all(unsigned long count) {
  for (unsigned long i = 0; i < count; ++i) {
    struct caisson_result child = caisson_host_call(CAISSON_PATH2(2, i), 4, i, 0, 0, 0, 0, 0);
    if (child.error) return i << 32 | child.error;
  }
  return count << 32;
}
// 6: with an image in slot 0, fills all others; then the number of slots in which anything could be put.
CAISSON_EXPORT unsigned long fill(void) {
  unsigned long free_slots = 0;
  for (unsigned long i = 1; i < 256; ++i) if (caisson_cnode_mint(i)) return 1000000 + i;
  for (unsigned long i = 0; i < 256; ++i) {
    free_slots += caisson_cnode_mint(i) != CAISSON_ERROR_SLOT_TAKEN;
    free_slots += caisson_copy(0, i) != CAISSON_ERROR_SLOT_TAKEN;
    free_slots += caisson_move(0, i) != CAISSON_ERROR_SLOT_TAKEN;
    free_slots += caisson_derive_spawn(0, i) != CAISSON_ERROR_SLOT_TAKEN;
    free_slots += caisson_data_mint(&free_slots, 8, i) != CAISSON_ERROR_SLOT_TAKEN;
    free_slots += caisson_make_image(&free_slots, 8, i) != CAISSON_ERROR_SLOT_TAKEN;
  }
  // There is room in a CNode, and where something was dropped.
  if (caisson_derive_spawn(0, CAISSON_PATH2(255, 255))) return 2000000;
  if (caisson_drop(200) || caisson_derive_spawn(0, 200)) return 2000001;
  return free_slots;
}
// 7: empties its slots.
CAISSON_EXPORT unsigned long empty(void) {
  for (unsigned long i = 0; i < 256; ++i) caisson_drop(i);
  return 0;
}
// 8: never ends, `depth` calls further down.
CAISSON_EXPORT unsigned long endless(unsigned long depth) {
  if (depth == 0) for (;;) __asm__ volatile("");
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, 1)) return 1000000;
  return caisson_host_call(1, 8, depth - 1, 0, 0, 0, 0, 0).error;
}
// 9: seals the children of slot 2; 10: makes the first `count` of them live again, << 32 | the first error.
CAISSON_EXPORT unsigned long save(void) { return caisson_save(2); }
CAISSON_EXPORT unsigned long open(unsigned long count) {
  for (unsigned long i = 0; i < count; ++i) {
    unsigned long error = caisson_open_instance(CAISSON_PATH2(2, i));
    if (error) return i << 32 | error;
  }
  return count << 32;
}
// 11: touches memory, then calls itself down to depth 0 and touches it again; how many levels answered without an error.
CAISSON_EXPORT unsigned long hog(unsigned long depth) {
  unsigned long before = touch(depth);
  if (depth == 0) return 0;
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, 1)) return 0;
  struct caisson_result child = caisson_host_call(1, 11, depth - 1, 0, 0, 0, 0, 0);
  return touch(depth) == before && !child.error ? child.value + 1 : child.value;
}
)guest";

constexpr std::initializer_list<const char*> kEndpoints = {"recurse", "nest",  "drop",    "spawn", "touch", "touch_all",
                                                           "fill",    "empty", "endless", "save",  "open",  "hog"};
enum EndpointNumber : std::uint64_t {
  kRecurse,
  kNest,
  kDrop,
  kSpawn,
  kTouch,
  kTouchAll,
  kFill,
  kEmpty,
  kEndless,
  kSave,
  kOpen,
  kHog
};

// Ends what the kernel fails to stop.
constexpr std::uint64_t kGas = 30'000'000'000;

const std::vector<std::uint8_t>& guest_elf() {
  static const std::vector<std::uint8_t> elf = [] {
    auto made = test::compile_functions(kGuest);
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? *made : std::vector<std::uint8_t>();
  }();
  return elf;
}

std::size_t count_mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t lines = 0;
  for (std::string line; std::getline(maps, line);) ++lines;
  return lines;
}

constexpr std::uint64_t counted(std::uint64_t count, KernelError error = KernelError::kOk) {
  return count << 32 | static_cast<std::uint64_t>(error);
}

std::uint64_t invoke(KernelInstance& instance, std::uint64_t endpoint, std::uint64_t argument = 0) {
  const Result<InvocationResult> result = instance.invoke(endpoint, std::array<std::uint64_t, 1>{argument}, kGas);
  EXPECT_TRUE(result) << result.error().to_string();
  if (!result) return ~std::uint64_t{0};
  EXPECT_EQ(result->exit_reason, ExitReason::kHostCall);
  return result->return_value;
}

class KernelLimits : public testing::TestWithParam<Tier> {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  }
};

// Windows and code are given back with the kernel; what the allocator and the C library keep is no more than this; a sanitizer's
// allocator keeps more.
constexpr std::size_t kMappingsKept = test::kHasSanitizer ? 512 : 64;

TEST_P(KernelLimits, CallsAndTreesAHundredThousandDeep) {
  constexpr std::uint64_t kDepth = 100'000;
  {
    KernelWorld warm(GetParam());
  }
  const std::size_t mappings = count_mappings();
  {
    KernelWorld world(GetParam(), {.max_depth = 200'000, .max_instances = 300'000});
    const Hash image = world.image(guest_elf(), kEndpoints, 4096);
    KernelInstance instance = world.kernel().derive(image).value();
    EXPECT_EQ(invoke(instance, kRecurse, 3), 3u);
    const std::uint64_t referenced = world.store().stats().referenced;
    EXPECT_EQ(invoke(instance, kRecurse, kDepth), kDepth);
    EXPECT_EQ(instance.instance_count(), 1u);

    EXPECT_EQ(invoke(instance, kNest, kDepth), kDepth);
    EXPECT_EQ(instance.instance_count(), kDepth + 1);
    EXPECT_LE(instance.resident_count(), KernelOptions().resident_instances);
    EXPECT_EQ(invoke(instance, kDrop, 1), 0u);
    EXPECT_EQ(instance.instance_count(), 1u);
    EXPECT_EQ(world.store().stats().referenced, referenced);
    // A tree ends with its owner as well.
    EXPECT_EQ(invoke(instance, kNest, kDepth), kDepth);
  }
  EXPECT_LE(count_mappings(), mappings + kMappingsKept);
}

TEST_P(KernelLimits, InstancesPastTheLimitAreNoMemory) {
  constexpr std::size_t kMost = 40;
  KernelWorld world(GetParam(), {.max_instances = kMost});
  const Hash image = world.image(guest_elf(), kEndpoints);
  KernelInstance instance = world.kernel().derive(image).value();
  const std::uint64_t referenced = world.store().stats().referenced;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(invoke(instance, kSpawn, 200), counted(kMost - 1, KernelError::kNoMemory));
    EXPECT_EQ(instance.instance_count(), kMost);
    EXPECT_EQ(invoke(instance, kTouchAll, kMost - 1), counted(kMost - 1));
    EXPECT_EQ(invoke(instance, kDrop, 2), 0u);
    EXPECT_EQ(instance.instance_count(), 1u);
  }
  // Nested ones count as well.
  EXPECT_EQ(invoke(instance, kNest, 100),
            (kMost - 1) + 1'000'000 + counted(static_cast<std::uint64_t>(KernelError::kNoMemory)));
  EXPECT_EQ(instance.instance_count(), kMost);
  EXPECT_EQ(invoke(instance, kDrop, 1), 0u);
  EXPECT_EQ(instance.instance_count(), 1u);
  EXPECT_EQ(world.store().stats().referenced, referenced);
}

// What was sealed within the limit cannot be opened beside others past it; it stays sealed.
TEST_P(KernelLimits, OpeningPastTheLimitIsNoMemory) {
  constexpr std::size_t kMost = 10;
  KernelWorld world(GetParam(), {.max_instances = kMost});
  KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
  EXPECT_EQ(invoke(instance, kSpawn, 8), counted(8));
  EXPECT_EQ(invoke(instance, kSave), 0u);
  EXPECT_EQ(instance.instance_count(), 1u);
  EXPECT_EQ(invoke(instance, kNest, 5), 5u);
  EXPECT_EQ(invoke(instance, kOpen, 8), counted(kMost - 6, KernelError::kNoMemory));
  EXPECT_EQ(instance.instance_count(), kMost);
  EXPECT_EQ(invoke(instance, kTouchAll, kMost - 6), counted(kMost - 6));
  EXPECT_EQ(invoke(instance, kEmpty), 0u);
  EXPECT_EQ(instance.instance_count(), 1u);
}

TEST_P(KernelLimits, ParkedBytesPastTheLimitAreAnErrorCode) {
  KernelWorld world(GetParam(), {.resident_instances = 2, .parked_bytes = 64 << 10});
  KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
  const std::uint64_t referenced = world.store().stats().referenced;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(invoke(instance, kSpawn, 8), counted(8));
    // Each takes at least 14 pages, of which 64 KiB hold one.
    const std::uint64_t touched = invoke(instance, kTouchAll, 8);
    EXPECT_EQ(touched & 0xFFFF'FFFF, static_cast<std::uint64_t>(KernelError::kNoMemory));
    EXPECT_GE(touched >> 32, 1u);
    EXPECT_LE(touched >> 32, 3u);
    EXPECT_EQ(invoke(instance, kEmpty), 0u);
    EXPECT_EQ(instance.instance_count(), 1u);
    EXPECT_EQ(invoke(instance, kRecurse, 1), 1u);
  }
  EXPECT_EQ(world.store().stats().referenced, referenced);
}

// Callers are parked while callees run, and each has to come back whatever its callees leave.
TEST_P(KernelLimits, CallsWithoutRoomToParkLeaveTheInstanceUsable) {
  for (const std::uint64_t pages : {0, 1, 14, 16, 20, 31, 40, 64, 100}) {
    KernelWorld world(GetParam(), {.resident_instances = 2, .parked_bytes = pages * 4096});
    KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
    for (int round = 0; round < 3; ++round) {
      const auto result = instance.invoke(kHog, std::array<std::uint64_t, 1>{6}, kGas);
      if (result) {
        EXPECT_EQ(result->exit_reason, ExitReason::kHostCall);
        EXPECT_LE(result->return_value, 6u);
      } else {
        EXPECT_EQ(result.error().code, ErrorCode::kLimit) << result.error().to_string();
      }
      EXPECT_EQ(invoke(instance, kEmpty), 0u) << pages;
      EXPECT_EQ(instance.instance_count(), 1u) << pages;
      EXPECT_EQ(invoke(instance, kRecurse, 1), 1u) << pages;
    }
  }
}

// The host's address space has room for so many windows more, until it ends.
class FewWindows {
 public:
  explicit FewWindows(std::uint64_t windows) {
    // With what the interpreter reserves for decoded code.
    constexpr std::uint64_t kWindowBytes = (std::uint64_t{4} << 30) + (std::uint64_t{160} << 20);
    std::uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    ::getrlimit(RLIMIT_AS, &before_);
    rlimit few = before_;
    few.rlim_cur = pages * 4096 + windows * kWindowBytes + (std::uint64_t{256} << 20);
    ::setrlimit(RLIMIT_AS, &few);
  }
  ~FewWindows() { ::setrlimit(RLIMIT_AS, &before_); }
  FewWindows(const FewWindows&) = delete;
  FewWindows& operator=(const FewWindows&) = delete;

 private:
  rlimit before_{};
};

// Far fewer than the kernel may keep: instances give theirs up for others, and where there is none, callers are told.
TEST_P(KernelLimits, AHostWithoutAddressSpaceForWindows) {
  if (test::kHasSanitizer) GTEST_SKIP() << "a sanitizer reserves address space of its own";
  bool some_failed = false;
  {
    KernelWorld warm(GetParam());
  }
  const std::size_t mappings = count_mappings();
  for (const std::uint64_t windows : {0, 1, 2, 3, 8}) {
    KernelWorld world(GetParam(), {.resident_instances = 1000});
    const Hash image = world.image(guest_elf(), kEndpoints);
    KernelInstance instance = world.kernel().derive(image).value();
    const std::uint64_t referenced = world.store().stats().referenced;
    {
      const FewWindows few(windows);
      for (const auto& [endpoint, argument] : {std::pair{kSpawn, 40}, {kTouchAll, 40}, {kRecurse, 50}, {kHog, 20}}) {
        const auto result = instance.invoke(endpoint, std::array{static_cast<std::uint64_t>(argument)}, kGas);
        if (!result) {
          EXPECT_EQ(result.error().code, ErrorCode::kOutOfMemory) << result.error().to_string();
          some_failed = true;
          continue;
        }
        EXPECT_EQ(result->exit_reason, ExitReason::kHostCall) << windows;
        // With two windows for one call of another nothing fails.
        if (windows >= 2 && endpoint == kTouchAll) EXPECT_EQ(result->return_value, counted(40)) << windows;
        if (windows >= 2 && endpoint == kRecurse) EXPECT_EQ(result->return_value, 50u) << windows;
      }
    }
    EXPECT_EQ(invoke(instance, kEmpty), 0u) << windows;
    EXPECT_EQ(instance.instance_count(), 1u) << windows;
    EXPECT_EQ(invoke(instance, kSpawn, 40), counted(40)) << windows;
    EXPECT_EQ(invoke(instance, kTouchAll, 40), counted(40)) << windows;
    EXPECT_EQ(invoke(instance, kEmpty), 0u) << windows;
    EXPECT_EQ(world.store().stats().referenced, referenced) << windows;
  }
  EXPECT_TRUE(some_failed);
  EXPECT_LE(count_mappings(), mappings + kMappingsKept);
}

TEST_P(KernelLimits, FullCNodesSaySlotTaken) {
  KernelWorld world(GetParam());
  const Hash image = world.image(guest_elf(), kEndpoints);
  KernelInstance instance = world.kernel().derive(image).value();
  ASSERT_TRUE(instance.put_capability(0, image));
  EXPECT_EQ(invoke(instance, kFill), 0u);
  EXPECT_EQ(instance.instance_count(), 3u);
  EXPECT_FALSE(instance.put_capability(17, image));
  EXPECT_EQ(invoke(instance, kEmpty), 0u);
  EXPECT_EQ(instance.instance_count(), 1u);
}

TEST_P(KernelLimits, InterruptStopsANestedEndlessLoop) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
  for (const std::uint64_t depth : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{200}}) {
    std::atomic<bool> has_ended = false;
    std::thread other([&] {
      while (!has_ended) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        instance.interrupt();
      }
    });
    const auto result = instance.invoke(kEndless, std::array{depth}, kGas);
    has_ended = true;
    other.join();
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(result->exit_reason, ExitReason::kInterrupted) << depth;
    // One that came after the end may be pending still.
    const auto first = instance.invoke(kEmpty, {}, kGas);
    ASSERT_TRUE(first) << first.error().to_string();
    EXPECT_EQ(invoke(instance, kEmpty), 0u);
    EXPECT_EQ(instance.instance_count(), 1u);
  }
}

TEST_P(KernelLimits, DeadlinesStopANestedEndlessLoop) {
  KernelWorld world(GetParam());
  KernelInstance instance = world.kernel().derive(world.image(guest_elf(), kEndpoints)).value();
  for (const std::uint64_t depth : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{200}}) {
    instance.set_deadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(50));
    const auto result = instance.invoke(kEndless, std::array{depth}, kGas);
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(result->exit_reason, ExitReason::kInterrupted) << depth;
    // It goes on where it was, until the next one.
    instance.set_deadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
    const auto resumed = instance.resume(1);
    ASSERT_TRUE(resumed) << resumed.error().to_string();
    EXPECT_EQ(resumed->exit_reason, ExitReason::kInterrupted) << depth;
    EXPECT_LT(resumed->gas_remaining, result->gas_remaining) << depth;
    instance.set_deadline();
    EXPECT_EQ(invoke(instance, kEmpty), 0u);
    EXPECT_EQ(instance.instance_count(), 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(Tiers, KernelLimits, testing::Values(Tier::kInterp, Tier::kBaseline),
                         [](const testing::TestParamInfo<Tier>& info) { return test::tier_name(info.param); });

}  // namespace
}  // namespace caisson
