// How pages are mapped: protection, advice, locking, residency, write-back.
//
// Nothing is ever swapped out, so locking and most advice have nothing to do; ranges are checked as on Linux all the same.
#include <linux/membarrier.h>
#include <linux/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <vector>

#include "linux/linux_process.h"
#include "linux/memory_calls.h"
#include "linux/page_range.h"

namespace caisson::linux_personality {
namespace {

using memory::AddressSpace;
using memory::MapStatus;

struct Range {
  std::uint64_t start = 0;
  std::uint64_t length = 0;  // in whole pages
};

// A page-aligned start and a length: 0, -EINVAL (unaligned, wrapping) or -ENOMEM (a hole or beyond the window).
std::int64_t check_range(LinuxProcess& process, std::uint64_t start, std::uint64_t length, Range& range) {
  const std::optional<std::uint64_t> rounded = page_up(length);
  if (!is_page_aligned(start) || !rounded) return -EINVAL;
  range = {start, *rounded};
  if (range.length == 0) return 0;
  if (!is_within_window(range.start, range.length) || !process.memory().is_mapped(range.start, range.length))
    return -ENOMEM;
  return 0;
}

// mlock takes any address: the range is widened to pages.
std::int64_t check_lock_range(LinuxProcess& process, std::uint64_t address, std::uint64_t length) {
  const std::uint64_t start = page_down(address);
  const std::uint64_t end = address + length;
  if (end < address || !page_up(end)) return -EINVAL;
  Range range;
  return check_range(process, start, end - start, range);
}

// The parts of `range` that are mapped, with what is mapped there.
std::vector<memory::Mapping> mapped_parts(AddressSpace& memory, const Range& range) {
  const std::uint64_t start = std::max(range.start, memory::kLowestAddress);
  const std::uint64_t end = range.start + range.length;
  if (start >= end) return {};
  std::vector<memory::Mapping> parts = memory.mappings(start, end - start);
  for (memory::Mapping& part : parts) {
    part.start = std::max(part.start, start);
    part.end = std::min(part.end, end);
  }
  return parts;
}

enum class Advice : std::uint8_t {
  kNothing,  // a hint that changes nothing here
  kDiscard,  // the contents go
  kDiscardIfAnonymous,  // the same, but files are EINVAL
  kRefused,  // EPERM: for administrators
  kUnsupported,  // EINVAL
};

struct AdviceRow {
  std::int32_t number;
  Advice advice;
};
constexpr AdviceRow kAdvice[] = {
    {MADV_NORMAL, Advice::kNothing},         {MADV_RANDOM, Advice::kNothing},
    {MADV_SEQUENTIAL, Advice::kNothing},     {MADV_WILLNEED, Advice::kNothing},
    {MADV_DONTNEED, Advice::kDiscard},       {MADV_FREE, Advice::kDiscardIfAnonymous},
    {MADV_REMOVE, Advice::kUnsupported},     {MADV_DONTFORK, Advice::kNothing},
    {MADV_DOFORK, Advice::kNothing},         {MADV_MERGEABLE, Advice::kNothing},
    {MADV_UNMERGEABLE, Advice::kNothing},    {MADV_HUGEPAGE, Advice::kNothing},
    {MADV_NOHUGEPAGE, Advice::kNothing},     {MADV_DONTDUMP, Advice::kNothing},
    {MADV_DODUMP, Advice::kNothing},         {MADV_WIPEONFORK, Advice::kNothing},
    {MADV_KEEPONFORK, Advice::kNothing},     {MADV_COLD, Advice::kNothing},
    {MADV_PAGEOUT, Advice::kNothing},        {MADV_POPULATE_READ, Advice::kNothing},
    {MADV_POPULATE_WRITE, Advice::kNothing}, {MADV_DONTNEED_LOCKED, Advice::kDiscard},
    {MADV_HWPOISON, Advice::kRefused},       {MADV_SOFT_OFFLINE, Advice::kRefused},
};

std::int64_t discard(LinuxProcess& process, const Range& range, bool anonymous_only) {
  const std::vector<memory::Mapping> parts = mapped_parts(process.memory(), range);
  const auto is_refused = [&](const memory::Mapping& part) { return anonymous_only && (part.file || part.shared); };
  if (std::ranges::any_of(parts, is_refused)) return -EINVAL;
  for (const memory::Mapping& part : parts) {
    if (process.memory().discard(part.start, part.end - part.start) != MapStatus::kOk) return -ENOMEM;
  }
  return 0;
}

}  // namespace

std::int64_t sys_mprotect(LinuxProcess& process, const CallArguments& arguments) {
  constexpr std::uint64_t kGrowth = PROT_GROWSDOWN | PROT_GROWSUP;
  constexpr std::uint64_t kKnown = PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | kGrowth;
  const std::uint64_t protection = arguments[2];
  if ((protection & kGrowth) == kGrowth) return -EINVAL;
  if (!is_page_aligned(arguments[0])) return -EINVAL;
  if (arguments[1] == 0) return 0;
  const std::optional<std::uint64_t> length = page_up(arguments[1]);
  if (!length || !is_within_window(arguments[0], *length)) return -ENOMEM;
  if ((protection & ~kKnown) != 0) return -EINVAL;

  Range range{arguments[0], *length};
  if ((protection & kGrowth) != 0) {
    // Only the stack counts as a mapping that grows, and only down.
    const MemoryLayout& layout = process.layout;
    const bool is_stack = range.start >= layout.stack_low && range.start < layout.stack_high;
    if ((protection & PROT_GROWSDOWN) == 0 || !is_stack) return -EINVAL;
    range.length += range.start - layout.stack_low;
    range.start = layout.stack_low;
  }
  if (!process.memory().is_mapped(range.start, range.length)) return -ENOMEM;
  switch (process.memory().protect(range.start, range.length, permissions_of(protection))) {
    case MapStatus::kOk:
      return 0;
    case MapStatus::kIo:
      return -EACCES;
    default:
      return -ENOMEM;
  }
}

std::int64_t sys_madvise(LinuxProcess& process, const CallArguments& arguments) {
  const auto* const row = std::ranges::find(kAdvice, arguments.signed32(2), &AdviceRow::number);
  if (row == std::end(kAdvice)) return -EINVAL;
  Range range;
  const std::int64_t status = check_range(process, arguments[0], arguments[1], range);
  if (status == -EINVAL) return status;
  if (row->advice == Advice::kRefused) return -EPERM;
  if (row->advice == Advice::kUnsupported) return -EINVAL;
  if (range.length == 0) return 0;
  if (row->advice != Advice::kNothing && is_within_window(range.start, range.length)) {
    const std::int64_t discarded = discard(process, range, row->advice == Advice::kDiscardIfAnonymous);
    if (discarded < 0) return discarded;
  }
  return status;  // ENOMEM for holes, once the mapped parts are done
}

std::int64_t sys_msync(LinuxProcess& process, const CallArguments& arguments) {
  const std::int32_t flags = arguments.signed32(2);
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) != 0) return -EINVAL;
  if ((flags & MS_ASYNC) != 0 && (flags & MS_SYNC) != 0) return -EINVAL;
  Range range;
  if (const std::int64_t status = check_range(process, arguments[0], arguments[1], range); status < 0) return status;
  if (range.length == 0 || (flags & MS_SYNC) == 0) return 0;
  return process.memory().sync(range.start, range.length) == MapStatus::kOk ? 0 : -EIO;
}

