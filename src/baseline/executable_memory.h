// Memory for compiled code and its entry tables: one reserve per process, so that everything in it is reached by a 32-bit
// distance and fault recovery has one range to know.
//
// W^X: code is mapped twice, for writing and for executing, and neither view can do the other's. Entry tables are data, mapped once.
// A forked child of the host has none of it (the two processes would write the same code): do not run guests in one.
// What is given back reads as zero again and costs no memory. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "caisson/result.h"

namespace caisson::baseline {

struct CodeBlock {
  std::uint8_t* write = nullptr;
  const std::uint8_t* execute = nullptr;
  std::size_t size = 0;
};

class ExecutableMemory {
 public:
  // Code of all guests together, and 8 bytes of table for each half-word of the guest code that it came from.
  static constexpr std::size_t kCodeCapacity = std::size_t{512} << 20;
  static constexpr std::size_t kTableCapacity = std::size_t{1} << 30;

  // The process's one. Errors: kOutOfMemory (address space), kUnsupported (the host forbids executable mappings).
  static Result<ExecutableMemory*> process();

  // Rounded up to pages, committed at once. Nothing where the capacity is used up or the host has no memory.
  std::optional<CodeBlock> allocate_code(std::size_t size);
  void free_code(const CodeBlock& block);

  // Zeroed, committed where it is touched. nullptr as above. `size` is in bytes.
  void* allocate_table(std::size_t size);
  void free_table(void* table, std::size_t size);
  // Commits a part of a table that is about to be used whole, in one call instead of a fault a page.
  void populate_table(void* part, std::size_t size);

  const std::uint8_t* code_begin() const { return execute_; }
  const std::uint8_t* code_end() const { return execute_ + kCodeCapacity; }

  // Bytes that are handed out now.
  std::size_t code_in_use() const;

 private:
  // First fit over the free ranges of an area.
  class Ranges {
   public:
    explicit Ranges(std::size_t capacity) : free_{{0, capacity}} {}
    std::optional<std::size_t> take(std::size_t size);
    void give_back(std::size_t offset, std::size_t size);
    std::size_t in_use() const { return in_use_; }

   private:
    std::map<std::size_t, std::size_t> free_;  // offset → size
    std::size_t in_use_ = 0;
  };

  ExecutableMemory(std::uint8_t* write, std::uint8_t* execute, std::uint8_t* tables)
      : write_(write), execute_(execute), tables_(tables) {}
  static Result<ExecutableMemory*> create();

  std::uint8_t* const write_;
  std::uint8_t* const execute_;
  std::uint8_t* const tables_;
  mutable std::mutex mutex_;
  Ranges code_ranges_{kCodeCapacity}, table_ranges_{kTableCapacity};  // guarded by mutex_
};

}  // namespace caisson::baseline
