#include "image_hot.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <utility>

#include "caisson/engine.h"
#include "guest_program.h"
#include "runtime/code_places.h"
#include "runtime/guest_instance.h"

namespace caisson::cli {
namespace {

// Names and starts of the functions of what is mapped.
class FunctionFinder {
 public:
  explicit FunctionFinder(runtime::GuestInstance& guest) : guest_(guest), places_(guest.memory()) {}

  // The start of the function around `pc`: its symbol's, or without one where code is entered before it.
  std::uint32_t start_of(std::uint32_t pc) {
    if (const auto* const function = symbol_of(pc); function != nullptr)
      return static_cast<std::uint32_t>(function->address + guest_.load_bias());
    return places_.entry_before(pc).value_or(pc);
  }

  std::string name_of(std::uint32_t address) const {
    if (const auto* const function = symbol_of(address); function != nullptr) return function->name;
    const auto mappings = guest_.memory().mappings(address & ~(memory::kPageSize - 1), memory::kPageSize);
    if (mappings.empty() || mappings.front().name.empty()) return {};
    const memory::Mapping& mapping = mappings.front();
    return fmt::format("{}+{:#x}", mapping.name.substr(mapping.name.rfind('/') + 1),
                       address - mapping.start + mapping.file_offset);
  }

 private:
  const image::FunctionSymbol* symbol_of(std::uint32_t pc) const {
    return guest_.module().find_function(pc - guest_.load_bias());
  }

  runtime::GuestInstance& guest_;
  runtime::CodePlaces places_;
};

}  // namespace

Result<HotReport> find_hot_functions(const std::string& program, LinuxOptions options,
                                     const std::string& artifact_directory) {
  Result<Engine> engine = Engine::create({.artifact_directory = artifact_directory, .idle_windows = 0});
  if (!engine) return std::unexpected(engine.error());
  Result<LoadedProgram> loaded = load_program(*engine, program, std::move(options));
  if (!loaded) return std::unexpected(loaded.error());
  auto personality = make_linux_personality(std::move(loaded->options));
  if (!personality) return std::unexpected(personality.error());
  Result<Instance> instance =
      engine->instantiate(loaded->module, {.gas = kGasOfHotSample, .personality = *std::move(personality)});
  if (!instance) return std::unexpected(instance.error());

  FunctionFinder finder(instance->guest());
  std::map<std::uint32_t, HotFunction> functions;
  HotReport report;
  Result<InvocationResult> result = instance->start();
  for (; result && result->exit_reason == ExitReason::kOutOfGas; result = instance->resume(kGasOfHotSample)) {
    const auto pc = static_cast<std::uint32_t>(instance->program_counter());
    ++functions[finder.start_of(pc)].samples;
    ++report.samples;
  }
  if (!result) return std::unexpected(result.error());
  for (const optimized::Optimized::Entry& unit : instance->guest().execution().units()) {
    const auto found = functions.find(finder.start_of(unit.pc));
    if (found == functions.end()) continue;
    ++found->second.units;
    found->second.code_bytes += unit.code_bytes;
  }
  for (auto& [address, function] : functions) {
    function.address = address;
    function.name = finder.name_of(address);
    report.functions.push_back(std::move(function));
  }
  std::ranges::sort(report.functions, [](const HotFunction& one, const HotFunction& other) {
    return one.samples != other.samples ? one.samples > other.samples : one.address < other.address;
  });
  report.gas_used = instance->gas_used();
  report.result = *result;
  return report;
}

}  // namespace caisson::cli
