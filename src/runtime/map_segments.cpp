// From PT_LOAD segments to guest pages.
#include <fmt/format.h>

#include <algorithm>
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
                    permissions_of(segment)};
    if (!ranges.empty() && range.start < ranges.back().end) {
      PageRange& previous = ranges.back();
      const PageRange shared{range.start, previous.end,
                             static_cast<Permissions>(previous.permissions | range.permissions)};
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

// Maps, fills and protects. What it mapped before a failure is left to the caller.
Result<void> map_ranges(memory::AddressSpace& memory, const std::vector<PageRange>& ranges, const image::ElfImage& elf,
                        std::span<const std::uint8_t> bytes, std::uint64_t bias, std::string_view name) {
  for (const PageRange& range : ranges) {
    const MapStatus status =
        memory.map_anonymous(range.start, range.end - range.start, memory::kRead | memory::kWrite, false, name);
    if (status != MapStatus::kOk) return std::unexpected(error_of(status, range));
  }
  for (const image::Segment& segment : elf.segments) {
    const auto contents = bytes.subspan(segment.file_offset, segment.file_size);
    if (memory.write(segment.address + bias, contents.data(), contents.size()) != contents.size()) {
      return fail(ErrorCode::kInternal, "a page that was just mapped cannot be written");
    }
  }
  for (const PageRange& range : ranges) {
    if (range.permissions == (memory::kRead | memory::kWrite)) continue;
    const MapStatus status = memory.protect(range.start, range.end - range.start, range.permissions);
    if (status != MapStatus::kOk) return std::unexpected(error_of(status, range));
  }
  return {};
}

}  // namespace

Result<void> map_segments(GuestInstance& instance, const image::ElfImage& elf, std::span<const std::uint8_t> bytes,
                          std::uint64_t bias, std::string_view name) {
  // parse_elf() keeps addresses below 2^32, so a bias below that cannot wrap the sums.
  if (bias >= memory::kWindowSize) return fail(ErrorCode::kInvalidArgument, "a load bias lies below 2^32");
  const std::vector<PageRange> ranges = page_ranges(elf, bias);
  std::uint64_t pages = 0;
  for (const PageRange& range : ranges) pages += (range.end - range.start) / kPageSize;

  const std::uint64_t gas_before = instance.hart().gas;
  if (Result<void> paid = instance.charge_pages(pages); !paid) return paid;
  Result<void> mapped = map_ranges(instance.memory(), ranges, elf, bytes, bias, name);
  if (!mapped) {
    for (const PageRange& range : ranges) instance.memory().unmap(range.start, range.end - range.start);
    instance.hart().gas = gas_before;
    return mapped;
  }
  if (&elf == &instance.module().elf) instance.set_load_bias(bias);
  return {};
}

}  // namespace caisson::runtime
