// brk, mmap, munmap and mremap: mmap(2)'s rules over AddressSpace's operations.
//
// New mappings without a fixed address go to the highest free range below the stack. Pages cost gas when they are granted,
// whatever their protection; a call that fails costs nothing.
#include <linux/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "linux/linux_process.h"
#include "linux/memory_calls.h"
#include "linux/page_range.h"
#include "runtime/guest_layout.h"

namespace caisson::linux_personality {
namespace {

using memory::AddressSpace;
using memory::MapStatus;
using memory::Permissions;

static_assert(PROT_READ == memory::kRead && PROT_WRITE == memory::kWrite && PROT_EXEC == memory::kExecute);

std::int64_t error_of(MapStatus status) {
  switch (status) {
    case MapStatus::kOk:
      return 0;
    case MapStatus::kInvalid:
      return -EINVAL;
    case MapStatus::kIo:
      return -ENODEV;
    case MapStatus::kNoMemory:
    case MapStatus::kNotMapped:
      return -ENOMEM;
  }
  return -ENOMEM;
}

bool passes_address_space_limit(LinuxProcess& process, std::uint64_t growth) {
  const std::uint64_t limit = process.limits[RLIMIT_AS].current;
  const std::uint64_t used = process.memory().committed_bytes();
  return limit != kNoLimit && (used > limit || growth > limit - used);
}

std::optional<std::uint64_t> find_place(LinuxProcess& process, std::uint64_t length) {
  return process.memory().find_free(length, runtime::kMmapLow,
                                    runtime::mmap_top(process.instance().options().stack_size));
}

struct MapRequest {
  std::uint64_t address = 0;
  std::uint64_t length = 0;  // in whole pages
  Permissions permissions = memory::kNone;
  std::uint64_t flags = 0;
  std::uint64_t offset = 0;

