// Memory for compiled code and its entry tables: one reserve per process, so that everything in it is reached by a 32-bit
// distance and fault recovery has one range to know.
//
// W^X: code is mapped twice, for writing and for executing, and neither view can do the other's. Entry tables are data, mapped once.
// A forked child of the host has none of it (the two processes would write the same code): is_lost() there, and empty memory in its place,
// so that what the child inherited can be destroyed but not run.
// The first touch of a page costs more than compiling a page of guest code, so some of what is given back is kept for the next taker
// (kMostKept); the rest costs no memory any more. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "caisson/result.h"

namespace caisson::memory {

struct CodeBlock {
  std::uint8_t* write = nullptr;
  const std::uint8_t* execute = nullptr;
  std::size_t size = 0;
};

// The entry table of a region: zeroed memory, of which parts are committed before they are touched.
struct TableBlock {
  void* memory = nullptr;
  std::size_t size = 0;
  std::vector<bool> committed;  // by part of kTablePart bytes
};

class ExecutableMemory {
 public:
  // Code of all guests together, and 4 bytes of table for each half-word of the guest code that it came from.
  static constexpr std::size_t kCodeCapacity = std::size_t{512} << 20;
  static constexpr std::size_t kTableCapacity = std::size_t{512} << 20;
  // Bytes of code and of tables that stay committed while nobody has them.
  static constexpr std::size_t kMostKept = std::size_t{8} << 20;
  static constexpr std::size_t kTablePart = std::size_t{32} << 10;

  // The process's one. Errors: kOutOfMemory (address space), kUnsupported (the host forbids executable mappings; is_lost()).
  static Result<ExecutableMemory*> process();
  // Whether this process is a child, by fork(), of one that had it.
  static bool is_lost() { return is_lost_.load(std::memory_order_relaxed); }
  static Error lost();

  // Rounded up to pages, committed at once, of any content. Nothing where the capacity is used up or the host has no memory.
  std::optional<CodeBlock> allocate_code(std::size_t size);
  // Nothing may run it any more.
  void free_code(const CodeBlock& block);

  // Nothing as above. `size` is in bytes.
  std::optional<TableBlock> allocate_table(std::size_t size);
  void free_table(TableBlock&& table);
  // Commits the part of a table that `offset` lies in, in one call instead of a fault a page.
  static void commit(TableBlock& table, std::size_t offset);

  const std::uint8_t* code_begin() const { return execute_; }
  // The first bytes of code, which nobody else gets: where a slot of an entry table leads that holds 0.
  const CodeBlock& origin() const { return origin_; }
  const std::uint8_t* code_end() const { return execute_ + kCodeCapacity; }

  // Bytes that are handed out now.
  std::size_t code_in_use() const;
  // Bytes that are committed and not handed out.
  std::size_t kept() const;

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
  static void lose();  // in the child of a fork()
  void return_to_host(const CodeBlock& block);
  void return_to_host(const TableBlock& table);

  static std::atomic<bool> is_lost_;
  static ExecutableMemory* of_process_;

  std::uint8_t* const write_;
  std::uint8_t* const execute_;
  std::uint8_t* const tables_;
  CodeBlock origin_;
  mutable std::mutex mutex_;
  // All below is guarded by mutex_. What is kept is taken from the ranges.
  Ranges code_ranges_{kCodeCapacity}, table_ranges_{kTableCapacity};
  std::vector<CodeBlock> kept_code_;
  std::vector<TableBlock> kept_tables_;
  std::size_t kept_code_size_ = 0, kept_table_size_ = 0;
};

}  // namespace caisson::memory
