// Loading-related checks: the ELF header and the program headers. Names of functions and imports: elf_sections.h.
//
// The rule of what to refuse: everything that the mapping or the start of the program relies on is checked; what Linux
// does not look at when it runs a program (section headers, OS ABI, header size) does not stop one here either.
#include "image/elf_image.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "image/elf_sections.h"
#include "image/file_view.h"

namespace caisson::image {
namespace {

constexpr std::uint64_t kPageSize = 4096;
constexpr std::uint64_t kAddressSpaceEnd = std::uint64_t{1} << 32;
// Linux refuses tables of more than 64 KiB (load_elf_phdrs) and interpreter paths past PATH_MAX, NUL included.
constexpr std::uint64_t kMaximumProgramHeaders = 65536 / sizeof(Elf64_Phdr);
constexpr std::uint64_t kMaximumInterpreterSize = 4096;

std::string program_header_field(std::size_t index, std::string_view field) {
  return fmt::format("program header {}: {}", index, field);
}

std::uint64_t page_floor(std::uint64_t address) { return address & ~(kPageSize - 1); }
std::uint64_t page_ceiling(std::uint64_t address) { return page_floor(address + kPageSize - 1); }

Result<Elf64_Ehdr> read_header(FileView file) {
  const auto magic = file.read<std::array<char, SELFMAG>>(0);
  if (!magic || std::string_view(magic->data(), SELFMAG) != ELFMAG) {
    return fail(ErrorCode::kNotExecutable, "this is not an ELF file", "e_ident");
  }
  const auto header = file.read<Elf64_Ehdr>(0);
  if (!header) return fail(ErrorCode::kInvalidImage, "the file ends within the ELF header", "e_ident");

  struct Requirement {
    bool met;
    ErrorCode code;
    std::string_view field;
    std::uint64_t found;
    std::string_view sentence;
  };
  const unsigned float_abi = header->e_flags & EF_RISCV_FLOAT_ABI;
  const Requirement requirements[] = {
      {header->e_ident[EI_CLASS] == ELFCLASS64, ErrorCode::kUnsupported, "e_ident[EI_CLASS]", header->e_ident[EI_CLASS],
       "only 64-bit ELF files (class 2) run here"},
      {header->e_ident[EI_DATA] == ELFDATA2LSB, ErrorCode::kUnsupported, "e_ident[EI_DATA]", header->e_ident[EI_DATA],
       "only little-endian ELF files (data 1) run here"},
      {header->e_ident[EI_VERSION] == EV_CURRENT, ErrorCode::kInvalidImage, "e_ident[EI_VERSION]",
       header->e_ident[EI_VERSION], "the ELF version must be 1"},
      {header->e_machine == EM_RISCV, ErrorCode::kUnsupported, "e_machine", header->e_machine,
       "only RISC-V programs (machine 243) run here"},
      {header->e_version == EV_CURRENT, ErrorCode::kInvalidImage, "e_version", header->e_version,
       "the ELF version must be 1"},
      {header->e_type == ET_EXEC || header->e_type == ET_DYN, ErrorCode::kUnsupported, "e_type", header->e_type,
       "only executables (type 2) and shared objects (type 3) run here"},
      {(header->e_flags & EF_RISCV_RVE) == 0, ErrorCode::kUnsupported, "e_flags", header->e_flags,
       "programs for RV64E do not run here"},
      {float_abi != EF_RISCV_FLOAT_ABI_QUAD, ErrorCode::kUnsupported, "e_flags", header->e_flags,
       "programs of the quad-precision ABI do not run here"},
      {header->e_phentsize == sizeof(Elf64_Phdr), ErrorCode::kInvalidImage, "e_phentsize", header->e_phentsize,
       "a program header must have 56 bytes"},
      {header->e_phnum != 0, ErrorCode::kInvalidImage, "e_phnum", header->e_phnum,
       "there are no program headers, so nothing to run"},
      {header->e_phnum <= kMaximumProgramHeaders, ErrorCode::kInvalidImage, "e_phnum", header->e_phnum,
       "there are more program headers than Linux accepts (1170)"},
      {file.contains(header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr)), ErrorCode::kInvalidImage, "e_phoff",
       header->e_phoff, "the program headers reach past the end of the file"},
  };
  for (const Requirement& requirement : requirements) {
    if (!requirement.met) {
      return fail(requirement.code, fmt::format("{} (found {:#x})", requirement.sentence, requirement.found),
                  std::string(requirement.field));
    }
  }
  return *header;
}

std::vector<Elf64_Phdr> read_program_headers(FileView file, const Elf64_Ehdr& header) {
  std::vector<Elf64_Phdr> program_headers;
  program_headers.reserve(header.e_phnum);
  for (std::uint64_t index = 0; index < header.e_phnum; ++index) {
    program_headers.push_back(*file.read<Elf64_Phdr>(header.e_phoff + index * sizeof(Elf64_Phdr)));
  }
  return program_headers;
}

// One PT_LOAD that is not empty. `previous_end` is where the segment before it ends.
Result<Segment> check_segment(FileView file, const Elf64_Phdr& header, std::size_t index, std::uint64_t previous_end) {
  const auto invalid = [index](std::string_view field, std::string message) {
    return fail(ErrorCode::kInvalidImage, std::move(message), program_header_field(index, field));
  };
  if (header.p_filesz > header.p_memsz) {
    return invalid("p_filesz", fmt::format("{:#x} bytes of the file do not fit the segment's {:#x}", header.p_filesz,
                                           header.p_memsz));
  }
  if (!file.contains(header.p_offset, 0) && header.p_filesz != 0) {
    return invalid("p_offset", fmt::format("{:#x} is past the end of the file", header.p_offset));
  }
  if (header.p_filesz != 0 && !file.contains(header.p_offset, header.p_filesz)) {
    return invalid("p_filesz", fmt::format("{:#x} bytes from {:#x} reach past the end of the file", header.p_filesz,
                                           header.p_offset));
  }
  if (header.p_vaddr >= kAddressSpaceEnd)
    return invalid("p_vaddr", fmt::format("{:#x} is not below 2^32", header.p_vaddr));
  if (header.p_memsz > kAddressSpaceEnd - header.p_vaddr) {
    return invalid("p_memsz", fmt::format("{:#x} bytes from {:#x} reach past 2^32", header.p_memsz, header.p_vaddr));
  }
  if (header.p_filesz != 0 && (header.p_offset - header.p_vaddr) % kPageSize != 0) {
    return invalid("p_offset", fmt::format("{:#x} and the address {:#x} differ modulo the page size", header.p_offset,
                                           header.p_vaddr));
  }
  if (header.p_vaddr < previous_end) {
    return invalid("p_vaddr", fmt::format("{:#x} overlaps or precedes the segment before it, which ends at {:#x}",
                                          header.p_vaddr, previous_end));
  }
  return Segment{.address = header.p_vaddr,
                 .memory_size = header.p_memsz,
                 .file_offset = header.p_filesz == 0 ? 0 : header.p_offset,
                 .file_size = header.p_filesz,
                 .readable = (header.p_flags & PF_R) != 0,
                 .writable = (header.p_flags & PF_W) != 0,
                 .executable = (header.p_flags & PF_X) != 0};
}

Result<std::vector<Segment>> read_segments(FileView file, std::span<const Elf64_Phdr> program_headers) {
  std::vector<Segment> segments;
  std::uint64_t previous_end = 0;
  for (std::size_t index = 0; index < program_headers.size(); ++index) {
    const Elf64_Phdr& header = program_headers[index];
    if (header.p_type != PT_LOAD || (header.p_memsz == 0 && header.p_filesz == 0)) continue;
    const auto segment = check_segment(file, header, index, previous_end);
    if (!segment) return std::unexpected(segment.error());
    previous_end = segment->address + segment->memory_size;
    segments.push_back(*segment);
  }
  if (segments.empty()) return fail(ErrorCode::kInvalidImage, "no program header loads anything", "e_phnum");
  return segments;
}

// The path in PT_INTERP; empty where there is none.
Result<std::string> read_interpreter(FileView file, std::span<const Elf64_Phdr> program_headers) {
  std::string interpreter;
  for (std::size_t index = 0; index < program_headers.size(); ++index) {
    const Elf64_Phdr& header = program_headers[index];
    if (header.p_type != PT_INTERP) continue;
    const auto invalid = [index](std::string_view field, std::string message) {
      return fail(ErrorCode::kInvalidImage, std::move(message), program_header_field(index, field));
    };
    if (!interpreter.empty()) return invalid("p_type", "a second PT_INTERP");
    if (header.p_filesz < 2 || header.p_filesz > kMaximumInterpreterSize) {
      return invalid("p_filesz", fmt::format("an interpreter's path of {} bytes (2 to {} are allowed)", header.p_filesz,
                                             kMaximumInterpreterSize));
    }
    const auto path = file.part(header.p_offset, header.p_filesz);
    if (!path) return invalid("p_offset", "the interpreter's path reaches past the end of the file");
    const auto text = path->terminated_text(0);
    if (!text || path->read<char>(path->size() - 1) != '\0')
      return invalid("p_filesz", "the interpreter's path does not end with a NUL");
    if (text->empty()) return invalid("p_offset", "the interpreter's path is empty");
    interpreter = *text;
  }
  return interpreter;
}

// Whether the linker marked an ET_DYN as an executable (DF_1_PIE). Nothing is mapped by this, so what is broken counts
// as unmarked.
bool has_pie_flag(FileView file, std::span<const Elf64_Phdr> program_headers) {
  const auto dynamic = std::ranges::find(program_headers, std::uint32_t{PT_DYNAMIC}, &Elf64_Phdr::p_type);
  if (dynamic == program_headers.end()) return false;
  const auto entries = file.part(dynamic->p_offset, dynamic->p_filesz);
  if (!entries) return false;
  for (std::uint64_t offset = 0; const auto entry = entries->read<Elf64_Dyn>(offset); offset += sizeof(Elf64_Dyn)) {
    if (entry->d_tag == DT_NULL) return false;
    if (entry->d_tag == DT_FLAGS_1) return (entry->d_un.d_val & DF_1_PIE) != 0;
  }
  return false;
}

ElfKind classify(const Elf64_Ehdr& header, bool has_interpreter, bool pie_flag) {
  if (header.e_type == ET_EXEC) return has_interpreter ? ElfKind::kDynamic : ElfKind::kStatic;
  if (has_interpreter) return ElfKind::kDynamicPie;
  return pie_flag ? ElfKind::kStaticPie : ElfKind::kSharedObject;
}

Result<void> check_entry(const Elf64_Ehdr& header, std::span<const Segment> segments) {
  if (header.e_entry == 0) return {};
  const bool executable = std::ranges::any_of(segments, [&header](const Segment& segment) {
    return segment.executable && header.e_entry >= segment.address &&
           header.e_entry - segment.address < segment.memory_size;
  });
  if (!executable) {
    return fail(ErrorCode::kInvalidImage, fmt::format("the entry {:#x} is in no executable segment", header.e_entry),
                "e_entry");
  }
  if (header.e_entry % 2 != 0)
    return fail(ErrorCode::kInvalidImage, fmt::format("the entry {:#x} is odd", header.e_entry), "e_entry");
  return {};
}

// Where the program headers lie in memory, as Linux computes AT_PHDR: by the segment whose part of the file holds them.
std::uint64_t find_program_header_address(const Elf64_Ehdr& header, std::span<const Segment> segments) {
  const std::uint64_t size = header.e_phnum * sizeof(Elf64_Phdr);
  for (const Segment& segment : segments) {
    if (header.e_phoff < segment.file_offset) continue;
    const std::uint64_t distance = header.e_phoff - segment.file_offset;
    if (distance <= segment.file_size && size <= segment.file_size - distance) return segment.address + distance;
  }
  return 0;
}

}  // namespace

