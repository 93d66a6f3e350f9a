#include "invoke_capability.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "caisson/kernel.h"
#include "exit_status.h"
#include "run_stats.h"
#include "store_capabilities.h"

namespace caisson::cli {
namespace {

constexpr std::string_view kVerb = "invoke";

std::optional<std::uint64_t> endpoint_number(const Image& image, const std::string& text) {
  const auto named = std::ranges::find(image.endpoints, text, &Endpoint::name);
  if (named != image.endpoints.end()) return named->number;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// A new instance of an image, or a sealed one opened.
Result<KernelInstance> open(const Kernel& kernel, const Hash& hash) {
  const auto found = kernel.store()->get(hash);
  if (!found) return std::unexpected(found.error());
  if (*found == nullptr)
    return fail(ErrorCode::kNotFound, "the store has no capability of this hash", hash.to_string());
  return std::holds_alternative<Image>(**found) ? kernel.derive(hash) : kernel.open(hash);
}

Result<std::uint64_t> find_endpoint(const Kernel& kernel, const Hash& image, const std::string& text) {
  const auto found = kernel.store()->get(image);
  if (!found) return std::unexpected(found.error());
  const auto* const value = *found == nullptr ? nullptr : std::get_if<Image>(found->get());
  const std::optional<std::uint64_t> number = value == nullptr ? std::nullopt : endpoint_number(*value, text);
  if (!number)
    return fail(ErrorCode::kNotFound, fmt::format("the image has no endpoint \"{}\"", text), image.to_string());
  return *number;
}

}  // namespace

RunStatus invoke_capability(CapabilityCall call, const GuestOptions& options) {
  if (const Result<void> resolved = resolve_store_directory(call.store); !resolved)
    return std::unexpected(report_error(kVerb, resolved.error().to_string()));
  const auto store = CapabilityStore::open(capability_directory(call.store), {.create = false});
  if (!store) return std::unexpected(report_error(kVerb, store.error().to_string()));
  const Result<Engine> engine = Engine::create(engine_options(options));
  if (!engine) return std::unexpected(report_error(kVerb, engine.error().to_string()));
  const Result<Kernel> kernel = Kernel::create(*engine, *store, {.tier = options.instance.tier});
  if (!kernel) return std::unexpected(report_error(kVerb, kernel.error().to_string()));
  Result<KernelInstance> instance = open(*kernel, call.capability);
  if (!instance) return std::unexpected(report_error(kVerb, instance.error().to_string()));
  const Result<std::uint64_t> endpoint = find_endpoint(*kernel, instance->image(), call.endpoint);
  if (!endpoint) return std::unexpected(report_error(kVerb, endpoint.error().to_string()));
  if (options.timeout) instance->set_deadline(std::chrono::steady_clock::now() + *options.timeout);
  const std::uint64_t gas = options.instance.gas;
  const Result<InvocationResult> result = instance->invoke(*endpoint, call.arguments, gas);
  if (!result) return std::unexpected(report_error(kVerb, result.error().to_string()));
  const std::uint64_t gas_used = gas - result->gas_remaining;
  print_result(*result, gas_used);
  if (call.seals) {
    const Result<Hash> sealed = instance->seal();
    if (!sealed) return std::unexpected(report_error(kVerb, sealed.error().to_string()));
    fmt::print("successor      {}\n", sealed->to_string());
  }
  return report_run_end({*result, result->exit_arg, gas_used, {}});
}

}  // namespace caisson::cli
