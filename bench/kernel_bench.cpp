#include "bench/kernel_bench.h"

#include <fmt/format.h>

#include <utility>

#include "bench/kernels.h"
#include "bench/suites.h"

namespace caisson::bench {
namespace {

// One page is more than the guests' functions need, and a stack counts as pages that every instance has of its own.
constexpr std::uint64_t kStackSize = 4096;

Result<BuiltImage> build(std::span<const std::uint8_t> guest, std::initializer_list<const char*> functions) {
  ImageOptions options{.endpoints = {}, .stack_size = kStackSize};
  for (const char* const function : functions)
    options.endpoints.push_back({static_cast<std::uint32_t>(options.endpoints.size()), function});
  return build_image(guest, options);
}

// Whether this machine can run the tier, which a kernel finds out at the first call only. Errors: kUnsupported.
Result<void> probe(const Engine& engine, Tier tier) {
  const auto module = engine.load_bytes(kernels().front().guest, "probe");
  if (!module) return std::unexpected(module.error());
  const auto instance = engine.instantiate(*module, {.tier = tier});
  if (!instance) return std::unexpected(instance.error());
  return {};
}

}  // namespace

Result<BuiltImage> build_instances_image() {
  return build(instances_guest(), {"echo", "recurse", "call_one_child", "fail", "fail_in_child"});
}

Result<BuiltImage> build_pattern_image() { return build(pattern_guest(), {"recurse_data"}); }

Result<BuiltImage> build_large_image() { return build(large_guest(), {"fill", "dirty", "read_page"}); }

Result<KernelBench> make_kernel_bench(const NamedTier& tier, const BuiltImage& image, KernelOptions options) {
  auto engine = Engine::create();
  if (!engine) return std::unexpected(engine.error());
  KernelBench bench{.name = std::string(tier.name),
                    .engine = std::make_unique<Engine>(*std::move(engine)),
                    .store = CapabilityStore::in_memory(),
                    .kernel = nullptr,
                    .image = {}};
  if (auto probed = probe(*bench.engine, tier.tier); !probed) return std::unexpected(probed.error());
  options.tier = tier.tier;
  auto kernel = caisson::Kernel::create(*bench.engine, bench.store, options);
  if (!kernel) return std::unexpected(kernel.error());
  bench.kernel = std::make_unique<caisson::Kernel>(*std::move(kernel));
  const auto hash = put_image(*bench.store, image);
  if (!hash) return std::unexpected(hash.error());
  bench.image = *hash;
  return bench;
}

Result<std::vector<KernelBench>> make_kernel_benches(const BuiltImage& image, const KernelOptions& options,
                                                     Report& report, const std::string& suite,
                                                     std::span<const NamedTier> tiers) {
  std::vector<KernelBench> benches;
  for (const NamedTier& tier : tiers) {
    auto bench = make_kernel_bench(tier, image, options);
    if (bench) {
      benches.push_back(*std::move(bench));
    } else if (bench.error().code == ErrorCode::kUnsupported) {
      add_absent(report, suite, std::string(tier.name), bench.error().message);
    } else {
      return std::unexpected(bench.error());
    }
  }
  return benches;
}

Result<InvocationResult> call_returning(KernelInstance& instance, std::uint64_t endpoint,
                                        std::initializer_list<std::uint64_t> arguments) {
  auto result = instance.invoke(endpoint, std::span(arguments.begin(), arguments.size()), kCallGas);
  if (result && !result->ok()) {
    return fail(ErrorCode::kInternal,
                fmt::format("endpoint {} ended with {}", endpoint, to_string(result->exit_reason)));
  }
  return result;
}

Result<InvocationResult> call_expecting(KernelInstance& instance, std::uint64_t endpoint,
                                        std::initializer_list<std::uint64_t> arguments, std::uint64_t expected) {
  auto result = call_returning(instance, endpoint, arguments);
  if (result && result->return_value != expected) {
    return fail(ErrorCode::kInternal,
                fmt::format("endpoint {} returned {}, not {}", endpoint, result->return_value, expected));
  }
  return result;
}

Row make_row(const std::string& suite, const std::string& case_name, const std::string& engine,
             const std::string& metric, const std::string& unit, const std::vector<double>& samples, std::string note) {
  return {suite, case_name, engine, metric, unit, summarize(samples), std::move(note)};
}

}  // namespace caisson::bench
