#include "memory/executable_memory.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

namespace caisson::memory {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t round_up(std::size_t size) { return (size + kPage - 1) & ~(kPage - 1); }

constexpr int kTrapInstruction = 0xCC;  // int3: what free code holds
constexpr std::size_t kMostKeptTables = 64;

std::size_t committed_size(const TableBlock& table) {
  return static_cast<std::size_t>(std::ranges::count(table.committed, true)) * ExecutableMemory::kTablePart;
}

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
  if (is_lost()) return std::unexpected(lost());
  const std::scoped_lock lock(mutex);
  if (of_process_ == nullptr) {
    static const int kUnwatched = ::pthread_atfork(nullptr, nullptr, &lose);
    if (kUnwatched != 0) return host_refuses("watch for fork()", kUnwatched);
    const Result<ExecutableMemory*> created = create();
    if (!created) return created;  // tried again the next time
    of_process_ = *created;
  }
  return of_process_;
}

std::atomic<bool> ExecutableMemory::is_lost_ = false;
ExecutableMemory* ExecutableMemory::of_process_ = nullptr;

Error ExecutableMemory::lost() {
  return {ErrorCode::kUnsupported,
          "compiled code is not there after fork(): start workers by exec, fork before the first instance, or use "
          "Tier::kInterp in the child",
          "executable memory"};
}

void ExecutableMemory::lose() {
  if (of_process_ == nullptr) return;
  is_lost_.store(true, std::memory_order_relaxed);
  // A child that has no address space for it faults where it destroys what it inherited.
  const auto place_nothing = [](std::uint8_t* at, std::size_t size, int protection) {
    [[maybe_unused]] const void* const placed =
        ::mmap(at, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  };
  place_nothing(of_process_->write_, kCodeCapacity, PROT_READ | PROT_WRITE);
  place_nothing(of_process_->execute_, kCodeCapacity, PROT_NONE);
  place_nothing(of_process_->tables_, kTableCapacity, PROT_READ | PROT_WRITE);
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
  auto made =
      std::unique_ptr<ExecutableMemory>(new ExecutableMemory(static_cast<std::uint8_t*>(write), execute, tables));
  // Giving back cannot fail.
  made->kept_code_.reserve(kMostKept / kPage);
  made->kept_tables_.reserve(kMostKeptTables);
  const std::optional<CodeBlock> origin = made->allocate_code(kPage);
  if (!origin) return host_refuses("commit memory", ENOMEM);
  made->origin_ = *origin;
  return made.release();
}

std::optional<CodeBlock> ExecutableMemory::allocate_code(std::size_t size) {
  size = round_up(size);
  std::optional<std::size_t> offset;
  {
    const std::scoped_lock lock(mutex_);
    const auto kept = std::ranges::find(kept_code_, size, &CodeBlock::size);
    if (kept != kept_code_.end()) {
      const CodeBlock block = *kept;
      kept_code_.erase(kept);
      kept_code_size_ -= size;
      return block;
    }
    offset = code_ranges_.take(size);
    if (!offset) {
      // What is kept may be what is missing.
      for (const CodeBlock& block : std::exchange(kept_code_, {})) return_to_host(block);
      kept_code_size_ = 0;
      offset = code_ranges_.take(size);
    }
  }
  if (!offset) return std::nullopt;
  const CodeBlock block{write_ + *offset, execute_ + *offset, size};
  // One call instead of a fault a page, in either view. A host without the advice faults; one without memory says so here.
  if (::madvise(block.write, size, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
    const std::scoped_lock lock(mutex_);
    return_to_host(block);
    return std::nullopt;
  }
  ::madvise(const_cast<std::uint8_t*>(block.execute), size, MADV_POPULATE_READ);
  return block;
}

void ExecutableMemory::free_code(const CodeBlock& block) {
  const std::scoped_lock lock(mutex_);
  if (block.size > kMostKept) return return_to_host(block);
  // The oldest gives way, since what is wanted next is likely what was given back last.
  while (kept_code_size_ + block.size > kMostKept) {
    return_to_host(kept_code_.front());
    kept_code_size_ -= kept_code_.front().size;
    kept_code_.erase(kept_code_.begin());
  }
  std::memset(block.write, kTrapInstruction, block.size);
  kept_code_.push_back(block);
  kept_code_size_ += block.size;
}

void ExecutableMemory::return_to_host(const CodeBlock& block) {
  if (::madvise(block.write, block.size, MADV_REMOVE) != 0) std::memset(block.write, kTrapInstruction, block.size);
  code_ranges_.give_back(static_cast<std::size_t>(block.write - write_), block.size);
}

std::optional<TableBlock> ExecutableMemory::allocate_table(std::size_t size) {
  size = round_up(size);
  const std::scoped_lock lock(mutex_);
  const auto kept = std::ranges::find(kept_tables_, size, &TableBlock::size);
  if (kept != kept_tables_.end()) {
    TableBlock table = std::move(*kept);
    kept_tables_.erase(kept);
    kept_table_size_ -= committed_size(table);
    return table;
  }
  std::optional<std::size_t> offset = table_ranges_.take(size);
  if (!offset) {
    for (const TableBlock& table : std::exchange(kept_tables_, {})) return_to_host(table);
    kept_table_size_ = 0;
    offset = table_ranges_.take(size);
  }
  if (!offset) return std::nullopt;
  return TableBlock{tables_ + *offset, size, std::vector<bool>((size + kTablePart - 1) / kTablePart)};
}

void ExecutableMemory::free_table(TableBlock&& table) {
  const std::size_t committed = committed_size(table);
  const std::scoped_lock lock(mutex_);
  if (committed > kMostKept) return return_to_host(table);
  while (kept_table_size_ + committed > kMostKept || kept_tables_.size() == kMostKeptTables) {
    return_to_host(kept_tables_.front());
    kept_table_size_ -= committed_size(kept_tables_.front());
    kept_tables_.erase(kept_tables_.begin());
  }
  for (std::size_t part = 0; part < table.committed.size(); ++part) {
    if (!table.committed[part]) continue;
    const std::size_t begin = part * kTablePart;
    std::memset(static_cast<std::uint8_t*>(table.memory) + begin, 0, std::min(kTablePart, table.size - begin));
  }
  kept_tables_.push_back(std::move(table));
  kept_table_size_ += committed;
}

void ExecutableMemory::return_to_host(const TableBlock& table) {
  if (::madvise(table.memory, table.size, MADV_DONTNEED) != 0) std::memset(table.memory, 0, table.size);
  table_ranges_.give_back(static_cast<std::size_t>(static_cast<std::uint8_t*>(table.memory) - tables_), table.size);
}

void ExecutableMemory::commit(TableBlock& table, std::size_t offset) {
  const std::size_t part = offset / kTablePart, begin = part * kTablePart;
  if (table.committed[part]) return;
  table.committed[part] = true;
  ::madvise(static_cast<std::uint8_t*>(table.memory) + begin, std::min(kTablePart, table.size - begin),
            MADV_POPULATE_WRITE);
}

std::size_t ExecutableMemory::code_in_use() const {
  const std::scoped_lock lock(mutex_);
  return code_ranges_.in_use() - kept_code_size_;
}

std::size_t ExecutableMemory::kept() const {
  const std::scoped_lock lock(mutex_);
  return kept_code_size_ + kept_table_size_;
}

}  // namespace caisson::memory
