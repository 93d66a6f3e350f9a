// Symbols, from the section headers. See elf_sections.h for what happens to broken ones.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "image/elf_sections.h"

namespace caisson::image {
namespace {

// A symbol table and the names it points into, both known to lie within the file.
struct SymbolTable {
  FileView symbols;
  FileView names;
};

// The number of section headers, all within the file; 0 where there are none or they are broken.
std::uint64_t section_count(FileView file, const Elf64_Ehdr& header) {
  if (header.e_shoff == 0 || header.e_shentsize != sizeof(Elf64_Shdr)) return 0;
  std::uint64_t count = header.e_shnum;
  if (count == 0) {
    // Past 0xFF00 sections the count stands in the first header (gABI, "e_shnum").
    const auto first = file.read<Elf64_Shdr>(header.e_shoff);
    if (!first) return 0;
    count = first->sh_size;
  }
  const bool all_within =
      count <= file.size() / sizeof(Elf64_Shdr) && file.contains(header.e_shoff, count * sizeof(Elf64_Shdr));
  return all_within ? count : 0;
}

std::optional<Elf64_Shdr> section(FileView file, const Elf64_Ehdr& header, std::uint64_t index, std::uint64_t count) {
  if (index >= count) return std::nullopt;
  return file.read<Elf64_Shdr>(header.e_shoff + index * sizeof(Elf64_Shdr));
}

// The first section of `type` (SHT_SYMTAB or SHT_DYNSYM) with a string table whose last byte ends a name.
std::optional<SymbolTable> find_symbol_table(FileView file, const Elf64_Ehdr& header, std::uint64_t count,
                                             std::uint32_t type) {
  for (std::uint64_t index = 0; index < count; ++index) {
    const auto table = section(file, header, index, count);
    if (!table || table->sh_type != type || table->sh_entsize != sizeof(Elf64_Sym)) continue;
    const auto strings = section(file, header, table->sh_link, count);
    if (!strings || strings->sh_type != SHT_STRTAB || strings->sh_size == 0) continue;
    const auto symbols = file.part(table->sh_offset, table->sh_size);
    const auto names = file.part(strings->sh_offset, strings->sh_size);
    if (symbols && names && names->read<char>(names->size() - 1) == '\0') return SymbolTable{*symbols, *names};
  }
  return std::nullopt;
}

// A function that other modules could call, so not one that its author hid.
bool is_exported_function(const Elf64_Sym& symbol) {
  const unsigned binding = ELF64_ST_BIND(symbol.st_info);
  const unsigned visibility = ELF64_ST_VISIBILITY(symbol.st_other);
  return ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
         (binding == STB_GLOBAL || binding == STB_WEAK) && (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

// The linker defines it as an untyped symbol; its name is compared without looking for its end (see the limit below).
bool is_global_pointer(const Elf64_Sym& symbol, FileView names) {
  constexpr std::string_view kName("__global_pointer$\0", 18);
  if (ELF64_ST_TYPE(symbol.st_info) != STT_NOTYPE || symbol.st_shndx == SHN_UNDEF) return false;
  const auto name = names.read<std::array<char, kName.size()>>(symbol.st_name);
  return name && std::string_view(name->data(), name->size()) == kName;
}

bool is_executable_address(std::span<const Segment> segments, std::uint64_t address) {
  return std::ranges::any_of(segments, [address](const Segment& segment) {
    return segment.executable && address >= segment.address && address - segment.address < segment.memory_size;
  });
}

}  // namespace

Symbols read_symbols(FileView file, const Elf64_Ehdr& header, std::span<const Segment> segments) {
  const std::uint64_t count = section_count(file, header);
  auto table = find_symbol_table(file, header, count, SHT_SYMTAB);
  if (!table) table = find_symbol_table(file, header, count, SHT_DYNSYM);
  if (!table) return {};

  Symbols symbols;
  // Symbols may share a name's bytes; without this limit a few megabytes of symbols over one long name would take
  // terabytes.
  std::uint64_t name_bytes_left = file.size();
  for (std::uint64_t offset = 0; const auto symbol = table->symbols.read<Elf64_Sym>(offset);
       offset += sizeof(Elf64_Sym)) {
    if (is_global_pointer(*symbol, table->names)) symbols.global_pointer = symbol->st_value;
    if (!is_exported_function(*symbol) || !is_executable_address(segments, symbol->st_value)) continue;
    const auto name = table->names.terminated_text(symbol->st_name);
    if (!name || name->empty()) continue;
    if (name->size() > name_bytes_left) break;
    name_bytes_left -= name->size();
    symbols.functions.push_back({std::string(*name), symbol->st_value, symbol->st_size});
  }
  return symbols;
}

}  // namespace caisson::image
