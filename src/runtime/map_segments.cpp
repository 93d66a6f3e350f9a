// From PT_LOAD segments to guest pages.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "runtime/guest_instance.h"
#include "runtime/guest_layout.h"

namespace caisson::runtime {
namespace {

using memory::kPageSize;
using memory::MapStatus;
using memory::Permissions;

// Pages of equal permissions; guest addresses.
struct PageRange {
  std::uint64_t start = 0, end = 0;
  Permissions permissions = memory::kNone;
  const image::Segment* segment = nullptr;  // whose pages these are; null where segments meet in a page
};

Permissions permissions_of(const image::Segment& segment) {
  return static_cast<Permissions>((segment.readable ? memory::kRead : 0) | (segment.writable ? memory::kWrite : 0) |
                                  (segment.executable ? memory::kExecute : 0));
}

// The pages of all segments, ascending and disjoint. A page in which segments meet gets the permissions of all of them.
std::vector<PageRange> page_ranges(const image::ElfImage& elf, std::uint64_t bias) {
  std::vector<PageRange> ranges;
  for (const image::Segment& segment : elf.segments) {
    if (segment.memory_size == 0) continue;
    PageRange range{(segment.address + bias) & ~(kPageSize - 1),
                    (segment.address + bias + segment.memory_size + kPageSize - 1) & ~(kPageSize - 1),
                    permissions_of(segment), &segment};
    if (!ranges.empty() && range.start < ranges.back().end) {
      PageRange& previous = ranges.back();
      const PageRange shared{range.start, previous.end,
                             static_cast<Permissions>(previous.permissions | range.permissions), nullptr};
      previous.end = shared.start;
      if (previous.start == previous.end) ranges.pop_back();
      ranges.push_back(shared);
      range.start = shared.end;
    }
    if (range.start < range.end) ranges.push_back(range);
  }
  return ranges;
}

Error error_of(MapStatus status, const PageRange& range) {
  const std::string where = fmt::format("segment pages {:#x}..{:#x}", range.start, range.end);
  if (status == MapStatus::kInvalid) {
    return {ErrorCode::kOutOfMemory, "the program lies outside the guest's usable addresses", where};
  }
  return {ErrorCode::kOutOfMemory, "the program does not fit into the memory limit", where};
}

constexpr Permissions kReadWrite = memory::kRead | memory::kWrite;

// The bytes of `segment` that lie in [start, end), as guest addresses.
struct Contents {
  std::uint64_t address = 0;
  std::span<const std::uint8_t> bytes;
};

Contents contents_within(const image::Segment& segment, std::span<const std::uint8_t> file, std::uint64_t bias,
                         std::uint64_t start, std::uint64_t end) {
  const std::uint64_t first = std::max(segment.address + bias, start);
  const std::uint64_t last = std::min(segment.address + bias + segment.file_size, end);
  if (first >= last) return {};
  return {first, file.subspan(segment.file_offset + (first - segment.address - bias), last - first)};
}

// A page in which segments meet: each segment's bytes, copied.
MapStatus map_shared_pages(memory::AddressSpace& memory, const PageRange& range, const image::ElfImage& elf,
                           std::span<const std::uint8_t> file, std::uint64_t bias, std::string_view name) {
  if (const MapStatus status = memory.map_anonymous(range.start, range.end - range.start, kReadWrite, false, name);
      status != MapStatus::kOk) {
    return status;
  }
  for (const image::Segment& segment : elf.segments) {
    const Contents contents = contents_within(segment, file, bias, range.start, range.end);
    if (memory.write(contents.address, contents.bytes.data(), contents.bytes.size()) != contents.bytes.size())
      return MapStatus::kIo;
  }
  return memory.protect(range.start, range.end - range.start, range.permissions);
}

// Pages of one segment: those with bytes of the file are the module's own pages, copied when they are written, the others are
// zero. As under Linux, what the file has around the segment in its first and last page is visible, except behind the bytes of
// a segment that goes on in memory, which must be zero.
MapStatus map_segment_pages(memory::AddressSpace& memory, const PageRange& range, const ProgramBytes& file,
                            std::uint64_t bias, std::string_view name) {
  const image::Segment& segment = *range.segment;
  const std::uint64_t address = segment.address + bias;
  const std::uint64_t bytes_end = std::clamp(address + segment.file_size, range.start, range.end);
  const std::uint64_t file_end = segment.file_size == 0 ? range.start : (bytes_end + kPageSize - 1) & ~(kPageSize - 1);
  const bool needs_zeros = file_end > bytes_end && segment.memory_size > segment.file_size;
  if (file_end > range.start) {
    // parse_elf() checked that addresses and offsets are congruent modulo the page size.
    const std::uint64_t offset = range.start >= address ? segment.file_offset + (range.start - address)
                                                        : segment.file_offset - (address - range.start);
    const Permissions permissions = needs_zeros ? kReadWrite : range.permissions;
    if (const MapStatus status =
            memory.map_file(range.start, file_end - range.start, permissions, false, file.descriptor(), offset, name);
        status != MapStatus::kOk) {
      return status;
    }
    if (needs_zeros) {
      constexpr std::array<std::uint8_t, kPageSize> kZeros{};
      if (memory.write(bytes_end, kZeros.data(), file_end - bytes_end) != file_end - bytes_end) return MapStatus::kIo;
      if (range.permissions != kReadWrite) {
        if (const MapStatus status = memory.protect(range.start, file_end - range.start, range.permissions);
            status != MapStatus::kOk)
          return status;
      }
    }
  }
  if (file_end == range.end) return MapStatus::kOk;
  return memory.map_anonymous(file_end, range.end - file_end, range.permissions, false, name);
}

// What it mapped before a failure is left to the caller.
Result<void> map_ranges(memory::AddressSpace& memory, const std::vector<PageRange>& ranges, const image::ElfImage& elf,
                        const ProgramBytes& file, std::uint64_t bias, std::string_view name) {
  for (const PageRange& range : ranges) {
    const MapStatus status = range.segment == nullptr ? map_shared_pages(memory, range, elf, file.span(), bias, name)
                                                      : map_segment_pages(memory, range, file, bias, name);
    if (status != MapStatus::kOk) return std::unexpected(error_of(status, range));
  }
  return {};
}

// Instances share compiled code of the one stretch of pages that the module has as code and that nobody can write.
void adopt_code(GuestInstance& instance, const std::vector<PageRange>& ranges) {
  const PageRange* code = nullptr;
  for (const PageRange& range : ranges) {
    if ((range.permissions & memory::kExecute) == 0) continue;
    if (code != nullptr || (range.permissions & memory::kWrite) != 0) return;
    code = &range;
  }
  if (code == nullptr) return;
  instance.adopt_code(static_cast<std::uint32_t>(code->start), static_cast<std::uint32_t>(code->end - code->start));
}

}  // namespace

Result<void> map_segments(GuestInstance& instance, const image::ElfImage& elf, const ProgramBytes& file,
                          std::uint64_t bias, std::string_view name) {
  // parse_elf() keeps addresses below 2^32, so a bias below that cannot wrap the sums.
  if (bias >= memory::kWindowSize) return fail(ErrorCode::kInvalidArgument, "a load bias lies below 2^32");
  const std::vector<PageRange> ranges = page_ranges(elf, bias);
  std::uint64_t pages = 0;
  for (const PageRange& range : ranges) pages += (range.end - range.start) / kPageSize;

  const std::uint64_t gas_before = instance.hart().gas;
  if (Result<void> paid = instance.charge_pages(pages); !paid) return paid;
  Result<void> mapped = map_ranges(instance.memory(), ranges, elf, file, bias, name);
  if (!mapped) {
    for (const PageRange& range : ranges) instance.memory().unmap(range.start, range.end - range.start);
    instance.hart().gas = gas_before;
    return mapped;
  }
  if (&elf == &instance.module().elf) {
    instance.set_load_bias(bias);
    adopt_code(instance, ranges);
  }
  return {};
}

}  // namespace caisson::runtime
