// The descriptors of a process: small numbers that name open files.
//
// Descriptors are per process and virtual: no number of the host shows. The lowest free number is given; past the limit
// (RLIMIT_NOFILE) it is EMFILE. Copying the table is what fork needs: both copies name the same open files, so offsets and
// status flags stay shared, while close, close-on-exec and record locks are each copy's own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caisson/linux.h"
#include "caisson/result.h"
#include "linux/memory_budget.h"
#include "linux/open_file.h"
#include "linux/record_locks.h"

namespace caisson::linux_personality {

struct MappableFile {
  int host_descriptor = -1;  // valid while the guest's descriptor is open
  bool readable = false, writable = false;
  std::string path;  // the guest's name of it
};

class FileTable {
 public:
  static constexpr std::uint32_t kMaximum = 65536;  // what RLIMIT_NOFILE can be raised to

  FileTable() = default;
  // 0, 1 and 2 are the options' standard streams, on duplicates. Errors: kInvalidArgument for a descriptor that is not open.
  static Result<FileTable> create(const LinuxOptions& options);

  // nullptr: not open (EBADF).
  const std::shared_ptr<OpenFile>& get(std::int32_t descriptor) const;

  // Gives the lowest free number ≥ `lowest` and < `limit`, or −EMFILE.
  std::int64_t add(std::shared_ptr<OpenFile> file, bool close_on_exec, std::uint32_t lowest, std::uint64_t limit);
  // dup3: makes `descriptor` name `file`, closing what it named; −EBADF at or past `limit`.
  std::int64_t replace(std::int32_t descriptor, std::shared_ptr<OpenFile> file, bool close_on_exec,
                       std::uint64_t limit);
  // 0 or −EBADF.
  std::int64_t close(std::int32_t descriptor);

  bool close_on_exec(std::int32_t descriptor) const;
  void set_close_on_exec(std::int32_t descriptor, bool value);
  // execve: closes what is marked so.
  void close_for_exec();

  // What mmap needs to know of a descriptor: 0, or −EBADF, −EACCES (not readable), −ENODEV (not a file of the host).
  std::int64_t mappable(std::int32_t descriptor, MappableFile* file) const;

  // Locks by fcntl; closing a descriptor gives up those on its file.
  RecordLocks& record_locks() { return record_locks_; }
  // What open files may hold of the engine's memory.
  const std::shared_ptr<MemoryBudget>& memory_budget() const { return memory_budget_; }

  // Of what create() opened: the standard stream (0, 1 or 2) that the file is, under whatever descriptor; nullopt: none.
  std::optional<std::uint32_t> standard_stream(const OpenFile& file) const;

  // One past the highest open descriptor.
  std::uint32_t end() const { return static_cast<std::uint32_t>(slots_.size()); }

 private:
  struct Slot {
    std::shared_ptr<OpenFile> file;
    bool close_on_exec = false;
  };
  bool is_open(std::int32_t descriptor) const;
  void trim();
  // Puts something else into a slot that may be in use.
  void assign(std::size_t number, Slot slot);

  std::array<std::weak_ptr<OpenFile>, 3> standard_streams_;
  std::vector<Slot> slots_;  // the last one is open
  std::uint32_t lowest_free_ = 0;  // no slot below is free
  RecordLocks record_locks_;
  std::shared_ptr<MemoryBudget> memory_budget_ = std::make_shared<MemoryBudget>();
};

}  // namespace caisson::linux_personality
