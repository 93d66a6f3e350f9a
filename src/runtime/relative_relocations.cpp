#include "runtime/relative_relocations.h"

#include <elf.h>
#include <fmt/format.h>

#include <optional>

namespace caisson::runtime {
namespace {

// What PT_DYNAMIC says about relocations; addresses before the bias.
struct RelocationTables {
  std::uint64_t rela = 0, rela_size = 0;
  std::uint64_t plt = 0, plt_size = 0;
  bool has_relr = false;
};

std::optional<Elf64_Phdr> find_dynamic(const memory::AddressSpace& memory, const image::ElfImage& elf,
                                       std::uint64_t bias) {
  for (std::uint64_t index = 0; index < elf.program_header_count; ++index) {
    const auto header = memory.read_value<Elf64_Phdr>(elf.program_header_address + bias + index * sizeof(Elf64_Phdr));
    if (header && header->p_type == PT_DYNAMIC) return header;
  }
  return std::nullopt;
}

RelocationTables read_dynamic(const memory::AddressSpace& memory, const Elf64_Phdr& dynamic, std::uint64_t file_size,
                              std::uint64_t bias) {
  RelocationTables tables;
  for (std::uint64_t offset = 0; offset < dynamic.p_filesz && offset < file_size; offset += sizeof(Elf64_Dyn)) {
    const auto entry = memory.read_value<Elf64_Dyn>(dynamic.p_vaddr + bias + offset);
    if (!entry || entry->d_tag == DT_NULL) break;
    switch (entry->d_tag) {
      case DT_RELA:
        tables.rela = entry->d_un.d_ptr;
        break;
      case DT_RELASZ:
        tables.rela_size = entry->d_un.d_val;
        break;
      case DT_JMPREL:
        tables.plt = entry->d_un.d_ptr;
        break;
      case DT_PLTRELSZ:
        tables.plt_size = entry->d_un.d_val;
        break;
      case DT_RELR:
        tables.has_relr = true;
        break;
      default:
        break;
    }
  }
  return tables;
}

Result<void> apply_table(memory::AddressSpace& memory, std::uint64_t table, std::uint64_t size, std::uint64_t file_size,
                         std::uint64_t bias) {
  if (size > file_size) return fail(ErrorCode::kInvalidImage, "the relocation table is larger than the file");
  for (std::uint64_t offset = 0; offset + sizeof(Elf64_Rela) <= size; offset += sizeof(Elf64_Rela)) {
    const auto relocation = memory.read_value<Elf64_Rela>(table + bias + offset);
    if (!relocation) return fail(ErrorCode::kInvalidImage, "the relocation table lies outside the program");
    const std::uint32_t type = ELF64_R_TYPE(relocation->r_info);
    if (type == R_RISCV_NONE) continue;
    if (type != R_RISCV_RELATIVE) {
      return fail(
          ErrorCode::kUnsupported,
          fmt::format("relocation type {} needs a dynamic linker; link the functions with -static -nostdlib", type));
    }
    const std::uint64_t value = static_cast<std::uint64_t>(relocation->r_addend) + bias;
    if (!memory.write_value(relocation->r_offset + bias, value)) {
      return fail(ErrorCode::kInvalidImage,
                  fmt::format("a relocation names {:#x}, which is not writable", relocation->r_offset));
    }
  }
  return {};
}

}  // namespace

Result<void> apply_relative_relocations(memory::AddressSpace& memory, const image::ElfImage& elf,
                                        std::uint64_t file_size, std::uint64_t bias) {
  const auto dynamic = find_dynamic(memory, elf, bias);
  if (!dynamic) return {};
  const RelocationTables tables = read_dynamic(memory, *dynamic, file_size, bias);
  if (tables.has_relr) {
    return fail(ErrorCode::kUnsupported, "packed relative relocations (DT_RELR); link without -z pack-relative-relocs");
  }
  if (Result<void> applied = apply_table(memory, tables.rela, tables.rela_size, file_size, bias); !applied)
    return applied;
  return apply_table(memory, tables.plt, tables.plt_size, file_size, bias);
}

}  // namespace caisson::runtime
