// Host functions of instances of the kernel: the embedder's, by the names that an image says it imports.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernel_guests.h"

namespace caisson {
namespace {

using test::KernelWorld;

constexpr char kGuest[] = R"guest(
CAISSON_IMPORT(long, add, long, long);
CAISSON_IMPORT(long, sum, const int*, unsigned long);
CAISSON_IMPORT(void, fails, void);
CAISSON_EXPORT unsigned long adds(unsigned long a, unsigned long b) { return add(a, b); }
CAISSON_EXPORT unsigned long sums(unsigned long count) {
  int values[16];
  for (int i = 0; i < 16; ++i) values[i] = i + 1;
  return sum(values, count);
}
CAISSON_EXPORT unsigned long fail_here(void) { fails(); return 1; }
// What a child's calls of host functions come to: 0 adds, 1 sums, 2 fails.
CAISSON_EXPORT unsigned long child(unsigned long endpoint, unsigned long a, unsigned long b) {
  caisson_derive_spawn(CAISSON_OWN_IMAGE, 3);
  struct caisson_result r = caisson_host_call(3, endpoint, a, b, 0, 0, 0, 0);
  caisson_drop(3);
  return r.value << 8 | r.error;
}
// An image of the same code that its maker makes: it reaches what the maker reaches.
CAISSON_EXPORT unsigned long made(unsigned long code_page, unsigned long pages, unsigned long pc) {
  static unsigned char copy[65536];
  for (unsigned long i = 0; i < pages * 4096; ++i) copy[i] = ((volatile unsigned char*)(code_page * 4096))[i];
  if (caisson_data_mint(copy, pages * 4096, 20)) return 1;
  struct { struct caisson_image_description head; struct caisson_image_mapping mapping; struct caisson_image_endpoint endpoint; } text = {
      {1, 1, 1, 0}, {code_page, pages, 5, 0, 20}, {0, 0, pc}};
  unsigned long error = caisson_make_image(&text, sizeof text, 21);
  if (error) return error;
  error = caisson_derive_spawn(21, 22);
  if (error) return error;
  struct caisson_result r = caisson_host_call(22, 0, 30, 12, 0, 0, 0, 0);
  return r.value << 8 | r.error;
}
)guest";
enum EndpointNumber : std::uint64_t { kAdds, kSums, kFails, kChild, kMade };

void add_functions(Engine& engine) {
  engine.host_function("add", [](std::int64_t a, std::int64_t b) { return a + b; }, 7);
  engine.host_function("sum", [](std::span<const std::int32_t> values) {
    std::int64_t total = 0;
    for (const std::int32_t value : values) total += value;
    return total;
  });
  engine.host_function("fails", []() -> void { throw std::runtime_error("no disk"); });
}

class KernelHostFunctions : public testing::TestWithParam<Tier> {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
    const auto elf = test::compile_functions(kGuest);
    ASSERT_TRUE(elf) << elf.error().to_string();
    elf_ = *elf;
  }
  Hash image(KernelWorld& world) { return world.image(elf_, {"adds", "sums", "fail_here", "child", "made"}); }

  std::vector<std::uint8_t> elf_;
};

InvocationResult invoke(KernelInstance& instance, std::uint64_t endpoint,
                        std::initializer_list<std::uint64_t> arguments = {}, std::uint64_t gas = 10'000'000) {
  const Result<InvocationResult> result =
      instance.invoke(endpoint, std::span(arguments.begin(), arguments.size()), gas);
  EXPECT_TRUE(result) << result.error().to_string();
  return result.value_or(InvocationResult{ExitReason::kAborted, 0, 0, 0});
}

TEST_P(KernelHostFunctions, AreCalledFromEveryDepth) {
  KernelWorld world(GetParam());
  add_functions(world.engine());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(instance, kAdds, {40, 2}).return_value, 42u);
  EXPECT_EQ(invoke(instance, kSums, {16}).return_value, 136u);
  EXPECT_EQ(invoke(instance, kChild, {kAdds, 40, 2}).return_value, 42u << 8);
  EXPECT_EQ(invoke(instance, kChild, {kSums, 10, 0}).return_value, 55u << 8);
}

TEST_P(KernelHostFunctions, CostTheSameInEveryTier) {
  std::vector<std::uint64_t> gas;
  for (const Tier tier : {Tier::kInterp, GetParam()}) {
    KernelWorld world(tier);
    add_functions(world.engine());
    KernelInstance instance = world.kernel().derive(image(world)).value();
    invoke(instance, kAdds, {1, 2});
    invoke(instance, kSums, {16});
    invoke(instance, kChild, {kAdds, 1, 2});
    invoke(instance, kChild, {kFails, 0, 0});
    gas.push_back(instance.gas_used());
  }
  EXPECT_EQ(gas[0], gas[1]);
}

TEST_P(KernelHostFunctions, AFailureEndsTheRunOrIsTheChilds) {
  KernelWorld world(GetParam());
  add_functions(world.engine());
  KernelInstance instance = world.kernel().derive(image(world)).value();
  const InvocationResult result = invoke(instance, kFails);
  EXPECT_EQ(result.exit_reason, ExitReason::kHostCall);
  EXPECT_GE(result.exit_arg, 0x1040u);
  EXPECT_EQ(instance.host_error(), "no disk");
  const std::uint64_t child = invoke(instance, kChild, {kFails, 0, 0}).return_value;
  EXPECT_EQ(child & 0xFF, 21u);  // CAISSON_ERROR_CHILD_HOST_CALL
  EXPECT_EQ(child >> 8, result.exit_arg);
  EXPECT_EQ(invoke(instance, kAdds, {1, 1}).return_value, 2u);
}