// Every mapped page counts as resident.
std::int64_t sys_mincore(LinuxProcess& process, const CallArguments& arguments) {
  if (!is_page_aligned(arguments[0])) return -EINVAL;
  Range range;
  if (check_range(process, arguments[0], arguments[1], range) < 0) return -ENOMEM;
  std::array<std::uint8_t, 4096> resident;
  resident.fill(1);
  const std::uint64_t pages = range.length / memory::kPageSize;
  for (std::uint64_t done = 0; done < pages;) {
    const std::size_t count = std::min<std::uint64_t>(pages - done, resident.size());
    if (process.memory().write(arguments[2] + done, resident.data(), count) != count) return -EFAULT;
    done += count;
  }
  return 0;
}

std::int64_t sys_mlock(LinuxProcess& process, const CallArguments& arguments) {
  return check_lock_range(process, arguments[0], arguments[1]);
}

std::int64_t sys_mlock2(LinuxProcess& process, const CallArguments& arguments) {
  if ((arguments.unsigned32(2) & ~std::uint32_t{MLOCK_ONFAULT}) != 0) return -EINVAL;
  return check_lock_range(process, arguments[0], arguments[1]);
}

std::int64_t sys_munlock(LinuxProcess& process, const CallArguments& arguments) {
  return check_lock_range(process, arguments[0], arguments[1]);
}

std::int64_t sys_mlockall(LinuxProcess&, const CallArguments& arguments) {
  const std::uint32_t flags = arguments.unsigned32(0);
  if (flags == 0 || (flags & ~std::uint32_t{MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT}) != 0 || flags == MCL_ONFAULT)
    return -EINVAL;
  return 0;
}

std::int64_t sys_munlockall(LinuxProcess&, const CallArguments&) { return 0; }

// With one hart every memory access is already ordered before the next.
std::int64_t sys_membarrier(LinuxProcess&, const CallArguments& arguments) {
  constexpr std::int32_t kCommands =
      MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
      MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
      MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
  const std::int32_t command = arguments.signed32(0);
  if (arguments.unsigned32(1) != 0) return -EINVAL;
  if (command == MEMBARRIER_CMD_QUERY) return kCommands;
  const bool is_one_known = (command & (command - 1)) == 0 && (command & ~kCommands) == 0;
  return is_one_known ? 0 : -EINVAL;
}

}  // namespace caisson::linux_personality
