// image/: loaders. Bytes to a validated description of a program; nothing is mapped here and no guest state exists.
//
// ElfImage is what parse_elf() found in an ELF64 RISC-V executable or shared object after checking every field that
// anything later relies on: a consumer may index file bytes with the offsets here without further checks. image/ must
// not know memory, gas or Linux. Start reading at parse_elf().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "caisson/result.h"

namespace caisson::image {

// A PT_LOAD. file_offset + file_size lies within the file; memory_size >= file_size; address + memory_size <= 2^32
// (before bias); segments ascend, share no byte; two segments may meet within one page (their permissions are then
// or'ed for that page).
struct Segment {
  std::uint64_t address = 0;
  std::uint64_t memory_size = 0;
  std::uint64_t file_offset = 0;
  std::uint64_t file_size = 0;
  bool readable = false, writable = false, executable = false;
};

// A function symbol (STT_FUNC, global or weak, defined, not hidden) from .symtab, or .dynsym where there is no .symtab.
struct FunctionSymbol {
  std::string name;
  std::uint64_t address = 0, size = 0;
};

// A host function declared by CAISSON_IMPORT (the note's layout is documented in guest/sdk/include/caisson/guest.h).
struct ImportNote {
  std::string name, signature;
  std::uint32_t number = 0;
};

enum class ElfKind : std::uint8_t { kStatic, kStaticPie, kDynamic, kDynamicPie, kSharedObject };

struct ElfImage {
  ElfKind kind = ElfKind::kStatic;
  bool position_independent = false;  // ET_DYN: may be mapped at any page-aligned bias
  std::uint64_t entry = 0;  // 0 where there is none
  std::string interpreter;  // PT_INTERP, empty for static programs
  std::vector<Segment> segments;
  std::uint64_t program_header_address = 0;  // where the program headers lie in memory (AT_PHDR), 0 if in no segment
  std::uint16_t program_header_count = 0;
  std::uint64_t lowest_address = 0, end_address = 0;  // page-rounded span of the segments
  bool executable_stack = false;
  std::vector<FunctionSymbol> functions;
  std::uint64_t global_pointer =
      0;  // the symbol `__global_pointer$`, where linker relaxation makes code expect gp; 0: none
  std::vector<ImportNote> imports;
};

// Validates. Errors are kInvalidImage or kUnsupported with `where` naming the field, e.g. "e_machine" or "program
// header 3: p_filesz"; kNotExecutable where the file does not begin as an ELF. Memory use is bounded by a small
// multiple of the file's size. Never reads outside `file`.
Result<ElfImage> parse_elf(std::span<const std::uint8_t> file);

}  // namespace caisson::image
