#include "baseline/executable_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <string>

namespace caisson::baseline {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t round_up(std::size_t size) { return (size + kPage - 1) & ~(kPage - 1); }

std::unexpected<Error> host_refuses(const char* what, int error) {
  return fail(error == EACCES || error == EPERM ? ErrorCode::kUnsupported : ErrorCode::kOutOfMemory,
              std::string("cannot ") + what + " for compiled code: " + std::strerror(error));
}

}  // namespace

std::optional<std::size_t> ExecutableMemory::Ranges::take(std::size_t size) {
  for (auto range = free_.begin(); range != free_.end(); ++range) {
    if (range->second < size) continue;
    const std::size_t offset = range->first, left = range->second - size;
    free_.erase(range);
    if (left != 0) free_.emplace(offset + size, left);
    in_use_ += size;
    return offset;
  }
  return std::nullopt;
}

void ExecutableMemory::Ranges::give_back(std::size_t offset, std::size_t size) {
  in_use_ -= size;
  auto next = free_.lower_bound(offset);
  if (next != free_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == offset) {
      offset = previous->first;
      size += previous->second;
      free_.erase(previous);
    }
  }
  if (next != free_.end() && offset + size == next->first) {
    size += next->second;
    free_.erase(next);
  }
  free_.emplace(offset, size);
}

Result<ExecutableMemory*> ExecutableMemory::process() {
  // Never destroyed: instances may outlive static destruction.
  static std::mutex mutex;
  static ExecutableMemory* memory = nullptr;
  const std::scoped_lock lock(mutex);
  if (memory == nullptr) {
    const Result<ExecutableMemory*> created = create();
    if (!created) return created;  // tried again the next time
    memory = *created;
  }
  return memory;
}

Result<ExecutableMemory*> ExecutableMemory::create() {
  // Tables lie right behind the executable view.
  void* const reserve =
      ::mmap(nullptr, kCodeCapacity + kTableCapacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserve == MAP_FAILED) return host_refuses("reserve address space", errno);
  auto* const execute = static_cast<std::uint8_t*>(reserve);
  std::uint8_t* const tables = execute + kCodeCapacity;
  // Anonymous, so that perf(1) looks its symbols up in a perf map; mremap of length 0 maps shared pages once more.
  void* const write =
      ::mmap(nullptr, kCodeCapacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  const bool mapped = write != MAP_FAILED &&
                      ::mremap(write, 0, kCodeCapacity, MREMAP_MAYMOVE | MREMAP_FIXED, execute) == execute &&
                      ::mprotect(execute, kCodeCapacity, PROT_READ | PROT_EXEC) == 0 &&
                      ::mprotect(tables, kTableCapacity, PROT_READ | PROT_WRITE) == 0;
  if (!mapped) {
    const int error = errno;
    if (write != MAP_FAILED) ::munmap(write, kCodeCapacity);
    ::munmap(reserve, kCodeCapacity + kTableCapacity);
    return host_refuses("map memory", error);
  }
  ::madvise(write, kCodeCapacity, MADV_DONTFORK);
  ::madvise(reserve, kCodeCapacity + kTableCapacity, MADV_DONTFORK);
  ::madvise(tables, kTableCapacity, MADV_NOHUGEPAGE);  // mostly untouched
  return new ExecutableMemory(static_cast<std::uint8_t*>(write), execute, tables);
}

std::optional<CodeBlock> ExecutableMemory::allocate_code(std::size_t size) {
  size = round_up(size);
  std::optional<std::size_t> offset;
  {
    const std::scoped_lock lock(mutex_);
    offset = code_ranges_.take(size);
  }
  if (!offset) return std::nullopt;
  const CodeBlock block{write_ + *offset, execute_ + *offset, size};
  // One call instead of a fault a page, in either view. A host without the advice faults; one without memory says so here.
  if (::madvise(block.write, size, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
    free_code(block);
    return std::nullopt;
  }
  ::madvise(const_cast<std::uint8_t*>(block.execute), size, MADV_POPULATE_READ);
  return block;
}

void ExecutableMemory::free_code(const CodeBlock& block) {
  const auto offset = static_cast<std::size_t>(block.write - write_);
  if (::madvise(block.write, block.size, MADV_REMOVE) != 0) std::memset(block.write, 0, block.size);
  const std::scoped_lock lock(mutex_);
  code_ranges_.give_back(offset, block.size);
}

void* ExecutableMemory::allocate_table(std::size_t size) {
  const std::scoped_lock lock(mutex_);
  const std::optional<std::size_t> offset = table_ranges_.take(round_up(size));
  return offset ? tables_ + *offset : nullptr;
}

void ExecutableMemory::free_table(void* table, std::size_t size) {
  size = round_up(size);
  if (::madvise(table, size, MADV_DONTNEED) != 0) std::memset(table, 0, size);
  const std::scoped_lock lock(mutex_);
  table_ranges_.give_back(static_cast<std::size_t>(static_cast<std::uint8_t*>(table) - tables_), size);
}

void ExecutableMemory::populate_table(void* part, std::size_t size) { ::madvise(part, size, MADV_POPULATE_WRITE); }

std::size_t ExecutableMemory::code_in_use() const {
  const std::scoped_lock lock(mutex_);
  return code_ranges_.in_use();
}

}  // namespace caisson::baseline
