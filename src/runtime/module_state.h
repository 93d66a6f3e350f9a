// What a Module holds: the file's bytes, what validation found in them, and their hash. Immutable once made, as seen from outside.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "caisson/module.h"
#include "caisson/program_bytes.h"
#include "caisson/result.h"
#include "image/elf_image.h"

namespace caisson::runtime {

struct ModuleState {
  std::string name;
  ProgramBytes bytes;
  image::ElfImage elf;
  std::vector<ExportedFunction> exports;
  std::vector<ImportedFunction> imports;
  std::vector<std::uint32_t> exports_by_name;  // indices of exports, sorted
  bool has_start = false;  // see Module::has_start

  // SHA-256 of the bytes. Computed when first asked for: hashing a static C program takes 0.3 ms, and a plain run needs none.
  const base::Sha256& content_hash() const;

  // The export of that name, the first of several; nullptr where there is none.
  const ExportedFunction* find_export(std::string_view function) const;

 private:
  mutable std::once_flag hash_once_;
  mutable base::Sha256 hash_{};
};

// Validates `bytes`. Errors as image::parse_elf, with the name in front of `where`.
Result<std::shared_ptr<const ModuleState>> make_module(std::string name, ProgramBytes bytes);

}  // namespace caisson::runtime
