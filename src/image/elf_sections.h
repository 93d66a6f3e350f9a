// What parse_elf() takes from parts of an ELF that its loading does not depend on: names of functions, notes of
// imports.
#pragma once

#include <elf.h>

#include <span>
#include <vector>

#include "caisson/result.h"
#include "image/elf_image.h"
#include "image/file_view.h"

namespace caisson::image {

// What parse_elf() takes from the symbol table.
struct Symbols {
  std::vector<FunctionSymbol> functions;
  std::uint64_t global_pointer = 0;
};

// The symbols that the section headers lead to. Linux runs a program whatever its section headers hold, so a table
// that is broken gives no symbols, and a symbol that is broken is left out; neither is an error.
Symbols read_symbols(FileView file, const Elf64_Ehdr& header, std::span<const Segment> segments);

// The imports that PT_NOTE segments declare. Notes of other owners may be as broken as they like; one of Caisson's that
// cannot be understood is an error, since the program could not call what it asks for.
Result<std::vector<ImportNote>> read_imports(FileView file, std::span<const Elf64_Phdr> program_headers);

}  // namespace caisson::image
