#include "caisson/module.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "runtime/boot_counters.h"
#include "runtime/module_state.h"

namespace caisson {

std::span<const ExportedFunction> Module::exports() const { return state_->exports(); }
std::span<const ImportedFunction> Module::imports() const { return state_->imports; }
std::span<const std::uint8_t, 32> Module::content_hash() const { return state_->content_hash(); }
bool Module::has_start() const { return state_->has_start; }
const std::string& Module::name() const { return state_->name; }

namespace runtime {
namespace {

// A linker that finds no `_start` picks the first byte of .text as entry point, which then is the first function.
bool has_program_entry(const image::ElfImage& elf) {
  if (elf.entry == 0) return false;
  bool entry_is_function = false;
  for (const image::FunctionSymbol& function : elf.functions) {
    if (function.name == "_start" || function.address < elf.entry) return true;
    entry_is_function |= function.address == elf.entry;
  }
  return !entry_is_function;
}

}  // namespace

const base::Sha256& ModuleState::content_hash() const {
  std::call_once(hash_once_, [this] { hash_ = base::sha256(bytes.span()); });
  return hash_;
}

const std::vector<ExportedFunction>& ModuleState::exports() const {
  std::call_once(exports_once_, [this] {
    exports_.reserve(elf.functions.size());
    for (const image::FunctionSymbol& function : elf.functions) {
      exports_.push_back({function.name, function.address, function.size});
    }
    exports_by_name_.resize(exports_.size());
    std::iota(exports_by_name_.begin(), exports_by_name_.end(), 0U);
    std::ranges::sort(exports_by_name_, {}, [this](std::uint32_t index) {
      return std::pair<std::string_view, std::uint32_t>(exports_[index].name, index);
    });
  });
  return exports_;
}

const image::FunctionSymbol* ModuleState::find_function(std::uint64_t address) const {
  const auto address_of = [this](std::uint32_t index) { return elf.functions[index].address; };
  std::call_once(addresses_once_, [&] {
    functions_by_address_.resize(elf.functions.size());
    std::iota(functions_by_address_.begin(), functions_by_address_.end(), 0U);
    std::ranges::sort(functions_by_address_, {},
                      [&](std::uint32_t index) { return std::pair(address_of(index), index); });
  });
  const auto behind = std::ranges::upper_bound(functions_by_address_, address, {}, address_of);
  if (behind == functions_by_address_.begin()) return nullptr;
  const image::FunctionSymbol& function = elf.functions[*std::prev(behind)];
  // Functions written in assembly often have no size.
  return function.size == 0 || address - function.address < function.size ? &function : nullptr;
}

const ExportedFunction* ModuleState::find_export(std::string_view function) const {
  const std::vector<ExportedFunction>& all = exports();
  const auto found = std::ranges::lower_bound(
      exports_by_name_, function, {}, [&all](std::uint32_t index) -> std::string_view { return all[index].name; });
  if (found == exports_by_name_.end() || all[*found].name != function) return nullptr;
  return &all[*found];
}

Result<std::shared_ptr<const ModuleState>> make_module(std::string name, ProgramBytes bytes) {
  CAISSON_PERF_SCOPE(load_elf_counter);
  CAISSON_PERF_SNIPPET(validation, validate_counter);
  Result<image::ElfImage> elf = image::parse_elf(bytes.span());
  CAISSON_PERF_STOP(validation);
  if (!elf) {
    Error error = std::move(elf.error());
    error.where = error.where.empty() ? name : name + ": " + error.where;
    return std::unexpected(std::move(error));
  }
  auto module = std::make_shared<ModuleState>();
  module->name = std::move(name);
  module->bytes = std::move(bytes);
  module->elf = *std::move(elf);
  module->has_start = has_program_entry(module->elf);
  module->imports.reserve(module->elf.imports.size());
  for (const image::ImportNote& import : module->elf.imports) {
    module->imports.push_back({import.name, import.signature, import.number});
  }
  return module;
}

}  // namespace runtime
}  // namespace caisson
