// What a Module holds: the file's bytes, what validation found in them, and their hash. Immutable once made, as seen from outside.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "baseline/shared_code.h"
#include "caisson/module.h"
#include "caisson/program_bytes.h"
#include "caisson/result.h"
#include "image/elf_image.h"

namespace caisson::runtime {

struct ModuleState {
  std::string name;
  ProgramBytes bytes;
  image::ElfImage elf;
  std::vector<ImportedFunction> imports;
  bool has_start = false;  // see Module::has_start

  // What a plain run does not need is made when first asked for: the hash of a static C program takes 0.3 ms.
  const base::Sha256& content_hash() const;  // SHA-256 of the bytes
  const std::vector<ExportedFunction>& exports() const;

  // Compiled code of the module's own pages, for all its instances.
  mutable baseline::SharedCode shared_code;

  // The function whose code contains `address`, as linked; null where none is known.
  const image::FunctionSymbol* find_function(std::uint64_t address) const;
  // Its name; empty.
  std::string_view function_at(std::uint64_t address) const {
    const image::FunctionSymbol* const function = find_function(address);
    return function == nullptr ? std::string_view() : std::string_view(function->name);
  }

  // The export of that name, the first of several; nullptr where there is none.
  const ExportedFunction* find_export(std::string_view function) const;

 private:
  mutable std::once_flag hash_once_;
  mutable base::Sha256 hash_{};
  mutable std::once_flag exports_once_;
  mutable std::vector<ExportedFunction> exports_;
  mutable std::vector<std::uint32_t> exports_by_name_;  // indices of exports_, sorted
  mutable std::once_flag addresses_once_;
  mutable std::vector<std::uint32_t> functions_by_address_;  // indices of elf.functions, sorted
};

// Validates `bytes`. Errors as image::parse_elf, with the name in front of `where`.
Result<std::shared_ptr<const ModuleState>> make_module(std::string name, ProgramBytes bytes);

}  // namespace caisson::runtime
