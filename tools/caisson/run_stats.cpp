#include "run_stats.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/jit_backend.h"
#include "runtime/guest_instance.h"
#include "runtime/personality.h"

namespace caisson::cli {
namespace {

using Counts = std::vector<std::pair<std::string, std::uint64_t>>;

std::uint64_t read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// Everything --stats shows, in the order of the JSON object. Scripts rely on its names.
struct Stats {
  std::uint64_t gas_used, exit_reason, exit_arg, pc, wall_ns, cpu_ns, peak_committed_bytes;
  Counts tiers, compile, optimized, decode_cache, syscalls, unknown_syscalls;

  template <class Visitor>
  void each_number(Visitor visit) const {
    visit("gas_used", gas_used);
    visit("exit_reason", exit_reason);
    visit("exit_arg", exit_arg);
    visit("pc", pc);
    visit("wall_ns", wall_ns);
    visit("cpu_ns", cpu_ns);
    visit("peak_committed_bytes", peak_committed_bytes);
  }
  template <class Visitor>
  void each_group(Visitor visit) const {
    visit("tiers", tiers);
    visit("compile", compile);
    visit("optimized", optimized);
    visit("decode_cache", decode_cache);
    visit("syscalls", syscalls);
    visit("unknown_syscalls", unknown_syscalls);
  }
};

Counts decode_cache_counts(const interp::InterpreterStats& stats) {
  return {{"instructions_decoded", stats.instructions_decoded},
          {"chunks_dropped", stats.chunks_dropped},
          {"flushes", stats.flushes},
          {"repins", stats.repins},
          {"mixed_checks", stats.mixed_checks},
          {"verify_failures", stats.verify_failures}};
}

Counts optimized_counts(const runtime::Execution& execution) {
  const optimized::OptimizedStats units = execution.optimized_stats();
  const runtime::PromotionStats promotion = execution.promotion_stats();
  // All of it 0 where nothing was hot enough for a backend, or the run was over before there was one.
  const JitBackend* const backend = execution.backend();
  const RuntimeStatsSnapshot jit = backend != nullptr ? backend->stats() : RuntimeStatsSnapshot{};
  const auto compiled = jit.compilations_succeeded - std::min(jit.compilations_succeeded, jit.artifacts_loaded);
  return {{"units", units.units},
          {"code_bytes", units.code_bytes},
          {"units_dropped", units.units_dropped},
          {"entries", units.entries},
          {"exits_midway", units.exits_midway},
          {"found", promotion.found},
          {"requested", promotion.requested},
          {"published", promotion.published},
          {"refused", promotion.refused},
          {"demoted", promotion.demoted},
          {"pending", promotion.pending},
          {"compiled", compiled},
          {"failed", jit.compilations_failed},
          {"compile_us", static_cast<std::uint64_t>(jit.compile_time.count()) / 1000},
          {"artifacts_preloaded", jit.artifacts_preloaded},
          {"artifacts_loaded", jit.artifacts_loaded},
          {"artifacts_rejected", jit.artifacts_rejected},
          {"artifacts_stored", jit.artifacts_stored}};
}

Counts compile_counts(const baseline::BaselineStats& stats) {
  return {{"units", stats.compiled.units},
          {"guest_bytes", stats.compiled.guest_bytes},
          {"code_bytes", stats.compiled.code_bytes},
          {"pages_dropped", stats.compiled.pages_dropped},
          {"regions_replaced", stats.regions_replaced},
          {"regions_dropped", stats.regions_dropped},
          {"table_bytes", stats.table_bytes},
          {"remaps", stats.remaps},
          {"stale_blocks", stats.stale_blocks},
          {"left_shared_code", stats.left_shared_code}};
}

std::string to_json(const Stats& stats) {
  nlohmann::ordered_json json;
  stats.each_number([&](std::string_view name, std::uint64_t value) { json[name] = value; });
  stats.each_group([&](std::string_view name, const Counts& counts) {
    json[name] = nlohmann::ordered_json::object();
    for (const auto& [key, value] : counts) json[name][key] = value;
  });
  return json.dump() + "\n";
}

std::string to_text(const Stats& stats) {
  std::string text;
  stats.each_number([&](std::string_view name, std::uint64_t value) {
    text += name == "pc" ? fmt::format("{:<22}{:#x}\n", name, value) : fmt::format("{:<22}{}\n", name, value);
  });
  stats.each_group([&](std::string_view name, const Counts& counts) {
    if (counts.empty()) return;
    text += fmt::format("{}\n", name);
    for (const auto& [key, value] : counts) text += fmt::format("  {:<20}{}\n", key, value);
  });
  return text;
}

}  // namespace

RunClock::RunClock() : wall_start_(read_clock(CLOCK_MONOTONIC)), cpu_start_(read_clock(CLOCK_PROCESS_CPUTIME_ID)) {}
std::uint64_t RunClock::wall_ns() const { return read_clock(CLOCK_MONOTONIC) - wall_start_; }
std::uint64_t RunClock::cpu_ns() const { return read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu_start_; }

void print_stats(StatsFormat format, Instance& instance, const runtime::Personality* personality,
                 const InvocationResult& result, const RunClock& clock) {
  if (format == StatsFormat::kNone) return;
  const runtime::Execution& execution = instance.guest().execution();
  Stats stats{
      .gas_used = instance.gas_used(),
      .exit_reason = static_cast<std::uint64_t>(result.exit_reason),
      .exit_arg = result.exit_arg,
      .pc = instance.program_counter(),
      .wall_ns = clock.wall_ns(),
      .cpu_ns = clock.cpu_ns(),
      .peak_committed_bytes = instance.peak_committed_bytes(),
      .tiers = {{"interp", execution.tier_gas().interp},
                {"baseline", execution.tier_gas().baseline},
                {"optimized", execution.tier_gas().optimized}},
      .compile = compile_counts(execution.baseline_stats()),
      .optimized = optimized_counts(execution),
      .decode_cache = decode_cache_counts(execution.interpreter_stats()),
      .syscalls = {},
      .unknown_syscalls = {},
  };
  if (personality != nullptr) {
    stats.syscalls = personality->call_counts();
    stats.unknown_syscalls = personality->unknown_call_counts();
  }
  const std::string text = format == StatsFormat::kJson ? to_json(stats) : to_text(stats);
  std::fputs(text.c_str(), stderr);
}

}  // namespace caisson::cli
