// Suite `gas`: what instructions of each class cost a tier in time, beside what the schedule has them cost in gas.
//
// A class has a loop of such instructions (guest/bench/programs/gas_classes.S); the time of a loop of none is taken from it in each turn.
// The gas of both says what one instruction costs, exactly, whatever the tier. Beside the optimised code stands the same without metering.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "bench/clock.h"
#include "bench/kernels.h"
#include "bench/suites.h"
#include "bench/unmetered_engine.h"
#include "caisson/engine.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "gas";
constexpr char kPerGas[] = "ns_per_gas";
constexpr char kSchedule[] = "gas-v1";
constexpr char kAllClasses[] = "all-classes";
constexpr std::uint64_t kManyIterations = 10'000, kFewIterations = 2'000, kVeryFewIterations = 50;

struct NamedTier {
  std::string_view name;
  Tier tier;
};
constexpr NamedTier kTiers[] = {
    {"interp", Tier::kInterp}, {"baseline", Tier::kBaseline}, {"optimized", Tier::kOptimized}};

struct Case {
  std::string_view name;
  std::string_view function;
  std::uint64_t instructions;  // of an iteration, beside those that count
  std::uint64_t iterations;  // of a sample
  std::string_view note = {};
};

constexpr Case kCases[] = {
    {"alu", "alu", 64, kManyIterations, "add and xor, each waits for the one before"},
    {"rotate", "rotate", 64, kManyIterations, "of class alu"},
    {"multiply", "multiply", 64, kManyIterations},
    {"multiply-high", "multiply_high", 64, kManyIterations},
    {"divide", "divide", 64, kFewIterations},
    {"remainder", "remainder", 64, kFewIterations, "of class divide"},
    {"load", "load", 64, kManyIterations, "each gives the address of the next"},
    {"store", "store", 64, kManyIterations},
    {"branch", "branch", 28, kManyIterations, "not taken; each ends a block, so that the charge of a block is in it"},
    {"jump", "jump", 64, kManyIterations, "to the next instruction: little else than the charge of a block"},
    {"indirect-jump", "indirect_jump", 64, kManyIterations, "calls through a register, and returns"},
    {"float-add", "float_add", 64, kManyIterations, "of class float"},
    {"float-add-single", "float_add_single", 64, kManyIterations, "of class float"},
    {"float-multiply", "float_multiply", 64, kManyIterations, "of class float"},
    {"float-multiply-add", "float_multiply_add", 64, kManyIterations, "of class float"},
    {"float-convert", "float_convert", 64, kManyIterations, "of class float; to an integer and back"},
    {"float-move", "float_move", 64, kManyIterations, "sign injection"},
    {"float-divide", "float_divide", 64, kFewIterations},
    {"float-square-root", "float_square_root", 64, kFewIterations, "of class float-divide"},
    {"atomic-add", "atomic_add", 64, kFewIterations, "of class atomic"},
    {"reserve-and-store", "reserve_and_store", 64, kFewIterations, "of class atomic; lr and sc"},
    {"fence", "fence", 64, kFewIterations},
    {"fence-i", "fence_i", 16, kVeryFewIterations},
    {"csr", "csr", 64, kFewIterations, "fflags written and read"},
};
constexpr Case kNoInstructions{"none", "none", 0, 0};

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Case& one : kCases) names.emplace_back(one.name);
  return names;
}

struct Sample {
  double nanoseconds = 0;
  std::uint64_t gas = 0, value = 0;
};

// An instance of the loops on one tier.
struct Contender {
  std::string name;
  Instance instance;
  bool is_metered = true;
};
constexpr char kUnmetered[] = "optimized-no-gas";

Result<Instance> make_instance(const Result<Engine>& engine, Tier tier) {
  if (!engine) return std::unexpected(engine.error());
  const auto module = engine->load_bytes(gas_classes_guest(), "gas_classes");
  if (!module) return std::unexpected(module.error());
  return engine->instantiate(*module, {.tier = tier});
}

// Metered ones first.
Result<std::vector<Contender>> contenders(Report& report) {
  std::vector<Contender> list;
  const auto add = [&](std::string name, Result<Instance> instance, bool is_metered) -> Result<void> {
    if (instance) {
      list.push_back({std::move(name), *std::move(instance), is_metered});
    } else if (instance.error().code == ErrorCode::kUnsupported || instance.error().code == ErrorCode::kNotFound) {
      add_absent(report, kSuite, name, instance.error().message);
    } else {
      return std::unexpected(instance.error());
    }
    return {};
  };
  for (const NamedTier& tier : kTiers) {
    if (auto added = add(std::string(tier.name), make_instance(Engine::create(), tier.tier), true); !added)
      return std::unexpected(added.error());
  }
  if (auto added = add(kUnmetered, make_instance(make_unmetered_engine(), Tier::kOptimized), false); !added)
    return std::unexpected(added.error());
  return list;
}