TEST_P(KernelHostFunctions, GasThatFallsShortMakesTheCallAgain) {
  KernelWorld world(GetParam());
  add_functions(world.engine());
  KernelInstance whole = world.kernel().derive(image(world)).value();
  const std::uint64_t needed = 10'000'000 - invoke(whole, kChild, {kSums, 16, 0}).gas_remaining;
  for (std::uint64_t gas = 0; gas < needed; gas += 17) {
    KernelInstance instance = world.kernel().derive(image(world)).value();
    ASSERT_EQ(invoke(instance, kChild, {kSums, 16, 0}, gas).exit_reason, ExitReason::kOutOfGas) << gas;
    const Result<InvocationResult> result = instance.resume(needed - gas);
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(result->return_value, 136u << 8) << gas;
    EXPECT_EQ(result->gas_remaining, 0u) << gas;
  }
}

TEST_P(KernelHostFunctions, ThoseThatAreMissingAreNamed) {
  KernelWorld world(GetParam());
  const Hash hash = image(world);
  KernelInstance instance = world.kernel().derive(hash).value();
  const Result<InvocationResult> missing = instance.invoke(kAdds);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kUnresolvedImport);
  EXPECT_NE(missing.error().message.find("add"), std::string::npos) << missing.error().to_string();
  // It can be sealed all the same, for one that has them.
  const Hash sealed = instance.seal().value();
  KernelWorld elsewhere(GetParam(), {}, world.shared_store());
  add_functions(elsewhere.engine());
  KernelInstance opened = elsewhere.kernel().open(sealed).value();
  EXPECT_EQ(invoke(opened, kAdds, {1, 2}).return_value, 3u);

  KernelWorld wrong(GetParam(), {}, world.shared_store());
  add_functions(wrong.engine());
  wrong.engine().host_function("add", [](double a) { return a; });
  KernelInstance mismatched = wrong.kernel().open(sealed).value();
  EXPECT_EQ(mismatched.invoke(kAdds).error().code, ErrorCode::kSignatureMismatch);
}

TEST_P(KernelHostFunctions, AskNothingOfTheInstanceThatRuns) {
  KernelWorld world(GetParam());
  std::optional<KernelInstance> instance;
  std::vector<ErrorCode> errors;
  add_functions(world.engine());
  world.engine().host_function("fails", [&]() {
    errors.push_back(instance->invoke(kAdds).error().code);
    errors.push_back(instance->resume().error().code);
    errors.push_back(instance->seal().error().code);
    errors.push_back(instance->fork().error().code);
    errors.push_back(instance->drop_capability(1).error().code);
    errors.push_back(instance->capability(1).error().code);
    errors.push_back(instance->put_capability(1, Hash()).error().code);
    std::array<std::uint8_t, 1> byte{};
    EXPECT_FALSE(instance->read_memory(0x10000, byte));
    EXPECT_FALSE(instance->write_memory(0x10000, byte));
  });
  instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(*instance, kFails).return_value, 1u);
  EXPECT_EQ(errors, std::vector<ErrorCode>(7, ErrorCode::kBusy));
  // Others may be used.
  std::optional<KernelInstance> other = world.kernel().derive(image(world)).value();
  world.engine().host_function("fails", [&]() { EXPECT_EQ(invoke(*other, kAdds, {4, 5}).return_value, 9u); });
  KernelWorld fresh(GetParam(), {}, world.shared_store());
  add_functions(fresh.engine());
  fresh.engine().host_function("fails", [&]() { EXPECT_EQ(invoke(*other, kAdds, {4, 5}).return_value, 9u); });
  KernelInstance caller = fresh.kernel().derive(image(fresh)).value();
  EXPECT_EQ(invoke(caller, kFails).return_value, 1u);
}

TEST_P(KernelHostFunctions, MadeImagesReachWhatTheirMakerReaches) {
  KernelWorld world(GetParam());
  add_functions(world.engine());
  const auto built = build_image(elf_, {.endpoints = {{0, "adds"}}});
  ASSERT_TRUE(built) << built.error().to_string();
  const Image& image_value = built->image;
  EXPECT_EQ(image_value.imports.size(), 3u);
  const ImageMapping* code = nullptr;
  for (const ImageMapping& mapping : image_value.mappings) {
    if ((mapping.permissions & kMapExecute) != 0) code = &mapping;
  }
  ASSERT_NE(code, nullptr);
  ASSERT_LE(code->page_count, 16u);
  KernelInstance instance = world.kernel().derive(image(world)).value();
  EXPECT_EQ(invoke(instance, kMade, {code->first_page, code->page_count, image_value.endpoints[0].pc}, 100'000'000)
                .return_value,
            42u << 8);
}

INSTANTIATE_TEST_SUITE_P(Tiers, KernelHostFunctions, testing::ValuesIn(test::kKernelTiers),
                         [](const auto& info) { return test::tier_name(info.param); });

}  // namespace
}  // namespace caisson
