// Suite `call`: what it costs to go from the host into a guest and back, and from a guest to a host function and back;
// forks and seals (fork_cases.cpp).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iterator>

#include "bench/fork_cases.h"
#include "bench/kernels.h"
#include "bench/suites.h"
#include "caisson/engine.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "call";
constexpr int kCalls = 200'000;  // of one sample
constexpr int kFreshInstances = 200;

struct TierName {
  std::string_view name;
  Tier tier;
};
constexpr TierName kTiers[] = {{"baseline", Tier::kBaseline}, {"interp", Tier::kInterp}};

double now_ns() {
  return static_cast<double>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

// A program and an instance of it, ready for calls.
struct Guest {
  Engine engine;
  Module module;
  Instance instance;
  InstanceOptions options;
};

Result<Guest> make_guest(Tier tier) {
  auto engine = Engine::create();
  if (!engine) return std::unexpected(engine.error());
  engine->host_function("add", [](int a, int b) { return a + b; });
  auto module = engine->load_bytes(calls_guest(), "calls");
  if (!module) return std::unexpected(module.error());
  // Metered, and in the way of whoever calls often.
  const InstanceOptions options{.call_gas = std::uint64_t{1} << 40, .tier = tier};
  auto instance = engine->instantiate(*module, options);
  if (!instance) return std::unexpected(instance.error());
  return Guest{*std::move(engine), *std::move(module), *std::move(instance), options};
}

Result<void> wrong(std::string_view what) {
  return fail(ErrorCode::kInternal, fmt::format("{} gave a wrong result", what));
}

// Each case: nanoseconds of one operation.
Result<double> prepared_calls(Guest& guest) {
  const auto empty = guest.instance.prepare<int(int)>("empty");
  if (!empty) return std::unexpected(empty.error());
  int sum = 0;
  const double begin = now_ns();
  for (int i = 0; i < kCalls; ++i) sum += (*empty)(1).value_or(0);
  const double end = now_ns();
  if (sum != kCalls) return std::unexpected(wrong("empty").error());
  return (end - begin) / kCalls;
}

Result<double> named_calls(Guest& guest) {
  int sum = 0;
  const double begin = now_ns();
  for (int i = 0; i < kCalls; ++i) sum += guest.instance.call<int>("empty", 1).value_or(0);
  const double end = now_ns();
  if (sum != kCalls) return std::unexpected(wrong("empty").error());
  return (end - begin) / kCalls;
}

Result<double> host_calls(Guest& guest) {
  const auto call_host = guest.instance.prepare<int(int)>("call_host");
  if (!call_host) return std::unexpected(call_host.error());
  const double begin = now_ns();
  const Result<int> sum = (*call_host)(kCalls);
  const double end = now_ns();
  if (!sum) return std::unexpected(sum.error());
  constexpr std::int64_t kSum = std::int64_t{kCalls} * (kCalls - 1) / 2;
  if (*sum != static_cast<int>(kSum & 0xFFFFFFFF)) return std::unexpected(wrong("call_host").error());
  return (end - begin) / kCalls;
}

Result<double> fresh_calls(Guest& guest) {
  int sum = 0;
  const double begin = now_ns();
  for (int i = 0; i < kFreshInstances; ++i) {
    auto instance = guest.engine.instantiate(guest.module, guest.options);
    if (!instance) return std::unexpected(instance.error());
    sum += instance->call<int>("empty", 1).value_or(0);
  }
  const double end = now_ns();
  if (sum != kFreshInstances) return std::unexpected(wrong("empty").error());
  return (end - begin) / kFreshInstances;
}

struct Case {
  std::string_view name;
  Result<double> (*time)(Guest& guest);
  std::string_view note;
};
constexpr Case kCases[] = {
    {"host-guest-host", prepared_calls, "a prepared call of a function that returns its argument"},
    {"host-guest-host-by-name", named_calls, "the same, the function looked up each time"},
    {"guest-host-function", host_calls, "a typed host function of two integers, the guest's loop included"},
    {"fresh-instance-call", fresh_calls, "an instance made, called once and dropped"},
};

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Case& one : kCases) names.emplace_back(one.name);
  for (std::string& name : fork_cases()) names.push_back(std::move(name));
  return names;
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const auto found = std::ranges::find(kCases, case_name, &Case::name);
  if (found == std::end(kCases)) return measure_fork(kSuite, case_name, runs, report);
  const Case& one = *found;
  std::vector<Guest> guests;
  std::vector<std::string_view> names;
  for (const TierName& tier : kTiers) {
    auto guest = make_guest(tier.tier);
    if (!guest && guest.error().code == ErrorCode::kUnsupported) {
      add_absent(report, kSuite, std::string(tier.name), guest.error().message);
      continue;
    }
    if (!guest) return std::unexpected(guest.error());
    if (const auto warm = one.time(*guest); !warm) return std::unexpected(warm.error());
    guests.push_back(*std::move(guest));
    names.push_back(tier.name);
  }
  std::vector<std::vector<double>> samples(guests.size());
  for (std::size_t turn = 0; turn < runs; ++turn) {
    for (std::size_t index = 0; index < guests.size(); ++index) {
      const auto sample = one.time(guests[index]);
      if (!sample) return std::unexpected(sample.error());
      samples[index].push_back(*sample);
    }
  }
  for (std::size_t index = 0; index < guests.size(); ++index) {
    report.rows.push_back({kSuite, case_name, std::string(names[index]), "time_ns", "ns", summarize(samples[index]),
                           std::string(one.note)});
  }
  return {};
}

}  // namespace

Suite call_suite() {
  return {kSuite, "calls into guests and out of them, fresh instances, forks and seals", 25, cases, measure, nullptr};
}

}  // namespace caisson::bench
