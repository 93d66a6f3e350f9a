#include "bench/fork_cases.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "bench/clock.h"
#include "bench/kernel_bench.h"
#include "bench/resident_bytes.h"

namespace caisson::bench {
namespace {

constexpr std::uint64_t kFill = 0, kDirty = 1, kReadPage = 2;  // endpoints of guest/bench/programs/large.c
constexpr std::uint64_t kPages = 16384, kDirtyPages = 10;
// Forks and seals are the same in every tier.
constexpr NamedTier kTiers[] = {{"auto", Tier::kAuto}};

// A kernel and an instance whose memory is full.
struct Large {
  KernelBench bench;
  KernelInstance instance;
  std::optional<Hash> last_seal;
};

Result<std::vector<Large>> make_large(Report& report, const std::string& suite) {
  const auto image = build_large_image();
  if (!image) return std::unexpected(image.error());
  auto benches = make_kernel_benches(*image, {}, report, suite, kTiers);
  if (!benches) return std::unexpected(benches.error());
  std::vector<Large> all;
  for (KernelBench& bench : *benches) {
    auto instance = bench.kernel->derive(bench.image);
    if (!instance) return std::unexpected(instance.error());
    if (const auto filled = call_expecting(*instance, kFill, {}, kPages); !filled)
      return std::unexpected(filled.error());
    all.push_back({std::move(bench), *std::move(instance), std::nullopt});
  }
  return all;
}

// Each: nanoseconds.
Result<double> fork_alone(Large& large, std::uint64_t) {
  const double begin = thread_nanoseconds();
  auto fork = large.instance.fork();
  const double end = thread_nanoseconds();
  if (!fork) return std::unexpected(fork.error());
  if (const auto last = call_expecting(*fork, kReadPage, {kPages - 1}, kPages); !last)
    return std::unexpected(last.error());
  return end - begin;
}

// Every page was written since the last fork.
Result<double> fork_all_dirty(Large& large, std::uint64_t turn) {
  if (const auto filled = call_expecting(large.instance, kFill, {}, kPages); !filled)
    return std::unexpected(filled.error());
  return fork_alone(large, turn);
}

Result<double> fork_and_call(Large& large, std::uint64_t) {
  const double begin = thread_nanoseconds();
  auto fork = large.instance.fork();
  if (!fork) return std::unexpected(fork.error());
  const auto last = call_expecting(*fork, kReadPage, {kPages - 1}, kPages);
  const double end = thread_nanoseconds();
  if (!last) return std::unexpected(last.error());
  return end - begin;
}

// What was sealed before is in the store until this is, so that only pages that changed need be new to it.
Result<double> seal(Large& large, std::uint64_t turn) {
  const auto dirtied = call_expecting(large.instance, kDirty, {kDirtyPages, turn + 1}, turn + 1);
  if (!dirtied) return std::unexpected(dirtied.error());
  const double begin = thread_nanoseconds();
  const auto sealed = large.instance.seal();
  const double end = thread_nanoseconds();
  if (!sealed) return std::unexpected(sealed.error());
  // Once: opening reads all 64 MiB, and leaves nothing of the next sealing in the processor's caches.
  if (!large.last_seal) {
    const auto called = large.bench.kernel->invoke_cached(*sealed, kDirty, std::vector<std::uint64_t>{0, 0}, kCallGas);
    if (!called) return std::unexpected(called.error());
    if (!called->ok() || called->return_value != turn + 1)
      return fail(ErrorCode::kInternal, "what was sealed is not what was written", large.bench.name);
  }
  if (const auto last = std::exchange(large.last_seal, *sealed)) {
    if (auto released = large.bench.store->release(*last); !released) return std::unexpected(released.error());
  }
  return end - begin;
}

struct Case {
  std::string_view name;
  Result<double> (*time)(Large& large, std::uint64_t turn);
  std::string_view note;
};
constexpr Case kCases[] = {
    {"fork-64mib", fork_alone, "a fork of an instance whose 64 MiB are all written, none since the last fork"},
    {"fork-64mib-all-dirty", fork_all_dirty, "the same, all of them written again since the last fork"},
    {"fork-64mib-first-call", fork_and_call, "as fork-64mib, and a call that reads its last page"},
    {"seal-64mib-10-dirty", seal, "a seal of the instance into a store in memory, 10 pages written since the last one"},
};
// What each of many forks has done that live at once.
struct LiveForks {
  std::string_view name;
  std::size_t count;
  bool called;
  std::string_view note;
};
constexpr LiveForks kLiveForksCases[] = {
    {"live-forks", 10'000, false, "forks of one instance of 64 MiB that live at once"},
    {"live-forks-called", 300, true,
     "forks of one instance of 64 MiB that live at once, each called once, to write a page of its own, so that it has "
     "a window"},
};

Result<void> measure_live_forks(const LiveForks& one, const std::string& suite, Report& report) {
  auto all = make_large(report, suite);
  if (!all) return std::unexpected(all.error());
  for (Large& large : *all) {
    // The first fork pays for what all others share.
    const auto first = large.instance.fork();
    if (!first) return std::unexpected(first.error());
    std::vector<KernelInstance> forks;
    forks.reserve(one.count);
    ::malloc_trim(0);
    const auto before = resident_bytes();
    if (!before) return std::unexpected(before.error());
    const double begin = thread_nanoseconds();
    for (std::size_t i = 0; i < one.count; ++i) {
      auto fork = large.instance.fork();
      if (!fork) return std::unexpected(fork.error());
      forks.push_back(*std::move(fork));
      if (!one.called) continue;
      if (const auto written = call_expecting(forks.back(), kDirty, {1, i}, i); !written)
        return std::unexpected(written.error());
    }
    const double end = thread_nanoseconds();
    const auto after = resident_bytes();
    if (!after) return std::unexpected(after.error());
    // One of them answers, and for itself only.
    if (const auto written = call_expecting(forks.back(), kDirty, {1, 77}, 77); !written)
      return std::unexpected(written.error());
    if (const auto other = call_expecting(forks.front(), kReadPage, {kPages - 1}, kPages); !other)
      return std::unexpected(other.error());
    const auto count = static_cast<double>(one.count);
    const std::string note = fmt::format("{} {}", one.count, one.note);
    const std::string name(one.name);
    report.rows.push_back(make_row(suite, name, large.bench.name, "time_ns", "ns", {(end - begin) / count}, note));
    report.rows.push_back(
        make_row(suite, name, large.bench.name, "rss_bytes", "bytes", {(*after - *before) / count}, note));
  }
  return {};
}

}  // namespace

std::vector<std::string> fork_cases() {
  std::vector<std::string> names;
  for (const Case& one : kCases) names.emplace_back(one.name);
  for (const LiveForks& one : kLiveForksCases) names.emplace_back(one.name);
  return names;
}

Result<void> measure_fork(const std::string& suite, const std::string& case_name, std::size_t runs, Report& report) {
  if (const auto live = std::ranges::find(kLiveForksCases, case_name, &LiveForks::name);
      live != std::end(kLiveForksCases))
    return measure_live_forks(*live, suite, report);
  const Case& one = *std::ranges::find(kCases, case_name, &Case::name);
  auto all = make_large(report, suite);
  if (!all) return std::unexpected(all.error());
  std::vector<std::vector<double>> samples(all->size());
  for (std::size_t turn = 0; turn <= runs; ++turn) {
    for (std::size_t index = 0; index < all->size(); ++index) {
      const auto sample = one.time((*all)[index], turn);
      if (!sample) return std::unexpected(sample.error());
      if (turn != 0) samples[index].push_back(*sample);  // the first is the warm-up
    }
  }
  for (std::size_t index = 0; index < all->size(); ++index) {
    report.rows.push_back(
        make_row(suite, case_name, (*all)[index].bench.name, "time_ns", "ns", samples[index], std::string(one.note)));
  }
  return {};
}

}  // namespace caisson::bench
