// Suite `cold`: kernels from the start of a process that has no compiled code, by the wall: what choosing tiers costs.
//
// --tier=auto begins in the interpreter and compiles beside the run; the others compile before it. None keeps anything.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "bench/child_process.h"
#include "bench/kernels.h"
#include "bench/suites.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "cold";
// Native code takes about 100 ms then.
constexpr std::uint64_t kTimesRounds = 20;
// The first is compared with the best of the others.
constexpr std::string_view kTiers[] = {"auto", "baseline", "optimized"};

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Kernel& kernel : kernels()) names.emplace_back(kernel.name);
  return names;
}

// From the start of the process to its answer.
Result<double> time_process_of(const std::vector<std::string>& command, std::uint64_t rounds, std::uint64_t expected) {
  using Clock = std::chrono::steady_clock;
  std::uint8_t request[sizeof rounds], bytes[16];
  std::memcpy(request, &rounds, sizeof rounds);
  const Clock::time_point began = Clock::now();
  auto process = ChildProcess::start(command);
  if (!process) return std::unexpected(process.error());
  if (const auto sent = process->write(request); !sent) return std::unexpected(sent.error());
  if (const auto received = process->read(bytes); !received) return std::unexpected(received.error());
  const std::chrono::nanoseconds time = Clock::now() - began;
  std::uint64_t reply[2];
  std::memcpy(reply, bytes, sizeof reply);
  if (reply[1] != expected)
    return fail(ErrorCode::kInternal, fmt::format("checksum {:#x}, natively {:#x}", reply[1], expected));
  return static_cast<double>(time.count());
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const Kernel& kernel = *std::ranges::find(kernels(), case_name, &Kernel::name);
  const std::uint64_t rounds = kernel.rounds * kTimesRounds;
  const std::uint64_t expected = kernel.native(rounds);
  const auto folder = ProgramFolder::create();
  if (!folder) return std::unexpected(folder.error());
  const auto program = folder->add(kernel.name, kernel.timed_program);
  if (!program) return std::unexpected(program.error());
  const auto self = own_program();
  if (!self) return std::unexpected(self.error());

  std::vector<double> samples[std::size(kTiers)], ratios;
  for (std::size_t turn = 0; turn < runs; ++turn) {
    for (std::size_t index = 0; index < std::size(kTiers); ++index) {
      const auto time = time_process_of(
          {*self, "run", "--artifacts=none", fmt::format("--tier={}", kTiers[index]), *program}, rounds, expected);
      if (!time) return fail(time.error().code, time.error().message, std::string(kTiers[index]));
      samples[index].push_back(*time);
    }
    double best = samples[1].back();
    for (std::size_t index = 2; index < std::size(kTiers); ++index) best = std::min(best, samples[index].back());
    ratios.push_back(samples[0].back() / best);
  }
  for (std::size_t index = 0; index < std::size(kTiers); ++index) {
    report.rows.push_back(
        {kSuite, case_name, std::string(kTiers[index]), "time_ns", "ns", summarize(samples[index]), ""});
  }
  report.rows.push_back({kSuite, case_name, "auto", "ratio_to_best_tier", "ratio", summarize(ratios),
                         "to the quicker of baseline and optimized in the same turn"});
  return {};
}

}  // namespace

Suite cold_suite() { return {kSuite, "kernels from a cold start, compilation included", 5, cases, measure, nullptr}; }

}  // namespace caisson::bench