  bool is_anonymous() const { return (flags & MAP_ANONYMOUS) != 0; }
  bool is_fixed() const { return (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0; }
  bool is_shared() const { return (flags & MAP_TYPE) != MAP_PRIVATE; }
};

// Replaces a hint by where the mapping will lie, or gives an error.
std::int64_t choose_address(LinuxProcess& process, MapRequest& request) {
  AddressSpace& memory = process.memory();
  if (request.is_fixed()) {
    if (!is_within_window(request.address, request.length)) return -ENOMEM;
    if (!is_page_aligned(request.address)) return -EINVAL;
    if (request.address < memory::kLowestAddress) return -EPERM;
    if ((request.flags & MAP_FIXED_NOREPLACE) != 0 && !memory.is_free(request.address, request.length)) return -EEXIST;
    return 0;
  }
  const std::optional<std::uint64_t> hint = page_up(request.address);
  const std::uint64_t top = runtime::mmap_top(process.instance().options().stack_size);
  if (hint && *hint >= memory::kLowestAddress && request.length <= top && *hint <= top - request.length &&
      memory.is_free(*hint, request.length)) {
    request.address = *hint;
    return 0;
  }
  const std::optional<std::uint64_t> found = find_place(process, request.length);
  if (!found) return -ENOMEM;
  request.address = *found;
  return 0;
}

// What may be asked of the descriptor, in the kernel's order.
std::int64_t check_file(LinuxProcess& process, const MapRequest& request, std::int32_t descriptor, MappableFile& file) {
  if (const std::int64_t status = process.files.mappable(descriptor, &file); status < 0) return status;
  if (!file.readable) return -EACCES;
  if (request.is_shared() && (request.permissions & memory::kWrite) != 0 && !file.writable) return -EACCES;
  return 0;
}

std::int64_t check_flags(const MapRequest& request) {
  constexpr std::uint64_t kValidated = MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE |
                                       MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |
                                       MAP_STACK | MAP_FIXED_NOREPLACE;
  const std::uint64_t type = request.flags & MAP_TYPE;
  if (type == MAP_SHARED_VALIDATE && request.is_anonymous()) return -EINVAL;
  if (type == MAP_SHARED_VALIDATE) return (request.flags & ~kValidated) == 0 ? 0 : -EOPNOTSUPP;
  if (type != MAP_SHARED && type != MAP_PRIVATE) return -EINVAL;
  if ((request.flags & MAP_HUGETLB) != 0) return -ENOMEM;  // a machine without a pool of huge pages
  return 0;
}

// The mapping of the page at `address`.
std::optional<memory::Mapping> find_mapping(AddressSpace& memory, std::uint64_t address) {
  std::vector<memory::Mapping> mappings = memory.mappings(address, memory::kPageSize);
  if (mappings.empty()) return std::nullopt;
  return std::move(mappings.front());
}

struct Remap {
  std::uint64_t old_address, old_length, new_length;  // in whole pages
  std::uint64_t flags;
  std::uint64_t new_address;
};

std::int64_t check_remap(const Remap& remap) {
  if ((remap.flags & ~std::uint64_t{MREMAP_MAYMOVE | MREMAP_FIXED}) != 0)
    return -EINVAL;  // MREMAP_DONTUNMAP is not offered
  if (!is_page_aligned(remap.old_address) || remap.new_length == 0 || remap.old_length == 0) return -EINVAL;
  if ((remap.flags & MREMAP_FIXED) == 0) return 0;
  if ((remap.flags & MREMAP_MAYMOVE) == 0 || !is_page_aligned(remap.new_address)) return -EINVAL;
  if (!is_within_window(remap.new_address, remap.new_length)) return -EINVAL;
  if (remap.new_address < memory::kLowestAddress) return -EPERM;
  const bool overlaps = remap.old_address < remap.new_address + remap.new_length &&
                        remap.new_address < remap.old_address + remap.old_length;
  return overlaps ? -EINVAL : 0;
}

// Moves the old pages to remap.new_address, where they may grow by anonymous ones like `source`.
std::int64_t move_mapping(LinuxProcess& process, const Remap& remap, const memory::Mapping& source) {
  AddressSpace& memory = process.memory();
  const std::uint64_t moved = std::min(remap.old_length, remap.new_length);
  const std::uint64_t grown = remap.new_length - moved;
  if (grown != 0) {
    const MapStatus status =
        memory.map_anonymous(remap.new_address + moved, grown, source.permissions, false, source.name);
    if (status != MapStatus::kOk) return error_of(status);
  }
  if (const MapStatus status = memory.move(remap.old_address, moved, remap.new_address); status != MapStatus::kOk) {
    if (grown != 0) memory.unmap(remap.new_address + moved, grown);
    return error_of(status);
  }
  if (remap.old_length > moved) memory.unmap(remap.old_address + moved, remap.old_length - moved);
  return static_cast<std::int64_t>(remap.new_address);
}

}  // namespace

// Like the kernel's, it gives the old end where it cannot do what was asked.
std::int64_t sys_brk(LinuxProcess& process, const CallArguments& arguments) {
  MemoryLayout& layout = process.layout;
  AddressSpace& memory = process.memory();
  const std::uint64_t wanted = arguments[0];
  const auto unchanged = static_cast<std::int64_t>(layout.break_end);
  if (wanted < layout.break_start || wanted > memory::kHighestAddress) return unchanged;
  if (wanted - layout.break_start > process.limits[RLIMIT_DATA].current) return unchanged;

  const std::uint64_t old_top = *page_up(layout.break_end);
  const std::uint64_t new_top = *page_up(wanted);
  if (new_top > old_top) {
    const std::uint64_t growth = new_top - old_top;
    if (!is_within_window(old_top, growth) || !memory.is_free(old_top, growth)) return unchanged;
    if (passes_address_space_limit(process, growth)) return unchanged;
    PageCharge charge(process.hart(), growth);
    if (!charge.paid()) return kCallOutOfGas;
    if (memory.map_anonymous(old_top, growth, memory::kRead | memory::kWrite, false, "[heap]") != MapStatus::kOk)
      return unchanged;
    charge.keep();
  } else if (new_top < old_top) {
    if (memory.unmap(new_top, old_top - new_top) != MapStatus::kOk) return unchanged;
  }
  layout.break_end = wanted;
  return static_cast<std::int64_t>(wanted);
}

std::int64_t sys_mmap(LinuxProcess& process, const CallArguments& arguments) {
  MapRequest request{.address = arguments[0], .flags = arguments[3], .offset = arguments[5]};
  request.permissions = permissions_of(arguments[2]);
  if (!is_page_aligned(request.offset)) return -EINVAL;

  MappableFile file;
  if (!request.is_anonymous()) {
    // A bad descriptor is noticed before anything else is looked at.
    if (process.files.get(arguments.signed32(4)) == nullptr) return -EBADF;
  }
  if (arguments[1] == 0) return -EINVAL;
  const std::optional<std::uint64_t> length = page_up(arguments[1]);
  if (!length || *length > memory::kHighestAddress) return -ENOMEM;
  request.length = *length;
  if (request.offset + request.length < request.offset) return -EOVERFLOW;
  if (const std::int64_t status = choose_address(process, request); status < 0) return status;
  if (const std::int64_t status = check_flags(request); status < 0) return status;
  if (!request.is_anonymous()) {
    if (const std::int64_t status = check_file(process, request, arguments.signed32(4), file); status < 0)
      return status;
  }
  if (passes_address_space_limit(process, request.length)) return -ENOMEM;

  PageCharge charge(process.hart(), request.length);
  if (!charge.paid()) return kCallOutOfGas;
  AddressSpace& memory = process.memory();
  const MapStatus status =
      request.is_anonymous()
          ? memory.map_anonymous(request.address, request.length, request.permissions, request.is_shared())
          : memory.map_file(request.address, request.length, request.permissions, request.is_shared(),
                            file.host_descriptor, request.offset, file.path);
  if (status != MapStatus::kOk) return error_of(status);
  charge.keep();
  return static_cast<std::int64_t>(request.address);
}

std::int64_t sys_munmap(LinuxProcess& process, const CallArguments& arguments) {
  const std::optional<std::uint64_t> length = page_up(arguments[1]);
  if (!is_page_aligned(arguments[0]) || !length || *length == 0 || !is_within_window(arguments[0], *length))
    return -EINVAL;
  // Below the lowest address nothing is ever mapped.
  const std::uint64_t start = std::max(arguments[0], memory::kLowestAddress);
  const std::uint64_t end = arguments[0] + *length;
  if (start >= end) return 0;
  return error_of(process.memory().unmap(start, end - start));
}

// The range must lie in one mapping. File mappings and shared ones move and shrink, but grow only by a new mmap: ENOMEM.
std::int64_t sys_mremap(LinuxProcess& process, const CallArguments& arguments) {
  const std::optional<std::uint64_t> old_length = page_up(arguments[1]);
  const std::optional<std::uint64_t> new_length = page_up(arguments[2]);
  if (!old_length || !new_length) return -EINVAL;
  if (*new_length > memory::kHighestAddress) return -ENOMEM;  // before gas is asked for what can never be granted
  Remap remap{arguments[0], *old_length, *new_length, arguments[3], arguments[4]};
  if (const std::int64_t status = check_remap(remap); status < 0) return status;
  if (!is_within_window(remap.old_address, remap.old_length)) return -EFAULT;

  AddressSpace& memory = process.memory();
  const std::optional<memory::Mapping> source = find_mapping(memory, remap.old_address);
  if (!source || remap.old_address + remap.old_length > source->end) return -EFAULT;
  const bool is_fixed = (remap.flags & MREMAP_FIXED) != 0;
  if (remap.new_length <= remap.old_length && !is_fixed) {
    if (remap.new_length == remap.old_length) return static_cast<std::int64_t>(remap.old_address);
    const MapStatus status = memory.unmap(remap.old_address + remap.new_length, remap.old_length - remap.new_length);
    return status == MapStatus::kOk ? static_cast<std::int64_t>(remap.old_address) : error_of(status);
  }

  const std::uint64_t growth = remap.new_length > remap.old_length ? remap.new_length - remap.old_length : 0;
  if (growth != 0 && (source->file || source->shared)) return -ENOMEM;
  if (passes_address_space_limit(process, growth)) return -ENOMEM;
  PageCharge charge(process.hart(), growth);
  if (!charge.paid()) return kCallOutOfGas;

  const std::uint64_t old_end = remap.old_address + remap.old_length;
  std::int64_t result = -ENOMEM;
  if (!is_fixed && is_within_window(old_end, growth) && memory.is_free(old_end, growth)) {
    const MapStatus status = memory.map_anonymous(old_end, growth, source->permissions, false, source->name);
    result = status == MapStatus::kOk ? static_cast<std::int64_t>(remap.old_address) : error_of(status);
  } else if ((remap.flags & MREMAP_MAYMOVE) != 0) {
    if (!is_fixed) {
      const std::optional<std::uint64_t> found = find_place(process, remap.new_length);
      if (!found) return -ENOMEM;
      remap.new_address = *found;
    }
    result = move_mapping(process, remap, *source);
  }
  if (result >= 0) charge.keep();
  return result;
}

}  // namespace caisson::linux_personality
