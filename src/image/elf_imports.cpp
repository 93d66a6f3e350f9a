// Import notes, from PT_NOTE segments. guest/sdk/include/caisson/guest.h writes them and documents their layout.
#include <fmt/format.h>

#include <bitset>
#include <optional>

#include "image/elf_sections.h"

namespace caisson::image {
namespace {

constexpr std::string_view kOwner("Caisson\0", 8);
constexpr std::uint32_t kImportType = 1;
constexpr std::uint32_t kFirstNumber = 0x1040;  // a7 of the first import (design: guest-riscv, "Host functions")
constexpr std::uint32_t kMaximumImports = 65536;

struct Note {
  std::uint32_t type = 0;
  FileView owner;
  FileView description;
  std::uint64_t end = 0;  // offset behind it, where the next one starts
};

std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

// The note at `offset`; nothing behind the last one or where it does not fit (its sizes have 32 bits, so the sums
// cannot wrap).
std::optional<Note> read_note(FileView notes, std::uint64_t offset, std::uint64_t alignment) {
  const auto header = notes.read<Elf64_Nhdr>(offset);
  if (!header) return std::nullopt;
  const std::uint64_t owner_offset = offset + sizeof(Elf64_Nhdr);
  const std::uint64_t description_offset = round_up(owner_offset + header->n_namesz, alignment);
  const auto owner = notes.part(owner_offset, header->n_namesz);
  const auto description = notes.part(description_offset, header->n_descsz);
  if (!owner || !description) return std::nullopt;
  return Note{header->n_type, *owner, *description, round_up(description_offset + header->n_descsz, alignment)};
}

bool is_import(const Note& note) {
  const auto owner = note.owner.read<std::array<char, kOwner.size()>>(0);
  return note.type == kImportType && note.owner.size() == kOwner.size() &&
         std::string_view(owner->data(), owner->size()) == kOwner;
}

Result<ImportNote> decode_import(FileView description, std::string_view where) {
  const auto number = description.read<std::uint32_t>(0);
  if (!number || *number < kFirstNumber || *number - kFirstNumber >= kMaximumImports) {
    return fail(ErrorCode::kInvalidImage, "an import's number is missing or out of range",
                fmt::format("{}: number", where));
  }
  const auto name = description.terminated_text(sizeof(std::uint32_t));
  if (!name || name->empty())
    return fail(ErrorCode::kInvalidImage, "an import has no name", fmt::format("{}: name", where));
  const auto signature = description.terminated_text(sizeof(std::uint32_t) + name->size() + 1);
  if (!signature || signature->empty()) {
    return fail(ErrorCode::kInvalidImage, fmt::format("the import '{}' has no signature", *name),
                fmt::format("{}: signature", where));
  }
  return ImportNote{std::string(*name), std::string(*signature), *number - kFirstNumber};
}

}  // namespace

Result<std::vector<ImportNote>> read_imports(FileView file, std::span<const Elf64_Phdr> program_headers) {
  std::vector<ImportNote> imports;
  std::bitset<kMaximumImports> numbers;
  // Segments may overlap; together they are read at most once over.
  std::uint64_t bytes_left = file.size();
  for (std::size_t index = 0; index < program_headers.size(); ++index) {
    const Elf64_Phdr& segment = program_headers[index];
    if (segment.p_type != PT_NOTE || segment.p_filesz > bytes_left) continue;
    const auto notes = file.part(segment.p_offset, segment.p_filesz);
    if (!notes) continue;
    bytes_left -= notes->size();

    const std::uint64_t alignment = segment.p_align == 8 ? 8 : 4;
    std::uint64_t offset = 0;
    while (const auto note = read_note(*notes, offset, alignment)) {
      if (is_import(*note)) {
        const std::string where = fmt::format("program header {}: note at {:#x}", index, segment.p_offset + offset);
        auto import = decode_import(note->description, where);
        if (!import) return std::unexpected(import.error());
        if (numbers.test(import->number)) {
          return fail(ErrorCode::kInvalidImage, fmt::format("two imports have the number {}", import->number),
                      where + ": number");
        }
        numbers.set(import->number);
        imports.push_back(*std::move(import));
      }
      offset = note->end;
    }
  }
  return imports;
}

}  // namespace caisson::image
