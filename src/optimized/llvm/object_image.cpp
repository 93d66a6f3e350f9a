#include "optimized/llvm/object_image.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace caisson::optimized {
namespace {

std::unexpected<Error> not_understood(const std::string& what) {
  return fail(ErrorCode::kInternal, "the code that LLVM generated has " + what);
}

class StackMapReader {
 public:
  explicit StackMapReader(std::string_view bytes) : bytes_(bytes) {}
  bool failed() const { return failed_; }
  template <class T>
  T get() {
    T value{};
    if (bytes_.size() - at_ < sizeof value) {
      failed_ = true;
      return value;
    }
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  void align() {
    while (at_ % 8 != 0 && !failed_) get<std::uint8_t>();
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

// The format's version 3.
bool read_stack_map(std::string_view bytes, std::uint32_t function, ObjectImage& image) {
  StackMapReader reader(bytes);
  if (reader.get<std::uint8_t>() != 3) return false;
  reader.get<std::uint8_t>();
  reader.get<std::uint16_t>();
  const auto functions = reader.get<std::uint32_t>();
  const auto constants = reader.get<std::uint32_t>();
  const auto records = reader.get<std::uint32_t>();
  if (functions != 1) return false;
  reader.get<std::uint64_t>();  // address
  reader.get<std::uint64_t>();  // stack size
  reader.get<std::uint64_t>();  // record count
  for (std::uint32_t i = 0; i < constants && !reader.failed(); ++i)
    image.constants.push_back(reader.get<std::uint64_t>());
  for (std::uint32_t i = 0; i < records && !reader.failed(); ++i) {
    StackMapRecord record;
    record.id = reader.get<std::uint64_t>();
    record.offset = function + reader.get<std::uint32_t>();
    reader.get<std::uint16_t>();
    const auto locations = reader.get<std::uint16_t>();
    for (std::uint32_t j = 0; j < locations && !reader.failed(); ++j) {
      StackMapLocation location;
      location.kind = reader.get<std::uint8_t>();
      reader.get<std::uint8_t>();
      location.size = reader.get<std::uint16_t>();
      location.dwarf_register = reader.get<std::uint16_t>();
      reader.get<std::uint16_t>();
      location.offset = reader.get<std::int32_t>();
      record.locations.push_back(location);
    }
    reader.align();
    reader.get<std::uint16_t>();
    const auto live_outs = reader.get<std::uint16_t>();
    for (std::uint32_t j = 0; j < live_outs && !reader.failed(); ++j) reader.get<std::uint32_t>();
    reader.align();
    image.records.push_back(std::move(record));
  }
  return !reader.failed();
}

}  // namespace

Result<ObjectImage> read_object(std::span<const char> object) {
  // What LLVM has just written is well formed; only what it holds has to be checked.
  const auto read = [&](std::uint64_t offset, auto& value) {
    if (offset > object.size() || object.size() - offset < sizeof value) return false;
    std::memcpy(&value, object.data() + offset, sizeof value);
    return true;
  };
  const auto part = [&](std::uint64_t offset, std::uint64_t size) {
    if (offset > object.size() || object.size() - offset < size) return std::string_view();
    return std::string_view(object.data() + offset, size);
  };
  Elf64_Ehdr header;
  if (!read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return not_understood("no object format");
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  for (std::size_t index = 0; index < sections.size(); ++index) {
    if (!read(header.e_shoff + index * sizeof(Elf64_Shdr), sections[index])) return not_understood("no sections");
  }
  if (header.e_shstrndx >= sections.size()) return not_understood("no names of sections");
  const auto name_of = [&](const Elf64_Shdr& section) {
    const Elf64_Shdr& names = sections[header.e_shstrndx];
    const std::string_view all = part(names.sh_offset, names.sh_size);
    return section.sh_name < all.size() ? std::string_view(all.data() + section.sh_name) : std::string_view();
  };

  ObjectImage image;
  constexpr std::uint32_t kNotPlaced = 0xFFFFFFFF;
  std::vector<std::uint32_t> places(sections.size(), kNotPlaced);
  std::string_view stack_map;
  for (const bool wants_code : {true, false}) {
    for (std::size_t index = 0; index < sections.size(); ++index) {
      const Elf64_Shdr& section = sections[index];
      const std::string_view name = name_of(section);
      const std::string_view contents = section.sh_type == SHT_NOBITS ? "" : part(section.sh_offset, section.sh_size);
      if (name == ".llvm_stackmaps") {
        stack_map = contents;
        continue;
      }
      const bool is_code = (section.sh_flags & SHF_EXECINSTR) != 0;
      const bool is_loaded = (section.sh_flags & SHF_ALLOC) != 0 && name != ".eh_frame";
      if (!is_loaded || is_code != wants_code || section.sh_size == 0) continue;
      if (section.sh_type != SHT_PROGBITS || (section.sh_flags & SHF_WRITE) != 0)
        return not_understood("a section that is not constant, " + std::string(name));
      const std::size_t alignment = std::max<std::size_t>(section.sh_addralign, 16);
      if (alignment > 64) return not_understood("a section of large alignment");
      constexpr std::uint8_t kTrapInstruction = 0xCC;
      image.bytes.resize((image.bytes.size() + alignment - 1) / alignment * alignment, kTrapInstruction);
      places[index] = static_cast<std::uint32_t>(image.bytes.size());
      image.bytes.insert(image.bytes.end(), contents.begin(), contents.end());
    }
  }

  std::vector<Elf64_Sym> symbols;
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB) continue;
    symbols.resize(section.sh_size / sizeof(Elf64_Sym));
    for (std::size_t index = 0; index < symbols.size(); ++index) {
      if (!read(section.sh_offset + index * sizeof(Elf64_Sym), symbols[index])) return not_understood("no symbols");
    }
  }
  const auto is_placed = [&](std::size_t section) { return section < places.size() && places[section] != kNotPlaced; };
  bool has_entry = false;
  for (const Elf64_Sym& symbol : symbols) {
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC) continue;
    if (has_entry || !is_placed(symbol.st_shndx)) return not_understood("other functions");
    image.entry = places[symbol.st_shndx] + static_cast<std::uint32_t>(symbol.st_value);
    has_entry = true;
  }
  if (!has_entry) return not_understood("no function");

  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_RELA || !is_placed(section.sh_info)) continue;
    for (std::size_t at = 0; at < section.sh_size; at += sizeof(Elf64_Rela)) {
      Elf64_Rela relocation;
      if (!read(section.sh_offset + at, relocation)) return not_understood("no relocations");
      const std::size_t number = ELF64_R_SYM(relocation.r_info);
      const std::uint64_t type = ELF64_R_TYPE(relocation.r_info);
      if (number >= symbols.size() || !is_placed(symbols[number].st_shndx))
        return not_understood("a reference to what is not in it");
      if (type != R_X86_64_PC32 && type != R_X86_64_PLT32)
        return not_understood("a relocation of type " + std::to_string(type));
      const std::uint64_t place = places[section.sh_info] + relocation.r_offset;
      if (place + 4 > image.bytes.size()) return not_understood("a relocation outside of it");
      const std::uint64_t target = places[symbols[number].st_shndx] + symbols[number].st_value;
      const auto distance =
          static_cast<std::uint32_t>(target + static_cast<std::uint64_t>(relocation.r_addend) - place);
      std::memcpy(image.bytes.data() + place, &distance, sizeof distance);
    }
  }
  if (!stack_map.empty() && !read_stack_map(stack_map, image.entry, image))
    return not_understood("a stack map of another form");
  return image;
}

}  // namespace caisson::optimized
