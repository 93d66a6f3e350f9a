// Suite `start`: the whole life of a process that runs a small program — fork, exec, load, run, exit — by the wall.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>

#include "bench/child_process.h"
#include "bench/kernels.h"
#include "bench/suites.h"
#include "bench/tiers.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "start";
constexpr char kCase[] = "hello";
constexpr char kExpectedOutput[] = "hello\n";
constexpr int kWarmUps = 5;

std::vector<std::string> cases() { return {kCase}; }

struct Contender {
  std::string name;
  std::vector<std::string> command;
  std::string expected_output;
};

Result<std::vector<Contender>> contenders(const ProgramFolder& folder, Report& report) {
  const auto empty = folder.add("empty", empty_native());
  const auto hello = folder.add("hello", hello_guest());
  if (!empty) return std::unexpected(empty.error());
  if (!hello) return std::unexpected(hello.error());
  const auto self = own_program();
  if (!self) return std::unexpected(self.error());
  const auto tiers = available_tiers(report, kSuite);
  if (!tiers) return std::unexpected(tiers.error());
  std::vector<Contender> list = {{"native", {*empty}, ""}};
  for (const NamedTier& tier : *tiers) {
    list.push_back(
        {std::string(tier.name), {*self, "run", fmt::format("--tier={}", tier.name), *hello}, kExpectedOutput});
  }
  if (const auto emulator = find_program("qemu-riscv64")) {
    list.push_back({"qemu-riscv64", {emulator->string(), *hello}, kExpectedOutput});
  } else {
    add_absent(report, kSuite, "qemu-riscv64", needs_program("qemu-riscv64"));
  }
  return list;
}

// Each runs some times before it is timed, its output checked.
Result<void> check(const std::vector<Contender>& list) {
  for (const Contender& contender : list) {
    for (int turn = 0; turn < kWarmUps; ++turn) {
      std::string output;
      const auto time = time_process(contender.command, &output);
      if (!time) return std::unexpected(time.error());
      if (output != contender.expected_output) {
        return fail(ErrorCode::kInternal, fmt::format("printed \"{}\"", output), contender.name);
      }
    }
  }
  return {};
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const auto folder = ProgramFolder::create();
  if (!folder) return std::unexpected(folder.error());
  const auto list = contenders(*folder, report);
  if (!list) return std::unexpected(list.error());
  if (auto checked = check(*list); !checked) return checked;

  std::vector<std::string> names;
  std::vector<std::vector<std::string>> commands;
  for (const Contender& contender : *list) {
    names.push_back(contender.name);
    commands.push_back(contender.command);
  }
  const auto timed = time_in_turns(commands, runs);
  if (!timed) return std::unexpected(timed.error());
  const std::vector<std::vector<double>>& samples = *timed;
  add_time_rows(report, kSuite, case_name, names, samples);
  for (std::size_t index = 1; index < list->size(); ++index) {
    std::vector<double> differences;
    std::ranges::transform(samples[index], samples[0], std::back_inserter(differences), std::minus());
    report.rows.push_back({kSuite, case_name + "-above-native", names[index], "time_ns", "ns", summarize(differences),
                           "wall time of a static hello less that of an empty native process in the same turn"});
  }
  return {};
}

}  // namespace

Suite start_suite() {
  return {kSuite, "starting and ending a process that prints one line", 200, cases, measure, nullptr};
}

}  // namespace caisson::bench
