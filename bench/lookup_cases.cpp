#include "bench/lookup_cases.h"

#include <fmt/format.h>

#include <barrier>
#include <limits>
#include <memory>
#include <optional>
#include <thread>

#include "bench/clock.h"
#include "caisson/jit_backend.h"

namespace caisson::bench {
namespace {

constexpr char kHit[] = "lookup-hit", kMiss[] = "lookup-miss";
constexpr std::size_t kSlots = 64, kRounds = 20'000;  // of one sample
constexpr std::size_t kThreads[] = {1, 2};

class EmptyCode : public LoadedCode {
 public:
  std::size_t code_bytes() const override { return 1; }
  std::size_t data_bytes() const override { return 0; }
};

// Gives code that nobody runs: what is measured is the way to it.
class EmptyCompiler : public GuestCompiler {
 public:
  std::string_view guest_kind() const override { return "empty"; }
  ArtifactContext context() const override { return {}; }
  bool is_eligible(const CompileInput&) const override { return true; }
  Result<CodeBlob> compile(const CompileInput&, CompileLimits&, CompileDump*) override {
    CodeBlob blob;
    blob.code = {0xC3};
    return blob;
  }
  Result<std::shared_ptr<const LoadedCode>> load(const CodeBlob&) override {
    return std::make_shared<const EmptyCode>();
  }
};

// Nanoseconds of processor time of one lookup, or nothing where an answer was wrong.
std::optional<double> time_lookups(const JitBackend& backend, const std::vector<std::shared_ptr<CodeSlot>>& slots,
                                   bool is_hit) {
  CodeReader reader = backend.make_reader();
  std::size_t found = 0;
  const double begin = thread_nanoseconds();
  for (std::size_t round = 0; round < kRounds; ++round) {
    const ReadGuard guard(reader);
    for (const auto& slot : slots) found += backend.lookup({*slot, reader, 1}).code != nullptr ? 1 : 0;
  }
  const double end = thread_nanoseconds();
  if (found != (is_hit ? kRounds * slots.size() : 0)) return std::nullopt;
  return (end - begin) / static_cast<double>(kRounds * slots.size());
}

// The mean of all threads, which begin together.
std::optional<double> time_threads(const JitBackend& backend, const std::vector<std::shared_ptr<CodeSlot>>& slots,
                                   bool is_hit, std::size_t thread_count) {
  std::vector<std::optional<double>> times(thread_count);
  std::barrier start(static_cast<std::ptrdiff_t>(thread_count));
  std::vector<std::thread> threads;
  threads.reserve(thread_count);
  for (std::size_t index = 0; index < thread_count; ++index) {
    threads.emplace_back([&, index] {
      start.arrive_and_wait();
      times[index] = time_lookups(backend, slots, is_hit);
    });
  }
  for (std::thread& thread : threads) thread.join();
  double sum = 0;
  for (const auto& time : times) {
    if (!time) return std::nullopt;
    sum += *time;
  }
  return sum / static_cast<double>(thread_count);
}

}  // namespace

std::vector<std::string> lookup_cases() { return {kHit, kMiss}; }

Result<void> measure_lookup(const std::string& suite, const std::string& case_name, std::size_t runs, Report& report) {
  const bool is_hit = case_name == kHit;
  RuntimeConfig config;
  config.compilers = {std::make_shared<EmptyCompiler>()};
  config.tuning.hot_threshold = std::numeric_limits<std::uint64_t>::max();  // a miss stays one
  const auto backend = JitBackend::create(std::move(config));
  if (!backend) return std::unexpected(backend.error());
  std::vector<std::shared_ptr<CodeSlot>> slots;
  for (std::size_t index = 0; index < kSlots; ++index) {
    CompileInput input;
    input.guest_kind = "empty";
    input.key.bytes[0] = static_cast<std::uint8_t>(index);
    slots.push_back(backend->make_slot(std::move(input)));
    if (!is_hit) continue;
    if (const auto code = backend->compile_jit_sync(*slots.back()); !code) return std::unexpected(code.error());
  }
  for (const std::size_t threads : kThreads) {
    std::vector<double> samples;
    for (std::size_t run = 0; run < runs; ++run) {
      const auto sample = time_threads(*backend, slots, is_hit, threads);
      if (!sample) return fail(ErrorCode::kInternal, "a lookup gave a wrong answer");
      samples.push_back(*sample);
    }
    report.rows.push_back({suite, case_name, fmt::format("{} thread{}", threads, threads == 1 ? "" : "s"), "time_ns",
                           "ns", summarize(samples),
                           fmt::format("of one lookup; {} slots, the same for all threads", kSlots)});
  }
  return {};
}

}  // namespace caisson::bench