Result<Sample> run(Contender& contender, const Case& one, std::uint64_t iterations) {
  constexpr std::uint64_t kGas = std::uint64_t{1} << 50;
  const std::uint64_t gas_before = contender.instance.gas_used();
  const double begin = thread_nanoseconds();
  const auto result = contender.instance.invoke(one.function, std::span(&iterations, 1), kGas);
  const double nanoseconds = thread_nanoseconds() - begin;
  if (!result) return fail(result.error().code, result.error().message, contender.name);
  if (!result->ok()) {
    return fail(ErrorCode::kInternal,
                fmt::format("ended with {} at {:#x}", to_string(result->exit_reason), result->exit_arg),
                contender.name);
  }
  return Sample{nanoseconds, contender.instance.gas_used() - gas_before, result->return_value};
}

// What a sample takes beside the loop that counts.
Result<Sample> run_less_loop(Contender& contender, const Case& one) {
  const auto with = run(contender, one, one.iterations);
  if (!with) return with;
  const auto without = run(contender, kNoInstructions, one.iterations);
  if (!without) return without;
  return Sample{with->nanoseconds - without->nanoseconds, with->gas - without->gas, with->value};
}

// Whether a sample has the value and the gas of the first tier's, the gas that of instructions which all cost the same.
Result<void> check(const Sample& sample, const Sample& expected, const Case& one, const Contender& contender) {
  if (sample.value != expected.value) {
    return fail(ErrorCode::kInternal, fmt::format("computed {:#x}, not {:#x}", sample.value, expected.value),
                contender.name);
  }
  if (!contender.is_metered) return {};
  if (sample.gas != expected.gas || sample.gas % (one.iterations * one.instructions) != 0) {
    return fail(ErrorCode::kInternal, fmt::format("cost {} gas, another tier {}", sample.gas, expected.gas),
                contender.name);
  }
  return {};
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const Case& one = *std::ranges::find(kCases, case_name, &Case::name);
  auto list = contenders(report);
  if (!list) return std::unexpected(list.error());
  std::vector<std::vector<double>> times(list->size()), per_gas(list->size());
  const double instructions = static_cast<double>(one.iterations * one.instructions);
  std::optional<Sample> expected;
  // The first turns check and warm up. A loop that atomics or stores change goes on from there: all tiers have run it as often.
  constexpr std::size_t kWarmUps = 2;
  for (std::size_t turn = 0; turn < runs + kWarmUps; ++turn) {
    expected.reset();
    for (std::size_t index = 0; index < list->size(); ++index) {
      Contender& contender = (*list)[index];
      const auto sample = run_less_loop(contender, one);
      if (!sample) return std::unexpected(sample.error());
      if (!expected) expected = *sample;
      if (auto right = check(*sample, *expected, one, contender); !right) return right;
      if (turn < kWarmUps) continue;
      times[index].push_back(sample->nanoseconds / instructions);
      per_gas[index].push_back(sample->nanoseconds / static_cast<double>(sample->gas));
    }
  }
  if (!expected) return {};
  const double price = static_cast<double>(expected->gas) / instructions;
  const std::string note = fmt::format("{:.0f} gas{}{}", price, one.note.empty() ? "" : "; ", one.note);
  for (std::size_t index = 0; index < list->size(); ++index) {
    const std::string& tier = (*list)[index].name;
    report.rows.push_back({kSuite, case_name, tier, "time_ns", "ns", summarize(times[index]), index == 0 ? note : ""});
    if ((*list)[index].is_metered)
      report.rows.push_back({kSuite, case_name, tier, kPerGas, "ns", summarize(per_gas[index]), ""});
  }
  report.rows.push_back({kSuite, case_name, kSchedule, "gas", "count", summarize(std::vector{price}), ""});
  return {};
}

// The geometric mean over the classes of each tier's time for a gas; its minimum and maximum are classes. A compiler may leave out
// instructions that have no effect: what took no time is not in it.
void summarize_classes(Report& report) {
  for (const NamedTier& tier : kTiers) {
    std::vector<double> medians, lows, highs;
    for (const Row& row : report.rows) {
      if (row.suite != kSuite || row.engine != tier.name || row.metric != kPerGas || row.summary.low <= 0) continue;
      medians.push_back(row.summary.median);
      lows.push_back(row.summary.low);
      highs.push_back(row.summary.high);
    }
    if (medians.empty()) continue;
    report.rows.push_back(
        {kSuite, kAllClasses, std::string(tier.name), kPerGas, "ns",
         summarize_cases(geometric_mean(medians), geometric_mean(lows), geometric_mean(highs), medians),
         fmt::format("over {} classes, from {:.3f} to {:.3f} ns", medians.size(), std::ranges::min(medians),
                     std::ranges::max(medians))});
  }
}

}  // namespace

Suite gas_suite() {
  return {kSuite,           "time of each instruction class in each tier, beside its price in gas", 25, cases, measure,
          summarize_classes};
}

}  // namespace caisson::bench
