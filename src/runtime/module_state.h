// What a Module holds: the file's bytes, what validation found in them, and their hash. Immutable once made.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/module.h"
#include "caisson/result.h"
#include "image/elf_image.h"

namespace caisson::runtime {

struct ModuleState {
  std::string name;
  std::vector<std::uint8_t> bytes;
  image::ElfImage elf;
  std::array<std::uint8_t, 32> content_hash{};
  std::vector<ExportedFunction> exports;
  std::vector<ImportedFunction> imports;
  std::vector<std::uint32_t> exports_by_name;  // indices of exports, sorted
  bool has_start = false;  // see Module::has_start

  // The export of that name, the first of several; nullptr where there is none.
  const ExportedFunction* find_export(std::string_view function) const;
};

// Validates `bytes`. Errors as image::parse_elf, with the name in front of `where`.
Result<std::shared_ptr<const ModuleState>> make_module(std::string name, std::vector<std::uint8_t> bytes);

// Reads a whole regular file of at most 1 GiB. Errors: kNotFound, kPermission, kNotExecutable, kIo, kLimit.
Result<std::vector<std::uint8_t>> read_program_file(const std::string& path);

}  // namespace caisson::runtime
