// Suite `raw`: calls that end in every way a call can, and their outcome in every tier: reason, argument, value and gas must be the same.
#include <fmt/format.h>

#include <algorithm>

#include "bench/clock.h"
#include "bench/kernel_bench.h"
#include "bench/suites.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "raw";
constexpr int kCalls = 100;  // of one sample

// What a call gives. A call that the kernel refused has kAborted and the code of the error.
struct Outcome {
  ExitReason exit_reason = ExitReason::kAborted;
  std::uint64_t exit_argument = 0, return_value = 0, gas = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
  std::string to_string() const {
    return fmt::format("{{{}, {:#x}, {:#x}, {} gas}}", caisson::to_string(exit_reason), exit_argument, return_value,
                       gas);
  }
};

struct Case {
  std::string_view name;
  InstancesEndpoint endpoint;
  std::vector<std::uint64_t> arguments;
  std::uint64_t gas;
  ExitReason expected;
};

// What guest/bench/programs/instances.c does for each number of `fail`.
const std::vector<Case>& all_cases() {
  using enum InstancesEndpoint;
  using enum ExitReason;
  constexpr std::uint64_t kGas = 10'000'000, kLittleGas = 20'000;
  constexpr auto kNoEndpoint = static_cast<InstancesEndpoint>(999);
  static const std::vector<Case> kCases = {
      {"returns", kEcho, {41}, kGas, kHostCall},
      {"replies", kFail, {9}, kGas, kHostCall},
      {"recurses", kRecurse, {10}, kGas, kHostCall},
      {"too-deep", kRecurse, {40}, kGas, kHostCall},
      {"calls-a-child", kCallOneChild, {20}, kGas, kHostCall},
      {"reads-nothing-there", kFail, {0}, kGas, kPageFault},
      {"writes-code", kFail, {1}, kGas, kPageFault},
      {"no-instruction", kFail, {2}, kGas, kPanic},
      {"breakpoint", kFail, {3}, kGas, kTrap},
      {"nobodys-call", kFail, {4}, kGas, kEcall},
      {"out-of-gas", kFail, {5}, kLittleGas, kOutOfGas},
      {"no-gas", kEcho, {1}, 0, kOutOfGas},
      {"jumps-to-nothing", kFail, {6}, kGas, kPageFault},
      {"reads-null", kFail, {7}, kGas, kPageFault},
      {"reads-far-away", kFail, {8}, kGas, kPageFault},
      {"no-operation", kFail, {10}, kGas, kHostCall},
      {"yields-to-nobody", kFail, {11}, kGas, kHostCall},
      {"child-reads-nothing-there", kFailInChild, {0, kGas}, kGas, kHostCall},
      {"child-no-instruction", kFailInChild, {2, kGas}, kGas, kHostCall},
      {"child-breakpoint", kFailInChild, {3, kGas}, kGas, kHostCall},
      {"child-out-of-its-share", kFailInChild, {5, kLittleGas}, kGas, kHostCall},
      {"child-out-of-all-gas", kFailInChild, {5, ~std::uint64_t{0}}, 2 * kLittleGas, kOutOfGas},
      {"no-endpoint", kNoEndpoint, {}, kGas, kAborted},
      {"too-many-arguments", kEcho, {1, 2, 3, 4, 5, 6, 7}, kGas, kAborted},
  };
  return kCases;
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Case& one : all_cases()) names.emplace_back(one.name);
  return names;
}

Outcome call(KernelInstance& instance, const Case& one) {
  const auto result = instance.invoke(static_cast<std::uint64_t>(one.endpoint), one.arguments, one.gas);
  if (!result) return {ExitReason::kAborted, static_cast<std::uint64_t>(result.error().code), 0, 0};
  return {result->exit_reason, result->exit_arg, result->return_value, result->gas_remaining};
}

struct Contender {
  const KernelBench* bench;
  KernelInstance instance;
};

// Nanoseconds of one call, whose outcome must stay what it was.
Result<double> time(Contender& contender, const Case& one, const Outcome& expected) {
  const double begin = thread_nanoseconds();
  for (int i = 0; i < kCalls; ++i) {
    if (const Outcome outcome = call(contender.instance, one); outcome != expected) {
      return fail(ErrorCode::kInternal, fmt::format("{}, not {}", outcome.to_string(), expected.to_string()),
                  contender.bench->name);
    }
  }
  return (thread_nanoseconds() - begin) / kCalls;
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const Case& one = *std::ranges::find(all_cases(), case_name, &Case::name);
  const auto image = build_instances_image();
  if (!image) return std::unexpected(image.error());
  const auto benches = make_kernel_benches(*image, {.max_depth = 32}, report, kSuite);
  if (!benches) return std::unexpected(benches.error());
  if (benches->empty()) return {};
  std::vector<Contender> contenders;
  for (const KernelBench& bench : *benches) {
    auto instance = bench.kernel->derive(bench.image);
    if (!instance) return std::unexpected(instance.error());
    contenders.push_back({&bench, *std::move(instance)});
  }
  // The first tier's first call is what all others are compared with.
  const Outcome expected = call(contenders.front().instance, one);
  if (expected.exit_reason != one.expected)
    return fail(ErrorCode::kInternal, fmt::format("ended with {}", expected.to_string()),
                contenders.front().bench->name);
  for (Contender& contender : contenders) {
    if (const auto warm = time(contender, one, expected); !warm) return std::unexpected(warm.error());
  }
  std::vector<std::vector<double>> samples(contenders.size());
  for (std::size_t turn = 0; turn < runs; ++turn) {
    for (std::size_t index = 0; index < contenders.size(); ++index) {
      const auto sample = time(contenders[index], one, expected);
      if (!sample) return std::unexpected(sample.error());
      samples[index].push_back(*sample);
    }
  }
  for (std::size_t index = 0; index < contenders.size(); ++index) {
    report.rows.push_back(make_row(kSuite, case_name, contenders[index].bench->name, "time_ns", "ns", samples[index],
                                   fmt::format("of one call, which gives {} in every tier", expected.to_string())));
  }
  return {};
}

}  // namespace

Suite raw_suite() {
  return {kSuite, "outcomes of calls, failing ones too, the same in every tier", 10, cases, measure, nullptr};
}

}  // namespace caisson::bench
