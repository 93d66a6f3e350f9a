#include "caisson/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <new>

#include "baseline/code_listing.h"
#include "caisson/code_listing.h"
#include "optimized/loaded_unit.h"
#include "runtime/boot_counters.h"
#include "runtime/engine_state.h"
#include "runtime/guest_instance.h"
#include "runtime/host_signature.h"
#include "runtime/instance_body.h"
#include "runtime/module_state.h"

namespace caisson {

namespace runtime {

namespace {

// Text of a guest's file in a message: of bounded length, and nothing that a terminal would act on.
std::string shown(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  std::string result(text.substr(0, kLongest));
  std::ranges::replace_if(result, [](unsigned char c) { return c < 0x20 || c >= 0x7F; }, '?');
  return text.size() > kLongest ? result + "…" : result;
}

// Why `function` (null: nobody registered one) does not serve an import; empty where it does.
std::string import_problem(const ImportedFunction& import, const detail::HostFunction* function) {
  const std::string name = shown(import.name);
  if (function == nullptr) return fmt::format("{}: no host function of that name", name);
  const Result<Signature> declared = parse_signature(import.signature);
  if (!declared) return fmt::format("{}: {}", name, shown(declared.error().message));
  if (accepts(function->signature, *declared)) return {};
  return fmt::format("{}: the guest declares {}, the host function is {}", name, shown(import.signature),
                     to_text(function->signature));
}

Result<Module> module_of(std::string name, ProgramBytes bytes) {
  Result<std::shared_ptr<const ModuleState>> module = make_module(std::move(name), std::move(bytes));
  if (!module) return std::unexpected(module.error());
  return Module(*std::move(module));
}

// Memory of the host that runs out is an Error like any other.
template <class Function>
auto without_exceptions(Function&& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "the host has no memory left");
  }
}

}  // namespace

Result<std::vector<BoundHostFunction>> resolve_imports(EngineState& state, const ModuleState& module) {
  std::vector<BoundHostFunction> bound;
  std::string problems;
  bool any_missing = false;
  const std::shared_lock lock(state.mutex);
  for (const ImportedFunction& import : module.imports) {
    const auto found = state.host_functions.find(import.name);
    const detail::HostFunction* const function = found == state.host_functions.end() ? nullptr : found->second.get();
    const std::string problem = import_problem(import, function);
    if (!problem.empty()) {
      problems += (problems.empty() ? "" : "; ") + problem;
      any_missing |= function == nullptr;
      continue;
    }
    bound.push_back({kFirstHostFunction + import.number, found->second});
  }
  if (!problems.empty()) {
    return fail(any_missing ? ErrorCode::kUnresolvedImport : ErrorCode::kSignatureMismatch, std::move(problems),
                module.name);
  }
  return bound;
}

}  // namespace runtime

using runtime::module_of;
using runtime::without_exceptions;

Result<void> list_compiled_code(const CodeListingOptions& options) {
  optimized::unit_end_observer = [](const void* code) { baseline::CodeListing::process().remove(code); };
  return baseline::CodeListing::process().enable(
      {.perf_map = options.perf_map, .jitdump = options.jitdump, .gdb = options.gdb});
}

Result<Engine> Engine::create(const EngineOptions& options) {
  return without_exceptions(
      [&]() -> Result<Engine> { return Engine(std::make_shared<runtime::EngineState>(options)); });
}

Result<Module> Engine::load_file(const std::string& path) const {
  return without_exceptions([&]() -> Result<Module> {
    Result<ProgramBytes> bytes = ProgramBytes::from_file(path);
    if (!bytes) return std::unexpected(bytes.error());
    return module_of(path, *std::move(bytes));
  });
}

Result<Module> Engine::load_bytes(std::span<const std::uint8_t> bytes, std::string name) const {
  return without_exceptions([&]() -> Result<Module> {
    Result<ProgramBytes> copy = ProgramBytes::copy_of(bytes);
    if (!copy) return std::unexpected(copy.error());
    return module_of(std::move(name), *std::move(copy));
  });
}

Result<Module> Engine::load(const ProgramBytes& bytes, std::string name) const {
  return without_exceptions([&]() -> Result<Module> { return module_of(std::move(name), bytes); });
}

Result<Instance> Engine::instantiate(const Module& module, InstanceOptions options) const {
  CAISSON_PERF_SCOPE(runtime::instantiate_counter);
  return without_exceptions([&]() -> Result<Instance> {
    Result<std::vector<runtime::BoundHostFunction>> functions = runtime::resolve_imports(*state_, *module.state());
    if (!functions) return std::unexpected(functions.error());
    auto guest = runtime::GuestInstance::create(module.state(), state_->windows, options, state_->jit);
    if (!guest) return std::unexpected(guest.error());
    (*guest)->bind_host_functions(*std::move(functions));
    return Instance(std::make_unique<runtime::InstanceBody>(*std::move(guest), state_));
  });
}

EngineStats Engine::stats() const {
  const memory::WindowPoolStats windows = state_->windows->stats();
  EngineStats stats{.windows_in_use = windows.in_use,
                    .windows_idle = windows.idle,
                    .windows_reserved = windows.reserved,
                    .windows_reused = windows.reused,
                    .windows_released = windows.released,
                    .windows_abandoned = windows.abandoned,
                    .host_mappings = windows.host_mappings,
                    .resident_forks = state_->resident_forks.load(std::memory_order_relaxed),
                    .jit = {}};
  if (const JitBackend* const backend = state_->jit->existing(); backend != nullptr) stats.jit = backend->stats();
  return stats;
}

void Engine::add_host_function(detail::HostFunction function) {
  auto shared = std::make_shared<const detail::HostFunction>(std::move(function));
  const std::unique_lock lock(state_->mutex);
  state_->host_functions[shared->name] = shared;
}

}  // namespace caisson
