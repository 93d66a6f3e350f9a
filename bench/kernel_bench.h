// What the suites about capabilities share: kernels of every tier, images of the guests, calls whose results are checked.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report.h"
#include "bench/tiers.h"
#include "caisson/engine.h"
#include "caisson/kernel.h"
#include "caisson/result.h"
#include "caisson/store.h"

namespace caisson::bench {

// Of every call.
inline constexpr std::uint64_t kCallGas = 100'000'000'000;

// Endpoints of instances_guest(), which guest/bench/programs/instances.c numbers likewise.
enum class InstancesEndpoint : std::uint32_t { kEcho, kRecurse, kCallOneChild, kFail, kFailInChild };

// Images of the guests in guest/bench/programs.
Result<BuiltImage> build_instances_image();
Result<BuiltImage> build_pattern_image();  // endpoint 0: recurse_data
Result<BuiltImage> build_large_image();  // 0: fill, 1: dirty, 2: read_page

// Every tier under which kernels run.
inline constexpr NamedTier kKernelTiers[] = {
    {"interp", Tier::kInterp}, {"baseline", Tier::kBaseline}, {"optimized", Tier::kOptimized}, {"auto", Tier::kAuto}};

// An engine, a store of its own and a kernel, and an image in the store.
struct KernelBench {
  std::string name;  // of the tier
  std::unique_ptr<Engine> engine;
  std::shared_ptr<CapabilityStore> store;
  std::unique_ptr<caisson::Kernel> kernel;
  Hash image;
};

Result<KernelBench> make_kernel_bench(const NamedTier& tier, const BuiltImage& image, KernelOptions options = {});

// One for each of `tiers` that this machine can run; notes the others as absent from `suite`.
Result<std::vector<KernelBench>> make_kernel_benches(const BuiltImage& image, const KernelOptions& options,
                                                     Report& report, const std::string& suite,
                                                     std::span<const NamedTier> tiers = kKernelTiers);

// Calls an endpoint that must return. Errors: the call's, kInternal (it ended otherwise).
Result<InvocationResult> call_returning(KernelInstance& instance, std::uint64_t endpoint,
                                        std::initializer_list<std::uint64_t> arguments = {});
// And must return this. Errors: as above, kInternal (another value).
Result<InvocationResult> call_expecting(KernelInstance& instance, std::uint64_t endpoint,
                                        std::initializer_list<std::uint64_t> arguments, std::uint64_t expected);

// Row `metric` of a case, from an engine's samples.
Row make_row(const std::string& suite, const std::string& case_name, const std::string& engine,
             const std::string& metric, const std::string& unit, const std::vector<double>& samples,
             std::string note = "");

}  // namespace caisson::bench