Result<ElfImage> parse_elf(std::span<const std::uint8_t> bytes) {
  const FileView file(bytes);
  const auto header = read_header(file);
  if (!header) return std::unexpected(header.error());
  const std::vector<Elf64_Phdr> program_headers = read_program_headers(file, *header);

  ElfImage image;
  auto segments = read_segments(file, program_headers);
  if (!segments) return std::unexpected(segments.error());
  image.segments = *std::move(segments);
  image.lowest_address = page_floor(image.segments.front().address);
  image.end_address = page_ceiling(image.segments.back().address + image.segments.back().memory_size);

  if (const auto entry = check_entry(*header, image.segments); !entry) return std::unexpected(entry.error());
  image.entry = header->e_entry;

  auto interpreter = read_interpreter(file, program_headers);
  if (!interpreter) return std::unexpected(interpreter.error());
  image.interpreter = *std::move(interpreter);

  image.kind = classify(*header, !image.interpreter.empty(), has_pie_flag(file, program_headers));
  image.position_independent = header->e_type == ET_DYN;
  image.program_header_address = find_program_header_address(*header, image.segments);
  image.program_header_count = header->e_phnum;
  image.executable_stack = std::ranges::any_of(program_headers, [](const Elf64_Phdr& candidate) {
    return candidate.p_type == PT_GNU_STACK && (candidate.p_flags & PF_X) != 0;
  });

  Symbols symbols = read_symbols(file, *header, image.segments);
  image.functions = std::move(symbols.functions);
  image.global_pointer = symbols.global_pointer;
  auto imports = read_imports(file, program_headers);
  if (!imports) return std::unexpected(imports.error());
  image.imports = *std::move(imports);
  return image;
}

}  // namespace caisson::image
