#include "oracles/elf_image_rules.h"

#include <algorithm>
#include <set>

namespace caisson::fuzz {
namespace {

constexpr std::uint64_t kAddressSpaceEnd = std::uint64_t{1} << 32;
constexpr std::uint64_t kPageSize = 4096;

bool is_executable(const image::ElfImage& image, std::uint64_t address) {
  return std::ranges::any_of(image.segments, [address](const image::Segment& segment) {
    return segment.executable && segment.address <= address && address < segment.address + segment.memory_size;
  });
}

std::optional<std::string> broken_segment_rule(const image::ElfImage& image, std::uint64_t file_size) {
  if (image.segments.empty()) return "there are segments";
  std::uint64_t previous_end = 0;
  for (const image::Segment& segment : image.segments) {
    if (segment.file_offset > file_size || segment.file_size > file_size - segment.file_offset) {
      return "a segment's bytes lie within the file";
    }
    if (segment.memory_size == 0 || segment.memory_size < segment.file_size)
      return "a segment's memory holds its bytes";
    if (segment.address < previous_end) return "segments ascend and share no byte";
    if (segment.address >= kAddressSpaceEnd || segment.memory_size > kAddressSpaceEnd - segment.address) {
      return "segments end at or below 2^32";
    }
    if (segment.file_size != 0 && segment.file_offset % kPageSize != segment.address % kPageSize) {
      return "offset and address agree modulo the page size";
    }
    previous_end = segment.address + segment.memory_size;
  }
  if (image.lowest_address % kPageSize != 0 || image.end_address % kPageSize != 0) return "the span is made of pages";
  if (image.lowest_address > image.segments.front().address || image.end_address < previous_end ||
      image.end_address > kAddressSpaceEnd) {
    return "the span holds the segments";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> broken_elf_image_rule(const image::ElfImage& image, std::span<const std::uint8_t> file) {
  if (auto rule = broken_segment_rule(image, file.size())) return rule;
  if (image.entry != 0 && !is_executable(image, image.entry)) return "the entry is executable";
  const bool is_dynamic = image.kind == image::ElfKind::kDynamic || image.kind == image::ElfKind::kDynamicPie;
  if (is_dynamic == image.interpreter.empty()) return "dynamic programs, and only they, name an interpreter";
  if (image.interpreter.find('\0') != std::string::npos) return "the interpreter's path holds no NUL";

  std::uint64_t text_bytes = image.interpreter.size();
  for (const image::FunctionSymbol& function : image.functions) {
    if (function.name.empty()) return "functions have names";
    if (!is_executable(image, function.address)) return "functions begin in executable segments";
    text_bytes += function.name.size();
  }
  std::set<std::uint32_t> numbers;
  for (const image::ImportNote& import : image.imports) {
    if (import.name.empty() || import.signature.empty()) return "imports have names and signatures";
    if (import.number >= 65536 || !numbers.insert(import.number).second) return "import numbers are small and unique";
    text_bytes += import.name.size() + import.signature.size();
  }
  if (text_bytes > 2 * file.size()) return "names take no more than twice the file's size";
  return std::nullopt;
}

}  // namespace caisson::fuzz
